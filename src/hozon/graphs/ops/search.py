"""Finding, counting and comparing elements: results whose size depends on data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, static, static_ints

SEARCH = OpTable("search")
Array = np.ndarray[Any, Any]


@SEARCH.kernel("Where", host=True)
def where(condition: Value) -> Value:
    """The indices of all elements that are not zero, one per row, int64."""
    known = static(condition, "the number of elements found")
    return np.argwhere(known).astype(np.int64)


def first_seen(x: Array) -> tuple[Array, Array, Array]:
    """For the rows of `x`: where each distinct one is first, its number per row, and counts.

    Distinct rows are numbered as they appear. NaN differs from everything, itself included.
    """
    if x.dtype == object or (x.ndim > 1 and not x[0:1].size):
        return _first_seen_objects(x)
    axis = None if x.ndim == 1 else 0
    _, first, inverse, counts = np.unique(
        x,
        return_index=True,
        return_inverse=True,
        return_counts=True,
        axis=axis,
        equal_nan=False,
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)], counts[order]


def _first_seen_objects(x: Array) -> tuple[Array, Array, Array]:
    numbers: dict[Any, int] = {}
    first: list[int] = []
    inverse = np.zeros(len(x), np.int64)
    for i, row in enumerate(x.reshape(len(x), -1).tolist() if x.ndim > 1 else x.tolist()):
        key = tuple(row) if isinstance(row, list) else row
        if key not in numbers:
            numbers[key] = len(first)
            first.append(i)
        inverse[i] = numbers[key]
    return (
        np.asarray(first, np.int64),
        inverse,
        np.bincount(inverse, minlength=len(first)),
    )


@SEARCH.op("Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", host=True)
def unique(node: NodeView) -> Kernel:
    """Distinct elements, or slices along an axis, in the order of their first appearance."""
    dtype = node.dtype("out_idx").numpy
    counted = "Counts" in node.op

    def kernel(values: Value, axes: Value = ()) -> tuple[Value, ...]:
        x = static(values, "the number of distinct elements")
        axis = next(iter(static_ints(axes, "the axis")), 0)
        first, inverse, counts = first_seen(np.moveaxis(x, axis, 0))
        found = (
            np.take(x, first, axis=axis),
            inverse.astype(dtype),
            counts.astype(dtype),
        )
        return found if counted else found[:2]

    return kernel


@SEARCH.op("ListDiff", host=True)
def list_diff(node: NodeView) -> Kernel:
    """What is in `x` and not in `y`, with positions; order and repetitions are kept."""
    dtype = node.dtype("out_idx").numpy

    def kernel(x: Value, y: Value) -> tuple[Value, Value]:
        known = static(x, "the number of elements left")
        other = set(static(y, "the number of elements left").tolist())
        kept = [i for i, value in enumerate(known.tolist()) if value not in other]
        index = np.asarray(kept, np.int64)
        return known[index], index.astype(dtype)

    return kernel


@SEARCH.op("LowerBound", "UpperBound")
def bound(node: NodeView) -> Kernel:
    """Row by row, where values would be inserted in sorted inputs."""
    dtype = node.dtype("out_type").numpy
    side: Literal["left", "right"] = "left" if node.op == "LowerBound" else "right"

    def kernel(inputs: Value, values: Value) -> Value:
        if is_static(inputs) and is_static(values):
            rows = [np.searchsorted(a, v, side) for a, v in zip(inputs, values, strict=True)]
            return np.asarray(rows, dtype).reshape(values.shape)
        search: Callable[..., Value] = jax.vmap(lambda a, v: jnp.searchsorted(a, v, side))
        return search(jnp.asarray(inputs), jnp.asarray(values)).astype(dtype)

    return kernel


@SEARCH.op("EditDistance", host=True)
def edit_distance(node: NodeView) -> Kernel:
    """Levenshtein distances between the sequences of two sparse tensors, float32.

    Divided by the length of the truth if `normalize`; infinite where only the truth is empty.
    """
    normalize = bool(node.attr("normalize"))

    def kernel(*inputs: Value) -> Value:
        known = [static(x, "a sequence") for x in inputs]
        guesses, truths = sequences(*known[:3]), sequences(*known[3:])
        shape = np.maximum(known[2], known[5])[:-1]
        distances = np.zeros(tuple(int(n) for n in shape), np.float32)
        for place in {*guesses, *truths}:
            guess, truth = guesses.get(place, []), truths.get(place, [])
            distance: float = levenshtein(guess, truth)
            if normalize:
                distance = distance / len(truth) if truth else (np.inf if guess else 0.0)
            distances[place] = distance
        return distances

    return kernel


def sequences(indices: Array, values: Array, shape: Array) -> dict[tuple[int, ...], list[Any]]:
    """The values of a sparse tensor grouped by all but their last index."""
    groups: dict[tuple[int, ...], list[Any]] = {}
    for row, value in zip(indices.tolist(), values.tolist(), strict=True):
        groups.setdefault(tuple(row[:-1]), []).append(value)
    return groups


def levenshtein(first: list[Any], second: list[Any]) -> int:
    """The least number of insertions, deletions and replacements that turn one into the other."""
    costs = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        previous, costs[0] = costs[0], i
        for j, b in enumerate(second, 1):
            change = previous + (a != b)
            previous = costs[j]
            costs[j] = min(costs[j] + 1, costs[j - 1] + 1, change)
    return costs[-1]


SET_OPERATIONS: dict[str, Callable[[set[Any], set[Any]], set[Any]]] = {
    "a-b": lambda a, b: a - b,
    "b-a": lambda a, b: b - a,
    "intersection": lambda a, b: a & b,
    "union": lambda a, b: a | b,
}


@SEARCH.op(
    "DenseToDenseSetOperation", "DenseToSparseSetOperation", "SparseToSparseSetOperation", host=True
)
def set_operation(node: NodeView) -> Kernel:
    """Sets in the last axis combined group by group; the result is sparse, values sorted."""
    name = node.text("set_operation")
    if name not in SET_OPERATIONS:
        raise node.refuse(f"set operation {name!r}")
    combine = SET_OPERATIONS[name]
    widths = {"DenseToDense": (1, 1), "DenseToSparse": (1, 3), "SparseToSparse": (3, 3)}
    split = widths[node.op.removesuffix("SetOperation")]

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        known = [static(x, "a set") for x in inputs]
        first, left = _groups(known[: split[0]])
        second, right = _groups(known[split[0] :])
        if len(left) != len(right):
            raise MismatchError(f"node {node.name!r} combines sets of shapes {left} and {right}")
        dtype = known[0].dtype if split[0] == 1 else known[1].dtype
        places = sorted({*first, *second})
        found = {p: sorted(combine(first.get(p, set()), second.get(p, set()))) for p in places}
        outer = tuple(max(a, b) for a, b in zip(left, right, strict=True))
        return _sparse_groups(found, outer, dtype)

    return kernel


def _groups(
    parts: list[Array],
) -> tuple[dict[tuple[int, ...], set[Any]], tuple[int, ...]]:
    if len(parts) == 3:
        groups = sequences(*parts)
        outer = tuple(int(n) for n in parts[2][:-1])
        return {place: set(values) for place, values in groups.items()}, outer
    (dense,) = parts
    outer = dense.shape[:-1]
    return {place: set(dense[place].tolist()) for place in np.ndindex(*outer)}, outer


def _sparse_groups(
    groups: dict[tuple[int, ...], list[Any]],
    outer: tuple[int, ...],
    dtype: np.dtype[Any],
) -> tuple[Array, Array, Array]:
    rows = [(*place, i) for place, group in groups.items() for i in range(len(group))]
    values = [value for group in groups.values() for value in group]
    indices = np.asarray(rows, np.int64).reshape(len(rows), len(outer) + 1)
    most = max(map(len, groups.values()), default=0)
    return indices, np.asarray(values, dtype), np.asarray([*outer, most], np.int64)


@SEARCH.op("SetSize", host=True)
def set_size(node: NodeView) -> Kernel:
    """The number of distinct values in each set of a sparse tensor, int32."""

    def kernel(indices: Value, values: Value, shape: Value) -> Value:
        groups, outer = _groups([static(x, "a set") for x in (indices, values, shape)])
        sizes = np.zeros(outer, np.int32)
        for place, group in groups.items():
            sizes[place] = len(group)
        return sizes

    return kernel
