"""Recurrent cells that TensorFlow computes in one op, and the block LSTM over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value

CELLS = OpTable("cells")

Step = Callable[[Any, Any, Any], tuple[Any, ...]]


def _lstm(node: NodeView, weights: tuple[Value, ...]) -> Step:
    """One step: x, the old cell state and output give i, cs, f, o, ci, co, h.

    The gates lie side by side as i, ci, f, o, in ``BlockLSTMV2`` as i, f, ci, o
    (tensorflow/core/kernels/rnn/lstm_ops.cc).
    """
    clip = float(node.attr("cell_clip"))
    second = node.op == "BlockLSTMV2"
    forget_bias = 0.0 if second else float(node.attr("forget_bias"))
    w, *peepholes, b = map(jnp.asarray, weights)
    wci, wcf, wco = peepholes if node.attr("use_peephole") else (jnp.zeros((), w.dtype),) * 3

    def step(x: Any, cs_prev: Any, h_prev: Any) -> tuple[Any, ...]:
        gates = jnp.split(jnp.concatenate([x, h_prev], 1) @ w + b, 4, axis=1)
        i, f, ci, o = gates if second else (gates[0], gates[2], gates[1], gates[3])
        i = jax.nn.sigmoid(i + cs_prev * wci)
        f = jax.nn.sigmoid(f + forget_bias + cs_prev * wcf)
        ci = jnp.tanh(ci)
        cs = ci * i + cs_prev * f
        cs = jnp.clip(cs, -clip, clip) if clip > 0 else cs
        o = jax.nn.sigmoid(o + cs * wco)
        co = jnp.tanh(cs)
        return i, cs, f, o, ci, co, co * o

    return step


def _settings(node: NodeView) -> None:
    for name in ("cell_clip", "use_peephole", "forget_bias"):
        if node.definition is not None and name in node.definition.attrs:
            node.attr(name)


@CELLS.op("LSTMBlockCell")
def lstm_cell(node: NodeView) -> Kernel:
    _settings(node)

    def kernel(x: Value, cs_prev: Value, h_prev: Value, *weights: Value) -> tuple[Value, ...]:
        return _lstm(node, weights)(*map(jnp.asarray, (x, cs_prev, h_prev)))

    return kernel


@CELLS.op("BlockLSTM", "BlockLSTMV2")
def block_lstm(node: NodeView) -> Kernel:
    """The cell over the first axis of x; steps from `length` on give zeros."""
    _settings(node)

    def kernel(
        length: Value, x: Value, cs_prev: Value, h_prev: Value, *weights: Value
    ) -> tuple[Value, ...]:
        step = _lstm(node, weights)

        def advance(state: tuple[Any, Any], now: Any) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
            outputs = step(now, *state)
            return (outputs[1], outputs[6]), outputs

        start = (jnp.asarray(cs_prev), jnp.asarray(h_prev))
        _, outputs = jax.lax.scan(advance, start, jnp.asarray(x))
        runs = (jnp.arange(x.shape[0]) < length)[:, None, None]
        return tuple(jnp.where(runs, y, jnp.zeros((), y.dtype)) for y in outputs)

    return kernel


@CELLS.kernel("GRUBlockCell")
def gru_cell(
    x: Value, h_prev: Value, w_ru: Value, w_c: Value, b_ru: Value, b_c: Value
) -> tuple[Value, ...]:
    """r, u, c and the new output h (tensorflow/core/kernels/rnn/gru_ops.cc)."""
    gates = jax.nn.sigmoid(jnp.concatenate([x, h_prev], 1) @ jnp.asarray(w_ru) + b_ru)
    r, u = jnp.split(gates, 2, axis=1)
    c = jnp.tanh(jnp.concatenate([x, h_prev * r], 1) @ jnp.asarray(w_c) + b_c)
    return r, u, c, u * h_prev + (1 - u) * c
