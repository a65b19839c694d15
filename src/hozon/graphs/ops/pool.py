"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.slopes import with_slope_of
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_ints
from hozon.kernels.pooling import lowest, max_windows, sum_windows

POOL = OpTable("pool")

Pads = Sequence[tuple[int, int]]


class Window:
    """Window, strides and padding of a pooling node over all axes of its input."""

    def __init__(self, node: NodeView) -> None:
        definition = node.definition
        declared = definition.attrs if definition is not None else {}
        self.first = "data_format" in declared and node.text("data_format").startswith("NC")
        self.size = node.ints("ksize") if "ksize" in declared else ()
        self.strides = node.ints("strides") if "strides" in declared else ()
        self.padding = node.text("padding")
        self.explicit: tuple[int, ...] = ()
        if "explicit_paddings" in declared:
            self.explicit = node.ints("explicit_paddings")

    def pads(self, shape: Sequence[int]) -> Pads:
        """Padding before and after each axis for an input of `shape`."""
        if self.padding == "EXPLICIT":
            return list(zip(self.explicit[::2], self.explicit[1::2], strict=True))
        return jax.lax.padtype_to_pads(shape, self.size, self.strides, self.padding)

    def maximum(self, x: Value) -> Value:
        """The maximum of every window."""
        x = jnp.asarray(x)
        return max_windows(x, self.size, self.strides, self.pads(x.shape))

    def total(self, x: Value) -> Value:
        """The sum of every window."""
        x = jnp.asarray(x)
        return sum_windows(x, self.size, self.strides, self.pads(x.shape))


@POOL.op("AvgPool", "AvgPool3D")
def avg_pool(node: NodeView) -> Kernel:
    window = Window(node)
    return lambda x: average(window, x)


def average(window: Window, x: Value) -> Value:
    """The mean of every window; padding does not count."""
    total = window.total(x)
    if window.padding == "VALID":
        return total / int(np.prod(window.size))
    spatial = jnp.ones(
        [1 if i in (0, 1 if window.first else x.ndim - 1) else n for i, n in enumerate(x.shape)],
        total.dtype,
    )
    count = jax.lax.reduce_window(
        spatial,
        np.asarray(0, total.dtype),
        jax.lax.add,
        window.size,
        window.strides,
        window.pads(x.shape),
    )
    return total / count


def _sized(node: NodeView, window: Window, rule: Kernel) -> Kernel:
    """`rule` of a node whose window and strides are attributes, or in V2 its last two inputs."""
    if not node.op.endswith("V2"):
        return rule

    def sized(*values: Value) -> Value:
        window.size = static_ints(values[-2], "the window")
        window.strides = static_ints(values[-1], "the strides")
        return rule(*values[:-2])

    return sized


@POOL.op("MaxPool", "MaxPool3D", "MaxPoolV2")
def max_pool(node: NodeView) -> Kernel:
    if node.op == "MaxPool" and node.text("data_format") == "NCHW_VECT_C":
        raise node.refuse("data_format NCHW_VECT_C")
    window = Window(node)
    return _sized(node, window, lambda x: window.maximum(x))


@POOL.op("MaxPoolGrad", "MaxPool3DGrad", "MaxPoolGradV2")
def max_pool_grad(node: NodeView) -> Kernel:
    window = Window(node)

    def gradient(x: Value, y: Value, g: Value) -> Value:
        _, pull = jax.vjp(lambda v: window.maximum(v), jnp.asarray(x))
        return pull(jnp.asarray(g))[0]

    return _sized(node, window, gradient)


@POOL.op("MaxPoolGradGrad", "MaxPool3DGradGrad", "MaxPoolGradGradV2")
def max_pool_grad_grad(node: NodeView) -> Kernel:
    """What the gradient of `max_pool_grad` is for `g`: `g` where each window has its maximum."""
    window = Window(node)

    def gradient(x: Value, y: Value, g: Value) -> Value:
        primal, tangent = jnp.asarray(x), jnp.asarray(g)
        return jax.jvp(lambda v: window.maximum(v), (primal,), (tangent,))[1]

    return _sized(node, window, gradient)


@POOL.op("MaxPoolGradWithArgmax")
def max_pool_grad_with_argmax(node: NodeView) -> Kernel:
    for name in ("ksize", "strides", "padding"):
        node.attr(name)  # the positions say it all
    batched = bool(node.attr("include_batch_in_index"))

    def gradient(x: Value, g: Value, positions: Value) -> Value:
        start = 0 if batched or not x.shape[0] else x.size // x.shape[0]
        rows = jnp.arange(x.shape[0])[:, None, None, None] * start
        flat = (jnp.asarray(positions) + rows).reshape(-1)
        zeros = jnp.zeros(x.size, g.dtype)
        return zeros.at[flat].add(jnp.asarray(g).reshape(-1)).reshape(x.shape)

    return gradient


@POOL.op("AvgPoolGrad", "AvgPool3DGrad")
def avg_pool_grad(node: NodeView) -> Kernel:
    window = Window(node)

    def gradient(shape: Value, g: Value) -> Value:
        sizes = static_ints(shape, "the shape of a pooling input")
        zeros = jnp.zeros(sizes, g.dtype)
        _, pull = jax.vjp(lambda v: average(window, v), zeros)
        return pull(jnp.asarray(g))[0]

    return gradient


@POOL.op("MaxPoolWithArgmax")
def max_pool_with_argmax(node: NodeView) -> Kernel:
    window = Window(node)
    batched = bool(node.attr("include_batch_in_index"))
    index_type = node.dtype("Targmax").numpy

    def pool(x: Value) -> tuple[Value, Value]:
        x = jnp.asarray(x)
        largest, places = extremes(jax.lax.stop_gradient(x))
        starts = jnp.arange(x.shape[0], dtype=index_type)[:, None, None, None]
        flat = places if batched or not x.shape[0] else places + starts * (x.size // x.shape[0])
        return with_slope_of(largest, x.reshape(-1)[flat]), places

    def extremes(x: Value) -> tuple[Value, Value]:
        positions = jnp.arange(x.size, dtype=index_type).reshape(x.shape)
        if not batched and x.shape[0]:
            positions = positions % (x.size // x.shape[0])

        def larger(a: Any, b: Any) -> Any:
            first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
            return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

        start = (np.asarray(lowest(x.dtype), x.dtype), np.asarray(np.iinfo(index_type).max))
        start = (start[0], start[1].astype(index_type))
        return jax.lax.reduce_window(
            (x, positions), start, larger, window.size, window.strides, window.pads(x.shape)
        )

    return pool
