"""Reductions of rows that share a segment id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np

from hozon.graphs.ops.math import truncate_div
from hozon.graphs.ops.reduce import NARROW
from hozon.graphs.slopes import differentiated
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns, static, static_count

SEGMENT = OpTable("segment")


@dataclass(frozen=True, slots=True)
class Combine:
    """How values of one segment combine: NumPy's ufunc, the method of ``x.at``, the start."""

    ufunc: Any
    method: str
    start: Callable[[Any], Any]


def finite(dtype: Any) -> Any:
    """The limits of a dtype; an extreme of no rows is the finite limit, not infinity."""
    floating = jnp.issubdtype(dtype, jnp.floating)
    return ml_dtypes.finfo(dtype) if floating else np.iinfo(dtype)


ADD = Combine(np.add, "add", lambda dtype: np.zeros((), dtype))
MULTIPLY = Combine(np.multiply, "multiply", lambda dtype: np.ones((), dtype))
MAXIMUM = Combine(np.maximum, "max", lambda dtype: finite(dtype).min)
MINIMUM = Combine(np.minimum, "min", lambda dtype: finite(dtype).max)


def combine(data: Value, ids: Value, count: int, how: Combine) -> Value:
    """`count` rows: row i combines the rows of `data` whose id is i; other ids are left out.

    `ids` has the leading axes of `data`; an empty segment keeps the start value.
    """
    rank = np.ndim(ids)
    rows = (
        ns(data).reshape(data, (-1, *data.shape[rank:]))
        if data.size
        else (ns(data).reshape(data, (int(np.prod(ids.shape)), *data.shape[rank:])))
    )
    ids = ns(ids).reshape(ids, (-1,))
    total = np.full((count, *data.shape[rank:]), how.start(data.dtype), data.dtype)
    inside = (ids >= 0) & (ids < count)
    if is_static(data) and is_static(ids) and data.dtype.name not in NARROW:
        how.ufunc.at(total, ids[inside], rows[inside])
        return total
    place = jnp.where(inside, ids, count)
    if how is MULTIPLY and jnp.issubdtype(data.dtype, jnp.inexact):
        return _products(rows, place, count)
    return _combined(rows, place, total, how)


def _combined(rows: Value, place: Value, total: Value, how: Combine) -> Value:
    update = getattr(jnp.asarray(total).at[place], how.method)
    return update(rows, mode="drop")


def _products(rows: Value, place: Value, count: int) -> Value:
    """Products of rows; JAX has no derivative for them."""
    shape = (count, *rows.shape[1:])

    def multiplied(x: Value) -> Value:
        return _combined(x, place, jnp.ones(shape, x.dtype), MULTIPLY)

    def slope(g: Value, x: Value, product: Value) -> Value:
        zero = x == 0
        others = jnp.where(zero, jnp.ones_like(x), x)
        zeros = _combined(zero.astype(x.dtype), place, jnp.zeros(shape, x.dtype), ADD)
        rest = multiplied(others)[place] / others
        left = zeros[place] - zero
        share = g * jnp.where(left == 0, rest, jnp.zeros_like(rest))
        return _combined(share, place, jnp.zeros(shape, x.dtype), ADD)

    return differentiated(multiplied, slope)(jnp.asarray(rows))


def _counts(ids: Value, count: int, dtype: Any) -> Value:
    """How many rows each segment has, at least one."""
    ids = ns(ids).reshape(ids, (-1,))
    number = combine(np.ones(ids.shape, dtype), ids, count, ADD)
    return ns(number).maximum(number, np.ones((), dtype))


def _columns(vector: Value, rank: int) -> Value:
    """A vector shaped to divide the rows of a tensor of `rank` axes."""
    return ns(vector).reshape(vector, (-1,) + (1,) * (rank - 1))


# Segments in order, as many as the last id says


def _last_count(ids: Value) -> int:
    known = static(ids, "the number of segments")
    return int(known[-1]) + 1 if known.size else 0


def _held(ids: Value, count: int) -> Value:
    """Which segments have rows."""
    return np.isin(np.arange(count), static(ids, "the segments that have rows"))


def _segment_mean(data: Value, ids: Value, count: int) -> Value:
    total = combine(data, ids, count, ADD)
    counts = _columns(_counts(ids, count, data.dtype), np.ndim(data))
    return truncate_div(total, counts)


def _segment_extreme(how: Combine) -> Callable[[Value, Value, int], Value]:
    """The extreme of each segment, zero where a segment has no rows."""

    def reduce(data: Value, ids: Value, count: int) -> Value:
        held = _columns(_held(ids, count), np.ndim(data))
        extremes = combine(data, ids, count, how)
        return ns(extremes).where(held, extremes, np.zeros((), data.dtype))

    return reduce


def _sorted_segments(name: str, reduce: Callable[[Value, Value, int], Value]) -> None:
    SEGMENT.kernel(name)(lambda data, ids: reduce(data, ids, _last_count(ids)))


_sorted_segments("SegmentSum", lambda data, ids, count: combine(data, ids, count, ADD))
_sorted_segments("SegmentProd", lambda data, ids, count: combine(data, ids, count, MULTIPLY))
_sorted_segments("SegmentMean", _segment_mean)
_sorted_segments("SegmentMax", _segment_extreme(MAXIMUM))
_sorted_segments("SegmentMin", _segment_extreme(MINIMUM))


# Segments in any order, as many as an input says


def _numbered_segments(kind: str, how: Combine) -> None:
    @SEGMENT.kernel(f"UnsortedSegment{kind}", f"Segment{kind}V2")
    def reduce(data: Value, ids: Value, count: Value) -> Value:
        return combine(data, ids, static_count(count, "the number of segments"), how)


for _name, _how in {"Sum": ADD, "Prod": MULTIPLY, "Max": MAXIMUM, "Min": MINIMUM}.items():
    _numbered_segments(_name, _how)


# Segments of selected rows


def _sum(total: Value, counts: Value) -> Value:
    return total


def _root(total: Value, counts: Value) -> Value:
    return total / ns(counts).sqrt(counts)


#: What becomes of the sum of a segment, given the number of its rows.
SCALINGS: dict[str, Callable[[Value, Value], Value]] = {
    "Sum": _sum,
    "Mean": truncate_div,
    "SqrtN": _root,
}


def _selected(data: Value, indices: Value, ids: Value, count: int, scale: Any) -> Value:
    rows = _rows(data, indices)
    total = combine(rows, ids, count, ADD)
    return scale(total, _columns(_counts(ids, count, data.dtype), np.ndim(data)))


def _rows(data: Value, indices: Value) -> Value:
    return data[indices] if is_static(data) and is_static(indices) else jnp.asarray(data)[indices]


def _sparse_segments(kind: str) -> None:
    scale = SCALINGS[kind]

    @SEGMENT.op(f"SparseSegment{kind}")
    def by_last_id(node: NodeView) -> Kernel:
        node.attr("sparse_gradient")
        return lambda data, indices, ids: _selected(data, indices, ids, _last_count(ids), scale)

    @SEGMENT.op(f"SparseSegment{kind}WithNumSegments")
    def by_number(node: NodeView) -> Kernel:
        node.attr("sparse_gradient")
        return lambda data, indices, ids, number: _selected(
            data, indices, ids, static_count(number, "the number of segments"), scale
        )

    @SEGMENT.op(f"SparseSegment{kind}Grad")
    def gradient(node: NodeView) -> Kernel:
        def scatter(grad: Value, indices: Value, ids: Value, rows: Value) -> Value:
            spread = _spread(grad, ids, scale)
            return combine(spread, indices, static_count(rows, "the number of rows"), ADD)

        return scatter

    @SEGMENT.op(f"SparseSegment{kind}GradV2", host=True)
    def compact_gradient(node: NodeView) -> Kernel:
        """Only the rows that were selected, and which these are."""

        def scatter(grad: Value, indices: Value, ids: Value, rows: Value) -> tuple[Value, Value]:
            unique, place = np.unique(indices, return_inverse=True)
            spread = _spread(grad, ids, scale)
            return combine(spread, place.reshape(-1), len(unique), ADD), unique

        return scatter


def _spread(grad: Value, ids: Value, scale: Any) -> Value:
    """The gradient of each selected row."""
    counts = _counts(ids, grad.shape[0], grad.dtype)
    scaled = scale(grad, _columns(counts, np.ndim(grad)))
    return _rows(scaled, ids)


for _kind in SCALINGS:
    _sparse_segments(_kind)
