"""Sparse tensors (indices, values, dense shape): conversion and structure.

Indices and shapes are static; values may be traced.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.ragged import fill_rows
from hozon.graphs.ops.shape import full_shape
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static, static_int, static_ints

SPARSE = OpTable("sparse")
Array = np.ndarray[Any, Any]


def sparse_indices(node: NodeView, indices: Value, shape: tuple[int, ...]) -> Array:
    """Static indices, all inside `shape`."""
    known = static(indices, "the indices of a sparse tensor")
    if known.size and ((known < 0).any() or (known >= np.asarray(shape)).any()):
        raise MismatchError(f"node {node.name!r}: an index of a sparse tensor exceeds {shape}")
    return known


def flat_indices(indices: Array, shape: tuple[int, ...]) -> Array:
    """Row-major positions of index vectors."""
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    flat: Array = indices.astype(np.int64) @ np.asarray(strides, np.int64)
    return flat


def unflatten(flat: Array, shape: tuple[int, ...]) -> Array:
    """Index vectors of row-major positions, int64."""
    columns: list[Array] = []
    for size in reversed(shape):
        flat, column = np.divmod(flat, max(size, 1))
        columns.append(column)
    return np.stack(columns[::-1], axis=1).astype(np.int64) if columns else flat[:, None][:, :0]


def row_major(indices: Array) -> Array:
    """The stable order that sorts index vectors."""
    if not indices.shape[1]:
        return np.arange(len(indices))
    return np.lexsort(indices.T[::-1])


@SPARSE.op("SparseToDense")
def sparse_to_dense(node: NodeView) -> Kernel:
    """Values at index vectors (or one index, or a vector of them), a default elsewhere."""

    def kernel(indices: Value, shape: Value, values: Value, default: Value) -> Value:
        dims = static_ints(shape, "the dense shape")
        vectors = indices.reshape(-1, len(dims)) if indices.ndim < 2 else indices
        lib = ns(vectors, values, default)
        if lib is np:
            known = sparse_indices(node, vectors, dims)
            dense = np.full(dims, default, values.dtype)
            dense[tuple(known.T)] = values
            return dense
        filled = jnp.broadcast_to(default, dims)
        index = tuple(vectors[:, i] for i in range(len(dims)))
        return filled.at[index].set(values, mode="drop", wrap_negative_indices=False)

    return kernel


@SPARSE.op("SparseFillEmptyRows", host=True)
def sparse_fill_empty_rows(node: NodeView) -> Kernel:
    """Every row without values gets the default at its first column."""

    def kernel(indices: Value, values: Value, shape: Value, default: Value) -> tuple[Value, ...]:
        dims = static_ints(shape, "the dense shape")
        known = static(indices, "an empty row")
        rows = known[:, 0]
        if rows.size and not 0 <= rows.min() <= rows.max() < dims[0]:
            raise MismatchError(f"node {node.name!r}: a row lies outside 0..{dims[0] - 1}")
        filled, source, empty, places = fill_rows(rows, dims[0])
        rest = np.concatenate([known[:, 1:], np.zeros((1, known.shape[1] - 1), known.dtype)])
        every = np.concatenate([values, np.asarray(default, values.dtype).reshape(1)])
        return (
            np.concatenate([filled[:, None], rest[source]], axis=1),
            every[source],
            empty,
            places,
        )

    return kernel


@SPARSE.op("SparseReshape")
def sparse_reshape(node: NodeView) -> Kernel:
    def kernel(indices: Value, shape: Value, wanted: Value) -> tuple[Value, Value]:
        old = static_ints(shape, "the dense shape")
        new = full_shape(node, old, static_ints(wanted, "the new dense shape"))
        known = static(indices, "the indices of a sparse tensor")
        return unflatten(flat_indices(known, old), new), np.asarray(new, np.int64)

    return kernel


@SPARSE.op("SparseReorder")
def sparse_reorder(node: NodeView) -> Kernel:
    """The entries in row-major order."""

    def kernel(indices: Value, values: Value, shape: Value) -> tuple[Value, Value]:
        known = static(indices, "the order of entries")
        order = row_major(known)
        return known[order], values[order]

    return kernel


@SPARSE.op("SparseConcat")
def sparse_concat(node: NodeView) -> Kernel:
    """Sparse tensors joined along an axis, entries in row-major order."""
    axis, count = int(node.attr("concat_dim")), int(node.attr("N"))

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        indices = [static(x, "the indices of a sparse tensor") for x in inputs[:count]]
        values = inputs[count : 2 * count]
        shapes = [static(x, "the dense shape") for x in inputs[2 * count :]]
        where = axis % len(shapes[0])
        others = {(*s[:where], *s[where + 1 :]) for s in (x.tolist() for x in shapes)}
        if len(others) > 1:
            raise MismatchError(f"node {node.name!r} cannot join shapes {others}")
        begins = np.cumsum([0, *(int(s[where]) for s in shapes)])
        moved = [
            i + begin * (np.arange(i.shape[1]) == where)
            for i, begin in zip(indices, begins[:-1], strict=True)
        ]
        joined = np.concatenate(moved)
        order = row_major(joined)
        shape = shapes[0].copy()
        shape[where] = begins[-1]
        return joined[order], ns(*values).concatenate(values)[order], shape

    return kernel


@SPARSE.op("SparseSplit")
def sparse_split(node: NodeView) -> Kernel:
    """Equal parts along an axis; the first ``size % num_split`` parts are one longer."""
    number = int(node.attr("num_split"))

    def kernel(axis: Value, indices: Value, values: Value, shape: Value) -> tuple[Value, ...]:
        dims = static(shape, "the dense shape")
        where = static_int(axis, "the axis") % len(dims)
        size, longer = divmod(int(dims[where]), number)
        sizes = [size + (i < longer) for i in range(number)]
        begins = np.cumsum([0, *sizes])
        parts = []
        for begin, length in zip(begins[:-1], sizes, strict=True):
            start, extent = np.zeros_like(dims), dims.copy()
            start[where], extent[where] = begin, length
            parts.append(cut(indices, values, dims, start, extent))
        return tuple(itertools.chain(*zip(*parts, strict=True)))

    return kernel


def cut(
    indices: Value, values: Value, shape: Array, start: Array, size: Array
) -> tuple[Value, Value, Value]:
    """The part of a sparse tensor in a box, which is clipped to the tensor."""
    known = static(indices, "the entries of a slice")
    stop = np.minimum(start + size, shape)
    kept = np.flatnonzero(((known >= start) & (known < stop)).all(axis=1))
    extent = np.maximum(stop - start, 0).astype(np.int64)
    return (known[kept] - start).astype(np.int64), values[kept], extent


@SPARSE.kernel("SparseSlice")
def sparse_slice(
    indices: Value, values: Value, shape: Value, start: Value, size: Value
) -> tuple[Value, Value, Value]:
    """The entries in a box, counted from its corner."""
    dims, begin, extent = (static(x, "the box of a slice") for x in (shape, start, size))
    return cut(indices, values, dims, begin, extent)


@SPARSE.kernel("SparseSliceGrad")
def sparse_slice_grad(gradient: Value, indices: Value, start: Value, found: Value) -> Value:
    """The gradients of the entries that a slice kept, zero for the others."""
    known = static(indices, "the entries of a slice")
    kept = {
        tuple(row): i
        for i, row in enumerate(
            (static(found, "the entries of a slice") + static(start, "a box")).tolist()
        )
    }
    source = np.asarray([kept.get(tuple(row), len(kept)) for row in known.tolist()], np.int64)
    lib = ns(gradient)
    return lib.concatenate([gradient, np.zeros(1, gradient.dtype)])[source]
