"""Ragged tensors: values with row partitions, as dense, sparse or encoded tensors.

Partitions are static; values may be traced wherever their number does not depend on data.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError
from hozon.graphs.ops.gather import check_indices
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import (
    Value,
    ns,
    static,
    static_count,
    static_shape,
)

RAGGED = OpTable("ragged")
Array = np.ndarray[Any, Any]


def row_ids(splits: Array) -> Array:
    """The row of every value, from row splits."""
    return np.repeat(np.arange(len(splits) - 1), np.diff(splits))


def _splits(node: NodeView, kind: str, partition: Array, parents: int) -> Array:
    """Row splits of any row partition over `parents` rows."""
    if kind == "ROW_SPLITS":
        return partition
    if kind == "ROW_LENGTHS":
        return np.concatenate([[0], np.cumsum(partition)])
    if kind == "VALUE_ROWIDS":
        if partition.size and (np.diff(partition) < 0).any():
            raise MismatchError(f"node {node.name!r}: value_rowids are not sorted")
        return np.searchsorted(partition, np.arange(parents + 1))
    raise node.refuse(f"row partition {kind!r}")


@RAGGED.op("RaggedTensorToTensor")
def ragged_to_tensor(node: NodeView) -> Kernel:
    """A dense tensor, padded with the default and cut to the wanted shape."""
    kinds = [kind.decode() for kind in node.attr("row_partition_types")]

    def kernel(shape: Value, values: Value, default: Value, *partitions: Value) -> Value:
        known = [static(p, "a row partition") for p in partitions]
        levels = _levels(node, kinds, known)
        wanted = static(shape, "the shape of a padded tensor")
        sizes = _outer_shape(levels, wanted)
        source = _sources(levels, sizes)
        inner = tuple(values.shape[1:])
        lib = ns(values, default)
        blank = lib.broadcast_to(default, inner)[None]
        rows = lib.concatenate([values, blank])
        flat = np.where(source < 0, values.shape[0], source)
        return _fit_inner(lib.reshape(rows[flat], (*sizes, *inner)), wanted, node)

    return kernel


def _levels(node: NodeView, kinds: list[str], partitions: list[Array]) -> list[Array]:
    """Row splits per ragged axis, outermost first."""
    if kinds and kinds[0] == "FIRST_DIM_SIZE":
        count, kinds, partitions = int(partitions[0]), kinds[1:], partitions[1:]
    elif kinds and kinds[0] != "VALUE_ROWIDS":
        count = len(partitions[0]) - (kinds[0] == "ROW_SPLITS")
    else:
        raise FormatError(f"node {node.name!r}: no row partition says how many rows there are")
    levels: list[Array] = []
    for kind, partition in zip(kinds, partitions, strict=True):
        levels.append(_splits(node, kind, partition, count))
        count = int(levels[-1][-1]) if kind != "VALUE_ROWIDS" else len(partition)
    return levels


def _outer_shape(levels: list[Array], wanted: Array) -> tuple[int, ...]:
    """The sizes of the first axis and the ragged ones: what is wanted, else what is needed."""
    needed = [len(levels[0]) - 1, *(int(np.diff(s).max(initial=0)) for s in levels)]
    asked = wanted.tolist() if wanted.ndim else []
    asked += [-1] * len(needed)
    return tuple(n if want < 0 else int(want) for n, want in zip(needed, asked, strict=False))


def _sources(levels: list[Array], sizes: tuple[int, ...]) -> Array:
    """For each cell of the outer shape, the row of the values that goes there, or -1."""
    place = np.arange(len(levels[0]) - 1)
    place[place >= sizes[0]] = -1
    for splits, size in zip(levels, sizes[1:], strict=True):
        rows = row_ids(splits)
        column = np.arange(len(rows)) - splits[rows]
        parent = place[rows]
        place = np.where((parent >= 0) & (column < size), parent * size + column, -1)
    source = np.full(int(np.prod(sizes)), -1)
    kept = np.flatnonzero(place >= 0)
    source[place[kept]] = kept
    return source


def _fit_inner(dense: Value, wanted: Array, node: NodeView) -> Value:
    asked = wanted.tolist() if wanted.ndim else []
    if len(asked) and (
        len(asked) != dense.ndim
        or any(want not in (-1, n) for n, want in zip(dense.shape, asked, strict=True))
    ):
        raise MismatchError(f"node {node.name!r} cannot pad to {asked}: it has {dense.shape}")
    return dense


@RAGGED.op("RaggedTensorToSparse")
def ragged_to_sparse(node: NodeView) -> Kernel:
    """The indices, values and dense shape of the sparse tensor with the same elements."""
    depth = int(node.attr("RAGGED_RANK"))

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        splits = [static(s, "a row partition") for s in inputs[:depth]]
        values = inputs[depth]
        columns = [np.arange(len(splits[0]) - 1)]
        for one in splits:
            rows = row_ids(one)
            columns = [column[rows] for column in columns]
            columns.append(np.arange(len(rows)) - one[rows])
        inner = tuple(values.shape[1:])
        cells = list(np.ndindex(*inner))
        outer = np.stack(columns, axis=1)
        indices = np.concatenate(
            [
                np.repeat(outer, len(cells), axis=0),
                np.tile(np.asarray(cells, np.int64).reshape(len(cells), -1), (len(outer), 1)),
            ],
            axis=1,
        ).astype(np.int64)
        widths = (int(np.diff(s).max(initial=0)) for s in splits)
        shape = np.asarray([len(splits[0]) - 1, *widths, *inner], np.int64)
        return indices, values.reshape(-1), shape

    return kernel


@RAGGED.op("RaggedRange", host=True)
def ragged_range(node: NodeView) -> Kernel:
    """One range per row; scalars are shared by all rows."""
    dtype = node.dtype("Tsplits").numpy

    def kernel(starts: Value, limits: Value, deltas: Value) -> tuple[Value, Value]:
        known = [static(x, "the length of a range") for x in (starts, limits, deltas)]
        columns = np.broadcast_arrays(*(np.atleast_1d(x) for x in known))
        if (columns[2] == 0).any():
            raise MismatchError(f"node {node.name!r}: a range has step 0")
        first, last, step = columns
        spans = (last - first) / step
        lengths = np.maximum(np.ceil(spans), 0).astype(dtype)
        splits = np.concatenate([np.zeros(1, dtype), np.cumsum(lengths, dtype=dtype)])
        rows = row_ids(splits)
        position = (np.arange(len(rows)) - splits[rows]).astype(first.dtype)
        return splits, (first[rows] + position * step[rows]).astype(first.dtype)

    return kernel


@RAGGED.op("RaggedGather")
def ragged_gather(node: NodeView) -> Kernel:
    """Rows of a ragged tensor by index."""
    depth = int(node.attr("PARAMS_RAGGED_RANK"))
    node.attr("OUTPUT_RAGGED_RANK")

    def kernel(*inputs: Value) -> tuple[Value, ...]:
        params = [static(s, "a row partition") for s in inputs[:depth]]
        values, indices = inputs[depth], static(inputs[depth + 1], "a row number")
        check_indices(node, indices, len(params[0]) - 1)
        dtype = params[0].dtype
        outer = uniform_splits(indices.shape)
        inner, rows = gather_rows(params, indices.reshape(-1))
        return (*(s.astype(dtype) for s in (*outer, *inner)), values[rows])

    return kernel


def uniform_splits(shape: Sequence[int]) -> list[Array]:
    """The splits that describe the axes of a dense tensor after its first."""
    return [np.arange(math.prod(shape[:i]) + 1) * shape[i] for i in range(1, len(shape))]


def gather_rows(splits: Sequence[Array], rows: Array) -> tuple[list[Array], Array]:
    """The nested splits of the given rows, and the positions of their values."""
    found: list[Array] = []
    for one in splits:
        lengths = np.diff(one)[rows]
        chosen = np.concatenate([[0], np.cumsum(lengths)]).astype(one.dtype)
        found.append(chosen)
        local = np.arange(int(chosen[-1])) - np.repeat(chosen[:-1], lengths)
        rows = np.repeat(one[:-1][rows], lengths) + local
    return found, rows


@dataclass(frozen=True, eq=False, slots=True)
class RaggedVariant:
    """What a variant made of a ragged tensor holds: nested splits (perhaps none) and values."""

    splits: tuple[Array, ...]
    values: Value


def variants(items: Sequence[RaggedVariant]) -> Array:
    """A vector of variants."""
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = item
    return array


@RAGGED.op("RaggedTensorToVariant", host=True)
def ragged_to_variant(node: NodeView) -> Kernel:
    """The tensor as one variant, or as a vector with one variant per row."""
    depth = int(node.attr("RAGGED_RANK"))
    batched = bool(node.attr("batched_input"))

    def kernel(*inputs: Value) -> Value:
        splits, values = inputs[:depth], inputs[depth]
        if not batched:
            return variants([RaggedVariant(tuple(splits), values)]).reshape(())
        if not splits:
            return variants([RaggedVariant((), values[i, ...]) for i in range(len(values))])
        return variants([_row(splits, values, i) for i in range(len(splits[0]) - 1)])

    return kernel


def _row(splits: Sequence[Array], values: Array, row: int) -> RaggedVariant:
    inner, positions = gather_rows(splits, np.asarray([row]))
    return RaggedVariant(tuple(inner[1:]), values[positions])


@RAGGED.op("RaggedTensorFromVariant", host=True)
def ragged_from_variant(node: NodeView) -> Kernel:
    """The ragged tensor that a tensor of variants holds; their axes become outer ones."""
    inner, depth = (
        int(node.attr("input_ragged_rank")),
        int(node.attr("output_ragged_rank")),
    )
    dtype, index = node.dtype("Tvalues").numpy, node.dtype("Tsplits").numpy

    def kernel(encoded: Value) -> tuple[Value, ...]:
        found = inner if inner >= 0 else depth - encoded.ndim
        items = list(encoded.reshape(-1))
        if not encoded.ndim:
            return (*items[0].splits, items[0].values)
        joined, values = stack_variants(items, found, dtype)
        splits = *uniform_splits(encoded.shape), *joined
        return (*(s.astype(index) for s in splits), values)

    return kernel


def stack_variants(
    items: Sequence[RaggedVariant], depth: int, dtype: np.dtype[Any]
) -> tuple[list[Array], Array]:
    """Variants as the rows of one ragged tensor: one more level of splits than each has."""
    counts = [len(v.splits[0]) - 1 if depth else len(v.values) for v in items]
    splits = [np.concatenate([[0], np.cumsum(counts)])]
    for level in range(depth):
        lengths = [np.diff(v.splits[level]) for v in items]
        splits.append(np.concatenate([[0], np.cumsum(list(itertools.chain(*lengths)))]))
    values = [v.values for v in items]
    return splits, np.concatenate(values) if values else np.zeros(0, dtype)


@RAGGED.op("RaggedTensorToVariantGradient", host=True)
def variant_gradient(node: NodeView) -> Kernel:
    """The gradients of the rows put together again."""
    dtype = node.dtype("Tvalues").numpy

    def kernel(encoded: Value, splits: Value, shape: Value) -> Value:
        dims = static_shape(shape, "the shape")
        items = [v.values for v in encoded.reshape(-1)]
        whole = np.concatenate(items) if items else np.zeros(0, dtype)
        return whole.reshape(dims) if whole.size else np.zeros(dims, dtype)

    return kernel


@dataclass(frozen=True, eq=False, slots=True)
class CompositeVariant:
    """What a variant made of a composite tensor holds: its component tensors."""

    components: tuple[Value, ...]


@RAGGED.op("CompositeTensorVariantFromComponents", host=True)
def composite_to_variant(node: NodeView) -> Kernel:
    """A composite tensor (ragged, sparse, ...) as one variant scalar."""
    node.attr("metadata")

    def kernel(*components: Value) -> Value:
        encoded = np.empty((), object)
        encoded[()] = CompositeVariant(components)
        return encoded

    return kernel


@RAGGED.op("CompositeTensorVariantToComponents", host=True)
def composite_from_variant(node: NodeView) -> Kernel:
    node.attr("metadata")

    def kernel(encoded: Value) -> tuple[Value, ...]:
        held = encoded[()]
        if not isinstance(held, CompositeVariant):
            raise MismatchError(f"node {node.name!r} reads a variant that is no composite tensor")
        return held.components

    return kernel


@RAGGED.op("RaggedFillEmptyRows", host=True)
def ragged_fill_empty_rows(node: NodeView) -> Kernel:
    """Every row without values gets the default.

    Returns row ids, values, a flag per row, and where each given value went.
    """

    def kernel(ids: Value, values: Value, nrows: Value, default: Value) -> tuple[Value, ...]:
        rows = static(ids, "an empty row")
        count = static_count(nrows, "the number of rows")
        check_indices(node, rows, count)
        filled, source, empty, places = fill_rows(rows, count)
        every = np.concatenate([values, np.asarray(default, values.dtype).reshape(1)])
        return filled, every[source], empty, places

    return kernel


def fill_rows(rows: Array, count: int) -> tuple[Array, Array, Array, Array]:
    """Row ids with every empty row added.

    Returns the new row ids sorted, the source of each entry (the number of given ones for the
    default), whether each row was empty, and where each given entry went.
    """
    empty = np.bincount(rows, minlength=count) == 0 if rows.size else np.ones(count, bool)
    missing = np.flatnonzero(empty)
    joined = np.concatenate([rows, missing]).astype(np.int64)
    order = np.argsort(joined, kind="stable")
    places = np.empty(len(joined), np.int64)
    places[order] = np.arange(len(joined))
    return joined[order], np.minimum(order, len(rows)), empty, places[: len(rows)]


@RAGGED.op("RaggedFillEmptyRowsGrad", "SparseFillEmptyRowsGrad")
def fill_empty_rows_grad(node: NodeView) -> Kernel:
    """The gradients of the given values, and that of the default: the sum of all others."""

    def kernel(places: Value, gradient: Value) -> tuple[Value, Value]:
        known = static(places, "where a value went")
        others = np.setdiff1d(np.arange(gradient.shape[0]), known)
        return gradient[known], gradient[others].sum(dtype=gradient.dtype)

    return kernel
