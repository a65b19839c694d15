"""Activations, biases, losses and dropout-like helpers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.slopes import differentiated
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static
from hozon.kernels.on_cpu import accumulator

NN = OpTable("nn")


def sigmoid(x: Value) -> Value:
    """The logistic function, without overflow for large negative inputs."""
    if ns(x) is np:
        return (1 / (1 + np.exp(-np.asarray(x)))).astype(x.dtype)
    return jax.nn.sigmoid(x)


def softplus(x: Value) -> Value:
    """``log(1 + exp(x))`` without overflow."""
    return ns(x).logaddexp(x, ns(x).zeros_like(x))


def _like(x: Value, number: float) -> Value:
    """A number of `x`'s type; a Python float would make NumPy's bfloat16 a float32."""
    return ns(x).asarray(number, x.dtype)


def _leave_positive(x: Value, negative: Value) -> Value:
    return ns(x, negative).where(x > 0, x, negative)


def _safe_expm1(x: Value) -> Value:
    """``exp(x) - 1`` for the negative part, 0 elsewhere, with finite gradients."""
    return ns(x).expm1(ns(x).minimum(x, 0))


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

#: Slopes times `g`, by the argument `x` or by the result `y`; they are ops of their own.
GRADIENTS: dict[str, Kernel] = {
    "ReluGrad": lambda g, x: ns(g, x).where(x > 0, g, ns(g).zeros_like(g)),
    "Relu6Grad": lambda g, x: ns(g, x).where((x > 0) & (x < 6), g, ns(g).zeros_like(g)),
    "EluGrad": lambda g, y: g * ns(g, y).where(y < 0, y + 1, _like(y, 1)),
    "SeluGrad": lambda g, y: (
        g * ns(g, y).where(y < 0, y + _like(y, SELU_SCALE * SELU_ALPHA), _like(y, SELU_SCALE))
    ),
    "SoftplusGrad": lambda g, x: g * sigmoid(x),
    "SoftsignGrad": lambda g, x: g / (1 + abs(x)) ** 2,
}
NN.kernels(GRADIENTS)
NN.kernels(
    {
        "Relu": differentiated(
            lambda x: ns(x).maximum(x, _like(x, 0)), lambda g, x, y: GRADIENTS["ReluGrad"](g, x)
        ),
        "Relu6": differentiated(
            lambda x: ns(x).minimum(ns(x).maximum(x, _like(x, 0)), _like(x, 6)),
            lambda g, x, y: GRADIENTS["Relu6Grad"](g, x),
        ),
        "Sigmoid": sigmoid,
        "Tanh": lambda x: ns(x).tanh(x),
        "Elu": differentiated(
            lambda x: _leave_positive(x, _safe_expm1(x)),
            lambda g, x, y: GRADIENTS["EluGrad"](g, y),
        ),
        "Selu": differentiated(
            lambda x: (
                _like(x, SELU_SCALE) * _leave_positive(x, _like(x, SELU_ALPHA) * _safe_expm1(x))
            ),
            lambda g, x, y: GRADIENTS["SeluGrad"](g, y),
        ),
        "Softplus": softplus,
        "Softsign": differentiated(
            lambda x: x / (1 + abs(x)), lambda g, x, y: GRADIENTS["SoftsignGrad"](g, x)
        ),
    }
)


@NN.op("LeakyRelu")
def leaky_relu(node: NodeView) -> Kernel:
    alpha = float(node.attr("alpha"))
    return lambda x: _leave_positive(x, x * _like(x, alpha))


@NN.op("LeakyReluGrad")
def leaky_relu_grad(node: NodeView) -> Kernel:
    alpha = float(node.attr("alpha"))
    return lambda g, x: ns(g, x).where(x > 0, g, g * _like(g, alpha))


def _shifted(x: Value, axis: int) -> Value:
    """`x` less its maximum, so that no exponential overflows; there may be no classes."""
    return x - ns(x).max(x, axis=axis, keepdims=True) if x.shape[axis] else x


def softmax(x: Value, axis: int = -1) -> Value:
    """Softmax over one axis."""
    exponents = ns(x).exp(_shifted(x, axis))
    return exponents / ns(x).sum(exponents, axis=axis, keepdims=True)


def log_softmax(x: Value, axis: int = -1) -> Value:
    """The logarithm of softmax over one axis."""
    shifted = _shifted(x, axis)
    return shifted - ns(x).log(ns(x).sum(ns(x).exp(shifted), axis=axis, keepdims=True))


def _softmax_kernel(x: Value) -> Value:
    return softmax(x) if ns(x) is np else jax.nn.softmax(x, axis=-1)


def _log_softmax_kernel(x: Value) -> Value:
    return log_softmax(x) if ns(x) is np else jax.nn.log_softmax(x, axis=-1)


NN.kernels({"Softmax": _softmax_kernel, "LogSoftmax": _log_softmax_kernel})


@NN.op("BiasAdd", "BiasAddV1")
def bias_add(node: NodeView) -> Kernel:
    first = node.op == "BiasAdd" and node.text("data_format") == "NCHW"

    def add(x: Value, bias: Value) -> Value:
        channels = 1 if first else x.ndim - 1
        if x.ndim < 2 or bias.shape != x.shape[channels : channels + 1]:
            raise MismatchError(
                f"node {node.name!r}: a bias of shape {bias.shape} for a value of shape {x.shape}"
            )
        if first and x.ndim > 2:
            bias = bias.reshape((-1,) + (1,) * (x.ndim - 2))
        return x + bias

    return add


@NN.op("BiasAddGrad")
def bias_add_grad(node: NodeView) -> Kernel:
    first = node.text("data_format") == "NCHW"

    def grad(g: Value) -> Value:
        kept = 1 if first and g.ndim > 2 else g.ndim - 1
        axes = tuple(i for i in range(g.ndim) if i != kept)
        return ns(g).sum(g, axis=axes, dtype=accumulator(g.dtype)).astype(g.dtype)

    return grad


@NN.kernel("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(logits: Value, labels: Value) -> tuple[Value, Value]:
    """Loss per row and its gradient with respect to the logits; the operands broadcast.

    A class of label 0 adds no loss even where its logit is infinite, as on TensorFlow's XLA
    devices. The loss is differentiated as TensorFlow does it, so as if the labels of a row added
    up to 1 (python/ops/nn_grad.py).
    """
    xp = ns(logits, labels)
    logits, labels = xp.broadcast_arrays(logits, labels)
    log_probabilities = log_softmax(logits)
    wide = accumulator(logits.dtype)
    masked = (labels == 0) & xp.isinf(log_probabilities)
    losses = labels * xp.where(masked, _like(logits, 0), log_probabilities)
    loss = -xp.sum(losses, axis=-1, dtype=wide).astype(logits.dtype)
    if xp is jnp:
        loss += _missing_mass(logits, labels)
    return loss, xp.exp(log_probabilities) - labels


def _missing_mass(logits: Value, labels: Value) -> Value:
    """Zero, with the derivative that labels adding up to 1 would have added."""
    total = jax.nn.logsumexp(logits, axis=-1) if logits.shape[-1] else logits.sum(-1)
    missing = jax.lax.stop_gradient(1 - labels.sum(-1))
    change = total - jax.lax.stop_gradient(total)
    return jnp.where(jnp.isfinite(total), missing * change, 0).astype(logits.dtype)


@NN.kernel("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(logits: Value, labels: Value) -> tuple[Value, Value]:
    """As above for class numbers; a class out of range gives NaN, as on TensorFlow's GPUs."""
    xp = ns(logits, labels)
    classes = logits.shape[-1]
    valid = (labels >= 0) & (labels < classes)
    one_hot = (labels[..., None] == xp.arange(classes)).astype(logits.dtype)
    loss, gradient = softmax_cross_entropy(logits, one_hot)
    nan = xp.asarray(np.nan, logits.dtype)
    return xp.where(valid, loss, nan), xp.where(valid[..., None], gradient, nan)


@NN.kernel("L2Loss")
def l2_loss(x: Value) -> Value:
    return (ns(x).sum(x * x) / 2).astype(x.dtype)


def _normalizer(node: NodeView) -> Kernel:
    """Local response normalization over the last axis."""
    radius = int(node.attr("depth_radius"))
    bias, alpha, beta = (float(node.attr(k)) for k in ("bias", "alpha", "beta"))

    def normalize(x: Value) -> Value:
        squares = jnp.pad(jnp.square(x), [(0, 0)] * (x.ndim - 1) + [(radius, radius)])
        depth = x.shape[-1]
        window = sum(squares[..., i : i + depth] for i in range(2 * radius + 1))
        return x / (bias + alpha * window) ** beta

    return normalize


@NN.op("LRN")
def local_response_normalization(node: NodeView) -> Kernel:
    return _normalizer(node)


@NN.op("LRNGrad")
def local_response_normalization_grad(node: NodeView) -> Kernel:
    normalize = _normalizer(node)
    return lambda g, x, y: jax.vjp(normalize, jnp.asarray(x))[1](jnp.asarray(g))[0]


@NN.op("CTCGreedyDecoder", host=True)
def ctc_greedy_decoder(node: NodeView) -> Kernel:
    merge = bool(node.attr("merge_repeated"))
    blank_index = int(node.attr("blank_index"))

    def decode(inputs: Value, lengths: Value) -> tuple[Value, ...]:
        inputs, lengths = static(inputs, "the best path"), static(lengths, "the best path")
        steps, batch, classes = inputs.shape
        if (lengths > steps).any():
            raise node.refuse(f"sequences of {lengths.tolist()} steps in {steps}")
        blank = blank_index % classes
        best = inputs.argmax(-1)
        rows = [_collapse(best[: lengths[b], b], blank, merge) for b in range(batch)]
        scores = [-inputs[: lengths[b], b].max(-1).sum() for b in range(batch)]
        indices = [(b, t) for b, row in enumerate(rows) for t in range(len(row))]
        longest = max((len(row) for row in rows), default=0)
        return (
            np.asarray(indices, np.int64).reshape(-1, 2),
            np.asarray([c for row in rows for c in row], np.int64),
            np.asarray([batch, longest], np.int64),
            np.asarray(scores, inputs.dtype).reshape(-1, 1),
        )

    return decode


def _collapse(classes: Any, blank: int, merge: bool) -> list[int]:
    kept: list[int] = []
    previous = -1
    for value in classes.tolist():
        if value != blank and not (merge and value == previous):
            kept.append(value)
        previous = value
    return kept
