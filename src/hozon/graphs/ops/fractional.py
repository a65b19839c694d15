"""Pooling over regions of two neighbouring sizes, whose order is random.

Regions come as their limits along an axis: region i goes from limit i to limit i + 1, which it
includes where regions overlap.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hozon.graphs.slopes import with_slope_of
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_ints

FRACTIONAL = OpTable("fractional")


@FRACTIONAL.op("FractionalMaxPool", "FractionalAvgPool", context=True, random=True)
def fractional_pool(node: NodeView) -> Kernel:
    """The pooled pictures, and the limits of rows and columns."""
    ratio = [float(part) for part in node.attr("pooling_ratio")]
    pseudo, overlapping = bool(node.attr("pseudo_random")), bool(node.attr("overlapping"))
    for name in ("deterministic", "seed", "seed2"):
        node.attr(name)  # the stream of random numbers is our own
    reduce = _maximum if node.op == "FractionalMaxPool" else _mean

    def kernel(context: Any, x: Value) -> tuple[Value, ...]:
        x = jnp.asarray(x)
        rows, columns = (
            _limits(context.random_key(), x.shape[axis], int(x.shape[axis] / ratio[axis]), pseudo)
            for axis in (1, 2)
        )
        return reduce(x, rows, columns, overlapping), rows, columns

    return kernel


def _limits(key: Value, size: int, count: int, pseudo: bool) -> Value:
    """Limits of `count` regions that cover `size`: each has the lesser or the greater size."""
    least, alpha = size // count, size / count
    if not pseudo:
        lengths = jnp.full(count, least).at[: size % count].add(1)
        ends = jnp.cumsum(jax.random.permutation(key, lengths))
        return jnp.concatenate([jnp.zeros(1, ends.dtype), ends]).astype("int64")
    # The shift leaves the first region and the last one as large as the others may be.
    most = min((least + 2) / alpha - 1, (size + 1 - least) / alpha - (count - 1))
    shift = jax.random.uniform(key, (), "float32") * most
    inner = jnp.ceil(alpha * (jnp.arange(1, count) + shift)).astype("int64") - 1
    return jnp.concatenate([jnp.zeros(1, "int64"), inner, jnp.full(1, size, "int64")])


def _regions(x: Value, limits: Value, axis: int, overlapping: bool) -> tuple[Value, Value]:
    """`x` with an axis of regions and one of places in them; which places are within."""
    size, count = x.shape[axis], limits.shape[0] - 1
    longest = -(-size // count) + 1
    at = limits[:-1, None] + jnp.arange(longest)
    within = at < jnp.minimum(limits[1:, None] + int(overlapping), size)
    return jnp.take(x, jnp.clip(at, 0, size - 1), axis=axis), within


def _windows(x: Value, rows: Value, columns: Value, overlapping: bool) -> tuple[Value, Value]:
    """Windows of shape (batch, row, column, places, channels), and which places are within."""
    x, tall = _regions(x, rows, 1, overlapping)
    x, wide = _regions(x, columns, 3, overlapping)
    within = tall[:, None, :, None] & wide[None, :, None, :]
    windows = jnp.swapaxes(x, 2, 3)
    batch, high, broad, *_, depth = windows.shape
    return windows.reshape(batch, high, broad, -1, depth), within.reshape(high, broad, -1, 1)


def _maximum(x: Value, rows: Value, columns: Value, overlapping: bool) -> Value:
    """The largest of each window; of equal ones the first has the gradient."""
    windows, within = _windows(x, rows, columns, overlapping)
    largest = jnp.max(windows, axis=3, initial=_lowest(x.dtype), where=within)
    equal = within & (windows == largest[:, :, :, None])
    first = equal & (jnp.cumsum(equal, axis=3, dtype="int32") == 1)
    return with_slope_of(largest, jnp.sum(jnp.where(first, windows, 0), axis=3, dtype=x.dtype))


def _lowest(dtype: Any) -> Any:
    floating = jnp.issubdtype(dtype, jnp.floating)
    return -jnp.inf if floating else jnp.iinfo(dtype).min


def _mean(x: Value, rows: Value, columns: Value, overlapping: bool) -> Value:
    windows, within = _windows(x, rows, columns, overlapping)
    total = jnp.sum(jnp.where(within, windows, 0), axis=3, dtype=x.dtype)
    count = jnp.sum(within, axis=2, dtype=x.dtype)
    return total / count if jnp.issubdtype(x.dtype, jnp.floating) else total // count


@FRACTIONAL.op("FractionalMaxPoolGrad")
def fractional_max_pool_grad(node: NodeView) -> Kernel:
    overlapping = bool(node.attr("overlapping"))

    def kernel(x: Value, _: Value, grad: Value, rows: Value, columns: Value) -> Value:
        rows, columns = jnp.asarray(rows), jnp.asarray(columns)
        pool = lambda x: _maximum(x, rows, columns, overlapping)
        return jax.vjp(pool, jnp.asarray(x))[1](jnp.asarray(grad))[0]

    return kernel


@FRACTIONAL.op("FractionalAvgPoolGrad")
def fractional_avg_pool_grad(node: NodeView) -> Kernel:
    overlapping = bool(node.attr("overlapping"))

    def kernel(shape: Value, grad: Value, rows: Value, columns: Value) -> Value:
        rows, columns = jnp.asarray(rows), jnp.asarray(columns)
        zeros = jnp.zeros(static_ints(shape, "the shape of pictures"), grad.dtype)
        pool = lambda x: _mean(x, rows, columns, overlapping)
        return jax.vjp(pool, zeros)[1](jnp.asarray(grad))[0]

    return kernel
