"""Counting into bins and ranking by size."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns, static_count, static_int

RANK = OpTable("rank")


# Bins


@RANK.op("Bincount")
def bincount(node: NodeView) -> Kernel:
    dtype = node.dtype().numpy

    def count(values: Value, size: Value, weights: Value) -> Value:
        number = static_count(size, "the number of bins")
        amounts = _amounts(values, weights, dtype).reshape(-1)
        return add_into(values.reshape(-1), amounts, number)

    return count


@RANK.op("DenseBincount")
def dense_bincount(node: NodeView) -> Kernel:
    """Counts of a vector, or of each row of a matrix."""
    dtype = node.dtype().numpy
    binary = bool(node.attr("binary_output"))

    def count(values: Value, size: Value, weights: Value) -> Value:
        number = static_count(size, "the number of bins")
        amounts = _amounts(values, None if binary else weights, dtype)
        if np.ndim(values) < 2:
            counts = add_into(values.reshape(-1), amounts.reshape(-1), number)
        else:
            counts = _row_counts(values, amounts, number)
        return (counts > 0).astype(dtype) if binary else counts

    return count


def _amounts(values: Value, weights: Value | None, dtype: Any) -> Value:
    """What each value adds to its bin: its weight, or one where no weights are given."""
    if weights is None or weights.size == 0:
        return np.ones(values.shape, dtype)
    return weights


def _row_counts(values: Value, amounts: Value, size: int) -> Value:
    rows = values.shape[0]
    xp = ns(values)
    inside = (values >= 0) & (values < size)
    row = np.arange(rows, dtype=values.dtype)[:, np.newaxis]
    flat = xp.where(inside, values + row * size, rows * size).reshape(-1)
    return add_into(flat, amounts.reshape(-1), rows * size).reshape(rows, size)


def add_into(index: Value, amounts: Value, size: int) -> Value:
    """A vector of `size` sums: each amount added at its index; indices outside are left out."""
    xp = ns(index, amounts)
    inside = (index >= 0) & (index < size)
    total = np.zeros(size, amounts.dtype)
    if xp is np:
        np.add.at(total, index[inside], amounts[inside])
        return total
    return jnp.asarray(total).at[jnp.where(inside, index, size)].add(amounts, mode="drop")


@RANK.op("HistogramFixedWidth")
def histogram_fixed_width(node: NodeView) -> Kernel:
    """Counts in equal bins between two bounds; what is outside goes to the end bins."""
    dtype = node.dtype("dtype").numpy
    node.dtype("T")

    def count(values: Value, bounds: Value, bins: Value) -> Value:
        number = static_count(bins, "the number of bins")
        xp = ns(values, bounds)
        low, high = bounds[0].astype(np.float64), bounds[1].astype(np.float64)
        step = (high - low) / number
        above = xp.maximum(values.astype(np.float64) - low, 0.0)
        index = xp.minimum(above / step, float(number - 1)).astype(np.int32).reshape(-1)
        return add_into(index, np.ones(index.shape, dtype), number)

    return count


@RANK.op("Bucketize")
def bucketize(node: NodeView) -> Kernel:
    """For each element the number of boundaries that do not exceed it."""
    boundaries = np.asarray(node.attr("boundaries"), np.float32)

    def find(x: Value) -> Value:
        wide = x.astype(np.float64)
        edges = boundaries.astype(np.float64)
        return ns(x).searchsorted(edges, wide, side="right").astype(np.int32)

    return find


@RANK.op("BoostedTreesBucketize")
def boosted_trees_bucketize(node: NodeView) -> Kernel:
    """For each feature the bucket of each value: the first whose upper boundary holds it."""
    features = int(node.attr("num_features"))

    def find(*inputs: Value) -> tuple[Value, ...]:
        pairs = zip(inputs[:features], inputs[features:], strict=True)
        return tuple(_bucket(values, boundaries) for values, boundaries in pairs)

    return find


def _bucket(values: Value, boundaries: Value) -> Value:
    xp = ns(values, boundaries)
    place = xp.searchsorted(boundaries, values, side="left")
    return xp.minimum(place, max(boundaries.shape[0] - 1, 0)).astype(np.int32)


# Ranks


def _top(x: Value, count: int, index: Any) -> tuple[Value, Value]:
    """The largest entries of the last axis in falling order; of equals, the first comes first."""
    if not is_static(x):
        # Zeros of both signs are equal.
        _, where = jax.lax.top_k(jnp.where(x == 0, jnp.zeros_like(x), x), count)
        return jnp.take_along_axis(x, where, -1), where.astype(index)
    size = x.shape[-1]
    order = size - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1][..., :count]
    return np.take_along_axis(x, order, -1), order.astype(index)


@RANK.op("TopK")
def top_k(node: NodeView) -> Kernel:
    node.attr("sorted")
    count = int(node.attr("k"))
    return lambda x: _top(x, count, np.int32)


@RANK.op("TopKV2")
def top_k_v2(node: NodeView) -> Kernel:
    node.attr("sorted")
    index = node.dtype("index_type").numpy
    return lambda x, k: _top(x, static_int(k, "the number of largest entries"), index)


@RANK.op("ApproxTopK")
def approx_top_k(node: NodeView) -> Kernel:
    """The exact answer, which any recall target allows."""
    count = int(node.attr("k"))
    axis = int(node.attr("reduction_dimension"))
    largest = bool(node.attr("is_max_k"))
    for name in ("recall_target", "reduction_input_size_override"):
        node.attr(name)
    if not node.attr("aggregate_to_topk"):
        raise node.refuse("partial results depend on the hardware")

    def find(x: Value) -> tuple[Value, Value]:
        moved = ns(x).moveaxis(x, axis, -1)
        values, where = _top(moved if largest else -moved, count, np.int32)
        values = values if largest else -values
        return ns(x).moveaxis(values, -1, axis), ns(x).moveaxis(where, -1, axis)

    return find


@RANK.op("NthElement")
def nth_element(node: NodeView) -> Kernel:
    backward = bool(node.attr("reverse"))

    def find(x: Value, n: Value) -> Value:
        number = static_int(n, "the rank of the wanted element")
        ordered = ns(x).sort(x, axis=-1)
        return ordered[..., x.shape[-1] - 1 - number if backward else number]

    return find


def _in_top_k(predictions: Value, targets: Value, k: Value) -> Value:
    """Whether fewer than `k` classes beat the target's; never for scores that are not finite."""
    xp = ns(predictions, targets, k)
    classes = predictions.shape[1]
    valid = (targets >= 0) & (targets < classes)
    column = xp.where(valid, targets, 0)[:, np.newaxis]
    score = xp.take_along_axis(predictions, column, axis=1)
    better = xp.sum(predictions > score, axis=1)
    return (
        (better < k)
        & valid
        & xp.isfinite(score[:, 0])
        & xp.all(xp.isfinite(predictions) | (predictions <= score), axis=1)
    )


@RANK.op("InTopK")
def in_top_k(node: NodeView) -> Kernel:
    node.dtype("T")
    k = np.asarray(int(node.attr("k")))
    return lambda predictions, targets: _in_top_k(predictions, targets, k)


@RANK.op("InTopKV2")
def in_top_k_v2(node: NodeView) -> Kernel:
    node.dtype("T")
    return _in_top_k


# Falling sequences


@RANK.op("IsotonicRegression")
def isotonic_regression(node: NodeView) -> Kernel:
    """Each row's nearest falling sequence, and its segments: runs that have their mean.

    An entry is the least, over where a run with it may begin, of the largest mean of such runs (the
    min-max formula); the mean of what runs together is what is differentiated.
    """
    dtype = node.dtype("output_dtype").numpy

    def fit(x: Value) -> tuple[Value, Value]:
        xp = ns(x)
        wide = x.astype(np.float64)
        segments = xp.cumsum(_begins(wide), axis=-1, dtype=np.int32) - 1
        alike = (segments[..., :, np.newaxis] == segments[..., np.newaxis, :]).astype(np.float64)
        sums = xp.sum(alike * wide[..., np.newaxis, :], axis=-1)
        return (sums / xp.sum(alike, axis=-1)).astype(dtype), segments

    return fit


def _begins(x: Value) -> Value:
    """Whether a segment begins at an entry of a row."""
    xp, size = ns(x), x.shape[-1]
    first, last = np.arange(size)[:, np.newaxis], np.arange(size)
    sums = xp.concatenate([xp.zeros_like(x[..., :1]), xp.cumsum(x, axis=-1)], axis=-1)
    totals = sums[..., np.newaxis, 1:] - sums[..., :-1, np.newaxis]
    means = xp.where(last >= first, totals / np.maximum(last - first + 1, 1), -np.inf)
    largest = xp.flip(_running(xp, xp.flip(means, -1)), -1)  # of runs from `first` past an entry
    least = xp.min(xp.where(last >= first, largest, np.inf), axis=-2, initial=np.inf)
    return xp.diagonal(largest, axis1=-2, axis2=-1) == least


def _running(xp: Any, x: Value) -> Value:
    """The largest so far, along the last axis."""
    if xp is np:
        return np.maximum.accumulate(x, axis=-1)
    return jax.lax.cummax(x, axis=x.ndim - 1)
