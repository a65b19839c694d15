"""Sparse tensors packed into three strings or variants each, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import FormatError
from hozon.formats.protos.tensor import parse_tensor
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graphs.ops.sparse import row_major
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static, static_ints
from hozon.stored.dtypes import VARIANT

SPARSE_STORE = OpTable("sparse_store")
Array = np.ndarray[Any, Any]
Parts = tuple[Array, Array, Array]


@dataclass(frozen=True, eq=False, slots=True)
class TensorVariant:
    """A variant that holds one tensor."""

    value: Array


def _variants_only(node: NodeView) -> None:
    if node.dtype("out_type") != VARIANT:
        raise node.refuse("sparse tensors as serialized strings are read, not made")


def _packed(parts: Sequence[Array]) -> Array:
    packed = np.empty(len(parts), object)
    for i, part in enumerate(parts):
        packed[i] = TensorVariant(part)
    return packed


@SPARSE_STORE.op("SerializeSparse", host=True)
def serialize_sparse(node: NodeView) -> Kernel:
    """Indices, values and shape as a vector of three variants."""
    _variants_only(node)
    return lambda *parts: _packed([static(x, "a sparse tensor") for x in parts])


@SPARSE_STORE.op("SerializeManySparse", host=True)
def serialize_many_sparse(node: NodeView) -> Kernel:
    """Each row of the first axis as three variants."""
    _variants_only(node)

    def kernel(indices: Value, values: Value, shape: Value) -> Value:
        rows, count = indices[:, 0], int(shape[0])
        packed = np.empty((count, 3), object)
        for i in range(count):
            mine = np.flatnonzero(rows == i)
            packed[i] = _packed([indices[mine, 1:], values[mine], shape[1:]])
        return packed

    return kernel


def _unpacked(item: Any, dtype: np.dtype[Any]) -> Array:
    array = item.value if isinstance(item, TensorVariant) else to_numpy(parse_tensor(bytes(item)))
    if array.dtype != dtype:
        raise FormatError(f"a packed sparse tensor holds {array.dtype}, {dtype} is expected")
    return np.asarray(array)


def _parts(row: Array, dtype: np.dtype[Any]) -> Parts:
    index = np.dtype(np.int64)
    return _unpacked(row[0], index), _unpacked(row[1], dtype), _unpacked(row[2], index)


@SPARSE_STORE.op("DeserializeSparse", "DeserializeManySparse", host=True)
def deserialize_sparse(node: NodeView) -> Kernel:
    """The packed tensors stacked along new first axes, one for each axis before the last."""
    dtype = node.dtype("dtype").numpy

    def kernel(packed: Value) -> Parts:
        outer = packed.shape[:-1]
        items = [_parts(row, dtype) for row in packed.reshape(-1, 3)]
        if not outer:
            return items[0]
        return stacked(items, outer, dtype)

    return kernel


def stacked(items: Sequence[Parts], outer: tuple[int, ...], dtype: np.dtype[Any]) -> Parts:
    """Sparse tensors as the slices of one, whose inner shape is the largest of theirs."""
    if not items:
        raise FormatError("no packed sparse tensor says what shape the result has")
    places = list(np.ndindex(*outer))
    indices = np.concatenate(
        [
            np.concatenate([np.tile(np.asarray(p, np.int64), (len(part[0]), 1)), part[0]], axis=1)
            for p, part in zip(places, items, strict=True)
        ]
    )
    values = np.concatenate([part[1] for part in items]).astype(dtype)
    inner = np.max([static_ints(part[2], "a shape") for part in items], axis=0)
    order = row_major(indices)
    return indices[order], values[order], np.asarray([*outer, *inner], np.int64)
