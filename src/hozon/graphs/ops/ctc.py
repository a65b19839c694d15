"""Connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static

CTC = OpTable("ctc")

#: The logarithm of a probability that is zero; finite, so that derivatives stay numbers.
_NEVER = -1e5


@CTC.op("CTCLoss", "CTCLossV2")
def ctc_loss(node: NodeView) -> Kernel:
    """Loss of each sequence and its gradient with respect to the inputs.

    The blank is the last class, in V2 the first. A text that needs more steps for the blanks
    between equal labels has an infinite loss, and the gradient of a loss without any text
    (tensorflow/core/kernels/ctc_loss_op.cc, core/util/ctc/ctc_loss_calculator.h).
    """
    if not node.attr("ctc_merge_repeated"):
        raise node.refuse("repeated labels that are not merged")
    collapse = bool(node.attr("preprocess_collapse_repeated"))
    ignore = bool(node.attr("ignore_longer_outputs_than_inputs"))

    def kernel(inputs: Value, indices: Value, values: Value, lengths: Value) -> tuple[Value, Value]:
        steps, batch, classes = inputs.shape
        blank = 0 if node.op == "CTCLossV2" else classes - 1
        sizes = static(lengths, "the lengths of sequences")
        if (sizes > steps).any():
            raise node.refuse(f"sequences of {sizes.tolist()} steps in {steps}")
        rows = static(indices, "which labels a sequence has")[:, 0]
        labels = static(values, "the labels of sequences")
        texts = [_text(labels[rows == b].tolist(), collapse) for b in range(batch)]
        fits = np.array([len(text) for text in texts]) <= sizes
        if not ignore and not fits.all():
            raise node.refuse("a sequence is too short for its labels")
        scored = fits & (sizes > 0)
        possible = np.array([_steps(text) for text in texts]) <= sizes

        def total(x: Any) -> tuple[Any, Any]:
            losses = jnp.where(scored & possible, _losses(x, texts, sizes, blank), 0)
            inside = np.arange(steps)[:, None] < sizes
            masses = jnp.where(inside & scored & ~possible, jax.nn.logsumexp(x, axis=-1), 0)
            return losses.sum() + masses.sum(), jnp.where(scored & ~possible, jnp.inf, losses)

        gradient, losses = jax.grad(total, has_aux=True)(jnp.asarray(inputs))
        return losses, gradient

    return kernel


def _text(labels: Sequence[int], collapse: bool) -> list[int]:
    return [x for i, x in enumerate(labels) if not (collapse and i and labels[i - 1] == x)]


def _steps(text: Sequence[int]) -> int:
    """The steps that a text takes: one for each label and for each blank between equal ones."""
    return len(text) + sum(a == b for a, b in zip(text, text[1:], strict=False))


def _losses(inputs: Any, texts: Sequence[Sequence[int]], sizes: Any, blank: int) -> Any:
    """Minus the logarithm of each text's probability, by the forward recursion."""
    longest = max((len(text) for text in texts), default=0)
    states = np.full((len(texts), 2 * longest + 1), blank)
    for row, text in zip(states, texts, strict=True):
        row[1 : 2 * len(text) : 2] = text
    before = np.pad(states, [(0, 0), (2, 0)], constant_values=blank)[:, :-2]
    skips = (states != blank) & (states != before)
    skips[:, :2] = False
    scores = jax.nn.log_softmax(inputs, axis=-1)
    emitted = jnp.take_along_axis(scores, states[None], axis=2)
    start = np.full(states.shape, _NEVER, inputs.dtype)
    start[:, :2] = 0

    def advance(alpha: Any, now: Any) -> tuple[Any, None]:
        emission, active = now
        one, two = _shifted(alpha, 1), jnp.where(skips, _shifted(alpha, 2), _NEVER)
        following = jnp.logaddexp(jnp.logaddexp(alpha, one), two) + emission
        return jnp.where(active[:, None], following, alpha), None

    active = np.arange(1, len(inputs))[:, None] < sizes
    alpha, _ = jax.lax.scan(advance, start + emitted[0], (emitted[1:], active))
    ends = np.array([2 * len(text) for text in texts])
    last = jnp.take_along_axis(alpha, ends[:, None], 1)[:, 0]
    label = jnp.take_along_axis(alpha, np.maximum(ends - 1, 0)[:, None], 1)[:, 0]
    return -jnp.logaddexp(last, jnp.where(ends > 0, label, _NEVER))


def _shifted(alpha: Any, by: int) -> Any:
    moved = jnp.pad(alpha, [(0, 0), (by, 0)], constant_values=_NEVER)
    return moved[:, : alpha.shape[1]]
