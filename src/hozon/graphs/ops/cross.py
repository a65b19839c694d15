"""Feature crosses: every combination of the features of several columns, row by row.

A cross is the features joined as text, or a number made of their fingerprints, as in
tensorflow/core/kernels/sparse_cross_op.cc and tensorflow/core/platform/fingerprint.h.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static, static_int
from hozon.raw.hashing import fingerprint64, fingerprint_cat

CROSS = OpTable("cross")
Array = np.ndarray[Any, Any]
Feature = bytes | int
Column = list[list[Feature]]
Combine = Callable[[tuple[Feature, ...]], Feature]

MASK = (1 << 64) - 1
LARGEST = (1 << 63) - 1


def hashed(buckets: int, seed: int | None) -> Combine:
    """Crosses as numbers; without a seed the first feature's number is the start."""

    def combine(features: tuple[Feature, ...]) -> int:
        numbers = [fingerprint64(f) if isinstance(f, bytes) else f & MASK for f in features]
        result = numbers.pop(0) if seed is None else seed & MASK
        for number in numbers:
            result = fingerprint_cat(result, number)
        return result % (buckets if buckets > 0 else LARGEST)

    return combine


def joined(separator: bytes) -> Combine:
    """Crosses as text."""
    return lambda features: separator.join(
        f if isinstance(f, bytes) else str(f).encode() for f in features
    )


def sparse_column(indices: Array, values: Array, rows: int) -> Column:
    """The features of each row of a sparse matrix."""
    column: Column = [[] for _ in range(rows)]
    for row, value in zip(indices[:, 0].tolist(), values.tolist(), strict=True):
        column[row].append(value)
    return column


def ragged_column(splits: Array, values: Array) -> Column:
    """The features of each row of a ragged matrix."""
    known = values.tolist()
    return [known[a:b] for a, b in itertools.pairwise(splits.tolist())]


def crosses(node: NodeView, columns: Sequence[Column], combine: Combine) -> Column:
    """The crosses of each row; the last column varies fastest."""
    if len({len(column) for column in columns}) > 1:
        raise MismatchError(f"node {node.name!r} crosses columns of different lengths")
    rows = zip(*columns, strict=True)
    return [[combine(chosen) for chosen in itertools.product(*row)] for row in rows]


def _flat(rows: Column, dtype: Any) -> Array:
    return np.asarray([value for row in rows for value in row], dtype)


def _sparse(rows: Column, dtype: Any) -> tuple[Array, Array, Array]:
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    shape = [len(rows), max(map(len, rows), default=0)]
    indices = np.asarray(places, np.int64).reshape(-1, 2)
    return indices, _flat(rows, dtype), np.asarray(shape, np.int64)


def _columns(inputs: Sequence[Value], count: int) -> list[Column]:
    """Columns of `count` sparse matrices (indices, values, shapes) and the dense ones after."""
    known = [static(x, "a feature") for x in inputs]
    indices, values = known[:count], known[count : 2 * count]
    shapes, dense = known[2 * count : 3 * count], known[3 * count :]
    sparse = [
        sparse_column(i, v, int(s[0])) for i, v, s in zip(indices, values, shapes, strict=True)
    ]
    return [*sparse, *(x.tolist() for x in dense)]


@CROSS.op("SparseCross", host=True)
def sparse_cross(node: NodeView) -> Kernel:
    count, dtype = int(node.attr("N")), node.dtype("out_type").numpy
    buckets, key = int(node.attr("num_buckets")), int(node.attr("hash_key"))
    combine = hashed(buckets, key) if node.attr("hashed_output") else joined(b"_X_")
    return lambda *inputs: _sparse(crosses(node, _columns(inputs, count), combine), dtype)


@CROSS.op("SparseCrossV2", host=True)
def sparse_cross_v2(node: NodeView) -> Kernel:
    count = int(node.attr("N"))

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        separator = bytes(static(inputs[-1], "the separator")[()])
        return _sparse(crosses(node, _columns(inputs[:-1], count), joined(separator)), object)

    return kernel


def _low_bytes(column: Column) -> Column:
    """Integers as this op hashes those of sparse columns: the four low bytes of each."""
    return [
        [f if isinstance(f, bytes) else (f & 0xFFFFFFFF).to_bytes(4, "little") for f in row]
        for row in column
    ]


@CROSS.op("SparseCrossHashed", host=True)
def sparse_cross_hashed(node: NodeView) -> Kernel:
    count = int(node.attr("N"))

    def kernel(*inputs: Value) -> tuple[Value, Value, Value]:
        *columns, buckets, strong_hash, _ = inputs
        if static(strong_hash, "the hash").any():
            raise node.refuse("strong_hash, in which TensorFlow 2.21 itself crashes")
        combine = hashed(static_int(buckets, "the number of buckets"), None)
        sparse = _columns(columns[: 3 * count], count)
        read = [*map(_low_bytes, sparse), *_columns(columns[3 * count :], 0)]
        return _sparse(crosses(node, read, combine), np.int64)

    return kernel


@CROSS.op("RaggedCross", host=True)
def ragged_cross(node: NodeView) -> Kernel:
    """Crosses of ragged (R), sparse (S) and dense (D) columns in the order of `input_order`."""
    order, count = node.text("input_order"), int(node.attr("Nsparse"))
    ragged = len(node.attr("ragged_values_types"))
    buckets, key = int(node.attr("num_buckets")), int(node.attr("hash_key"))
    combine = hashed(buckets, key) if node.attr("hashed_output") else joined(b"_X_")
    dtype = node.dtype("out_values_type").numpy
    splits_dtype = node.dtype("out_row_splits_type").numpy

    def kernel(*inputs: Value) -> tuple[Value, Value]:
        known = [static(x, "a feature") for x in inputs]
        pairs = zip(known[ragged : 2 * ragged], known[:ragged], strict=True)
        others = _columns(known[2 * ragged :], count)
        kinds: dict[str, Iterator[Column]] = {
            "R": (ragged_column(splits, values) for splits, values in pairs),
            "S": iter(others[:count]),
            "D": iter(others[count:]),
        }
        rows = crosses(node, [next(kinds[kind]) for kind in order], combine)
        lengths = [len(row) for row in rows]
        return _flat(rows, dtype), np.cumsum([0, *lengths]).astype(splits_dtype)

    return kernel
