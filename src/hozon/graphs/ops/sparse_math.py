"""Arithmetic and reductions of sparse tensors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.sparse import (
    Array,
    flat_indices,
    sparse_indices,
    unflatten,
)
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns, static, static_count, static_ints

SPARSE_MATH = OpTable("sparse_math")
INDICES = "the indices of a sparse tensor"


def segments(values: Value, ids: Array, count: int, how: str) -> Value:
    """Values combined by segment ("add" or "max"); an empty segment is 0."""
    if is_static(values):
        if how == "add":
            total = np.zeros(count, values.dtype)
            np.add.at(total, ids, values)
            return total
        return _static_max(values, ids, count)
    if how == "add":
        return jnp.zeros(count, values.dtype).at[ids].add(values)
    filled = np.bincount(ids, minlength=count) > 0 if count else np.zeros(0, bool)
    return jnp.where(filled, jax.ops.segment_max(values, ids, count), 0).astype(values.dtype)


def _static_max(values: Array, ids: Array, count: int) -> Array:
    most = np.zeros(count, values.dtype)
    order = np.argsort(ids, kind="stable")
    present, begins = np.unique(ids[order], return_index=True)
    if len(present):
        most[present] = np.maximum.reduceat(values[order], begins)
    return most


@SPARSE_MATH.op("SparseTensorDenseMatMul")
def sparse_dense_matmul(node: NodeView) -> Kernel:
    """A sparse matrix times a dense one."""
    adjoint_a, adjoint_b = bool(node.attr("adjoint_a")), bool(node.attr("adjoint_b"))

    def kernel(indices: Value, values: Value, shape: Value, dense: Value) -> Value:
        rows, columns = static_ints(shape, "the dense shape")
        row, column = indices[:, 0], indices[:, 1]
        if adjoint_a:
            rows, columns, row, column = columns, rows, column, row
            values = ns(values).conj(values)
        if adjoint_b:
            dense = ns(dense).conj(dense).T
        if dense.shape[0] != columns:
            raise MismatchError(
                f"node {node.name!r} multiplies ({rows}, {columns}) by {tuple(dense.shape)}"
            )
        terms = values[:, None] * ns(dense, column).take(dense, column, axis=0)
        if all(map(is_static, (terms, row))):
            product = np.zeros((rows, dense.shape[1]), values.dtype)
            np.add.at(product, row, terms)
            return product
        return jnp.zeros((rows, dense.shape[1]), values.dtype).at[row].add(terms, mode="drop")

    return kernel


@SPARSE_MATH.op("SparseTensorDenseAdd")
def sparse_dense_add(node: NodeView) -> Kernel:
    def kernel(indices: Value, values: Value, shape: Value, dense: Value) -> Value:
        if static_ints(shape, "the dense shape") != tuple(dense.shape):
            raise MismatchError(f"node {node.name!r} adds tensors of different shapes")
        index = tuple(indices[:, i] for i in range(dense.ndim))
        if ns(indices, values, dense) is jnp:
            return jnp.asarray(dense).at[index].add(values, mode="drop")
        total = np.array(dense)
        np.add.at(total, index, values)
        return total

    return kernel


def _on_entries(node: NodeView, combine: Any) -> Kernel:
    def kernel(indices: Value, values: Value, shape: Value, dense: Value) -> Value:
        dims = static_ints(shape, "the dense shape")
        spread = ns(dense).broadcast_to(dense, dims)
        index = tuple(indices[:, i] for i in range(len(dims)))
        if is_static(spread) and not is_static(indices):
            spread = jnp.asarray(spread)
        return combine(values, spread[index])

    return kernel


def _divide(x: Value, y: Value) -> Value:
    """Division as of ``tf.divide``; integers round towards zero."""
    if not np.issubdtype(x.dtype, np.integer):
        return x / y
    lib = ns(x, y)
    return (abs(x) // abs(y) * lib.sign(x) * lib.sign(y)).astype(x.dtype)


CWISE = {
    "SparseDenseCwiseAdd": lambda x, y: x + y,
    "SparseDenseCwiseMul": lambda x, y: x * y,
    "SparseDenseCwiseDiv": _divide,
}


@SPARSE_MATH.op(*CWISE)
def sparse_dense_cwise(node: NodeView) -> Kernel:
    """The values of the entries combined with the dense tensor, broadcast, at their places."""
    return _on_entries(node, CWISE[node.op])


def aligned(
    node: NodeView, first: tuple[Value, ...], second: tuple[Value, ...]
) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """The union of the indices of two sparse tensors, row-major, and each one's source there.

    A source is a position in the tensor's values, or their number where it has no entry.
    """
    dims = static_ints(first[2], "the dense shape")
    if dims != static_ints(second[2], "the dense shape"):
        raise MismatchError(f"node {node.name!r} combines sparse tensors of different shapes")
    flats = [flat_indices(sparse_indices(node, x[0], dims), dims) for x in (first, second)]
    union = np.unique(np.concatenate(flats))
    sources = []
    for flat in flats:
        source = np.full(len(union), len(flat))
        source[np.searchsorted(union, flat)] = np.arange(len(flat))
        sources.append(source)
    return unflatten(union, dims), sources[0], sources[1], dims


def _with_zero(values: Value) -> Value:
    return ns(values).concatenate([values, np.zeros(1, values.dtype)])


@SPARSE_MATH.op("SparseAdd", host=True)
def sparse_add(node: NodeView) -> Kernel:
    """The sum; where both have an entry, it is left out if smaller than the threshold."""

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        first, second, thresh = inputs[:3], inputs[3:6], inputs[6]
        indices, a, b, dims = aligned(node, first, second)
        values = _with_zero(first[1])[a] + _with_zero(second[1])[b]
        single = (a == len(first[1])) | (b == len(second[1]))
        kept = np.flatnonzero(single | (abs(values) >= thresh))
        return indices[kept], values[kept], np.asarray(dims, np.int64)

    return kernel


@SPARSE_MATH.kernel("SparseAddGrad")
def sparse_add_grad(gradient: Value, a: Value, b: Value, total: Value) -> tuple[Value, Value]:
    """The gradient of each operand's values: that of the sum at the same place, or 0."""
    known = {tuple(row): i for i, row in enumerate(static(total, INDICES).tolist())}
    padded = _with_zero(gradient)

    def taken(indices: Value) -> Value:
        rows = static(indices, INDICES).tolist()
        return padded[np.asarray([known.get(tuple(r), len(known)) for r in rows], np.int64)]

    return taken(a), taken(b)


EXTREMES = {"SparseSparseMaximum": "maximum", "SparseSparseMinimum": "minimum"}


@SPARSE_MATH.op(*EXTREMES)
def sparse_extreme(node: NodeView) -> Kernel:
    """Elementwise over the union of entries; an absent entry counts as 0."""

    def kernel(*inputs: Value) -> tuple[Value, Value]:
        indices, a, b, _ = aligned(node, inputs[:3], inputs[3:])
        combine = getattr(ns(inputs[1], inputs[4]), EXTREMES[node.op])
        return indices, combine(_with_zero(inputs[1])[a], _with_zero(inputs[4])[b])

    return kernel


REDUCTIONS = {
    "SparseReduceSum": "add",
    "SparseReduceMax": "max",
    "SparseReduceSumSparse": "add",
    "SparseReduceMaxSparse": "max",
}


@SPARSE_MATH.op(*REDUCTIONS)
def sparse_reduce(node: NodeView) -> Kernel:
    """Entries combined along axes, dense (0 where there is no entry) or sparse."""
    keep, how = bool(node.attr("keep_dims")), REDUCTIONS[node.op]

    def kernel(indices: Value, values: Value, shape: Value, axes: Value) -> Any:
        dims = static_ints(shape, "the dense shape")
        known = sparse_indices(node, indices, dims)
        chosen = {a % len(dims) for a in static_ints(axes, "the axes")}
        kept = [i for i in range(len(dims)) if i not in chosen]
        outer = tuple(dims[i] for i in kept)
        full = tuple(1 if i in chosen else n for i, n in enumerate(dims)) if keep else outer
        flat = flat_indices(known[:, kept], outer)
        if not node.op.endswith("Sparse"):
            return segments(values, flat, int(np.prod(outer)), how).reshape(full)
        places, ids = np.unique(flat, return_inverse=True)
        found = segments(values, ids.reshape(-1), len(places), how)
        return unflatten(places, full), found, np.asarray(full, np.int64)

    return kernel


@SPARSE_MATH.op("SparseSoftmax")
def sparse_softmax(node: NodeView) -> Kernel:
    """Softmax over the entries of each innermost row, absent ones left out."""

    def kernel(indices: Value, values: Value, shape: Value) -> Value:
        dims = static_ints(shape, "the dense shape")
        flat = flat_indices(sparse_indices(node, indices, dims)[:, :-1], dims[:-1])
        places, ids = np.unique(flat, return_inverse=True)
        ids = ids.reshape(-1)
        lib = ns(values)
        powers = lib.exp(values - segments(values, ids, len(places), "max")[ids])
        return powers / segments(powers, ids, len(places), "add")[ids]

    return kernel


def weigh(weights: Array, count: int, dtype: np.dtype[Any]) -> Array:
    """One weight per value; none given means 1 each."""
    return weights.reshape(-1) if weights.size else np.ones(count, dtype)


def bincount(
    rows: Array | None,
    row_count: int,
    values: Array,
    size: int,
    weights: Array,
    binary: bool,
) -> Array:
    """Weights summed by value below `size`, in all or row by row; only marked if `binary`."""
    kept = values < size
    shape = (size,) if rows is None else (row_count, size)
    index = (values[kept],) if rows is None else (rows[kept], values[kept])
    counts = np.zeros(shape, weights.dtype)
    if binary:
        counts[index] = 1
    else:
        np.add.at(counts, index, weigh(weights, len(values), weights.dtype)[kept])
    return counts


@SPARSE_MATH.op("SparseBincount", host=True)
def sparse_bincount(node: NodeView) -> Kernel:
    binary = bool(node.attr("binary_output"))

    def kernel(indices: Value, values: Value, shape: Value, size: Value, weights: Value) -> Value:
        _no_negative(node, values)
        dims = static_ints(shape, "the dense shape")
        rows = static(indices, INDICES)[:, 0] if len(dims) > 1 else None
        return bincount(rows, dims[0], values, static_count(size, "the size"), weights, binary)

    return kernel


@SPARSE_MATH.op("RaggedBincount", host=True)
def ragged_bincount(node: NodeView) -> Kernel:
    binary = bool(node.attr("binary_output"))

    def kernel(splits: Value, values: Value, size: Value, weights: Value) -> Value:
        _no_negative(node, values)
        rows = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
        width = static_count(size, "the size")
        return bincount(rows, len(splits) - 1, values, width, weights, binary)

    return kernel


def _no_negative(node: NodeView, values: Array) -> None:
    if values.size and values.min() < 0:
        raise MismatchError(f"node {node.name!r} counts negative values")


@SPARSE_MATH.op(
    "SparseCountSparseOutput", "DenseCountSparseOutput", "RaggedCountSparseOutput", host=True
)
def count_sparse(node: NodeView) -> Kernel:
    """The counts of the values in each row, as a sparse tensor."""
    least, most = int(node.attr("minlength")), int(node.attr("maxlength"))
    binary = bool(node.attr("binary_output"))
    kind = node.op.removesuffix("CountSparseOutput")

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        rows, count, values = ROWS[kind](inputs[:-1])
        _no_negative(node, values)
        weights = inputs[-1]
        kept = values < most if most >= 0 else np.ones(len(values), bool)
        width = most if most >= 0 else max(int(values.max(initial=-1)) + 1, least)
        ids = np.zeros(len(values), np.int64) if rows is None else rows
        keys = np.stack([ids, values], axis=1)[kept].astype(np.int64)
        cells, inverse = np.unique(keys, axis=0, return_inverse=True)
        counts = np.zeros(len(cells), weights.dtype)
        np.add.at(
            counts,
            inverse.reshape(-1),
            weigh(weights, len(values), weights.dtype)[kept],
        )
        if binary:
            counts[:] = 1
        shape = np.asarray([width] if rows is None else [count, width], np.int64)
        return (cells[:, 1:] if rows is None else cells), counts, shape

    return kernel


def _sparse_rows(inputs: tuple[Value, ...]) -> tuple[Array | None, int, Array]:
    indices, values, shape = inputs
    return (indices[:, 0], int(shape[0]), values) if len(shape) > 1 else (None, 1, values)


def _dense_rows(inputs: tuple[Value, ...]) -> tuple[Array | None, int, Array]:
    (values,) = inputs
    if values.ndim == 1:
        return None, 1, values
    return (
        np.repeat(np.arange(len(values)), values.shape[1]),
        len(values),
        values.reshape(-1),
    )


def _ragged_rows(inputs: tuple[Value, ...]) -> tuple[Array | None, int, Array]:
    splits, values = inputs
    return (
        np.repeat(np.arange(len(splits) - 1), np.diff(splits)),
        len(splits) - 1,
        values,
    )


ROWS = {"Sparse": _sparse_rows, "Dense": _dense_rows, "Ragged": _ragged_rows}
