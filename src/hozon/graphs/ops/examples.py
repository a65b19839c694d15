"""Features of ``tf.train.Example`` records as tensors: what the ops that parse them share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import NodeView
from hozon.graphs.values import Value
from hozon.raw.example import Feature, parse_example
from hozon.raw.location import Location

Array = np.ndarray[Any, Any]

#: The kind of list that holds values of a dtype.
KIND_OF = {"O": "bytes", "f": "float", "i": "int64"}


@dataclass(frozen=True, slots=True)
class Dense:
    """A feature of fixed shape; None as first size is a number of rows that varies."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def filled(values: Sequence[Any], dtype: np.dtype[Any]) -> Array:
    """A vector of values, also of ``bytes``."""
    result = np.empty(len(values), dtype)
    result[:] = values
    return result


def shown(name: bytes) -> str:
    """A feature's name in a message."""
    return repr(name.decode(errors="replace"))


def checked(node: NodeView, name: bytes, feature: Feature, dtype: np.dtype[Any]) -> Sequence[Any]:
    """The values of a feature, whose kind must suit the dtype."""
    if feature.kind and feature.kind != KIND_OF[dtype.kind]:
        raise MismatchError(
            f"node {node.name!r}: feature {shown(name)} holds {feature.kind} "
            f"values where {KIND_OF[dtype.kind]} is expected"
        )
    return feature.values


Examples = Sequence[Mapping[bytes, Feature]]


def read_records(node: NodeView, serialized: Value) -> Examples:
    """The features of each serialized record; a damaged one is named."""
    data = np.asarray(serialized, object).reshape(-1).tolist()
    return [
        parse_example(item, Location(f"node {node.name!r}", f"record {i}"))
        for i, item in enumerate(data)
    ]


def _sparse(node: NodeView, records: Examples, name: bytes, dtype: np.dtype[Any]) -> list[Value]:
    """A sparse feature: indices, values and dense shape."""
    rows = [checked(node, name, r.get(name, Feature("", ())), dtype) for r in records]
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    longest = max((len(row) for row in rows), default=0)
    return [
        np.asarray(indices, np.int64).reshape(-1, 2),
        filled([value for row in rows for value in row], dtype),
        np.asarray([len(rows), longest], np.int64),
    ]


def _dense(node: NodeView, records: Examples, name: bytes, dense: Dense, default: Array) -> Value:
    """A dense feature: shape (records, *shape), shorter varying ones padded with the default."""
    varying = bool(dense.shape) and dense.shape[0] is None
    inner = math.prod(n for n in dense.shape if n is not None)
    rows = []
    for record in records:
        feature = record.get(name)
        if feature is None or (not feature.kind and not len(feature.values)):
            rows.append(_default(node, name, default, varying, dense))
        else:
            rows.append(filled(checked(node, name, feature, dense.dtype), dense.dtype))
    size = max((len(row) for row in rows), default=0) if varying else inner
    for i, row in enumerate(rows):
        if len(row) != size and (not varying or len(row) % max(inner, 1)):
            raise MismatchError(
                f"node {node.name!r}: feature {shown(name)} of record {i} has "
                f"{len(row)} values where {size} are expected"
            )
    filler = default.reshape(-1)[:1] if default.size else np.zeros(1, dense.dtype)
    if dense.dtype == np.dtype(object) and not default.size:
        filler = filled([b""], dense.dtype)
    padded = [np.concatenate([row, np.repeat(filler, size - len(row))]) for row in rows]
    shape = [size // max(inner, 1) if n is None else n for n in dense.shape]
    flat = np.concatenate(padded) if padded else np.empty(0, dense.dtype)
    return flat.reshape(len(rows), *shape)


def _default(node: NodeView, name: bytes, default: Array, varying: bool, dense: Dense) -> Array:
    if varying:
        return np.empty(0, dense.dtype)
    shape = [n or 0 for n in dense.shape]
    if default.size == 0 and 0 not in shape:
        raise MismatchError(f"node {node.name!r}: feature {shown(name)} is required but missing")
    return np.broadcast_to(default, shape).reshape(-1)


def denses_of(node: NodeView) -> list[Dense]:
    """The dense features that the attributes of a node describe."""
    shapes = [shape.dims or () for shape in node.attr("dense_shapes")]
    return [Dense(d.numpy, s) for d, s in zip(node.dtypes("Tdense"), shapes, strict=True)]


def names(values: Sequence[Value]) -> list[bytes]:
    """Scalar strings as ``bytes``."""
    return [np.asarray(value, object).item() for value in values]


def outputs_of(
    node: NodeView,
    records: Examples,
    sparse_keys: Sequence[bytes],
    sparse_types: Sequence[Any],
    dense_keys: Sequence[bytes],
    denses: Sequence[Dense],
    defaults: Sequence[Value],
) -> list[Value]:
    """All indices, all sparse values, all sparse shapes, all dense values."""
    sparse = [_sparse(node, records, k, t) for k, t in zip(sparse_keys, sparse_types, strict=True)]
    dense = [
        _dense(node, records, k, d, np.asarray(v))
        for k, d, v in zip(dense_keys, denses, defaults, strict=True)
    ]
    return [*(part[i] for i in range(3) for part in sparse), *dense]


def ragged_of(
    node: NodeView,
    records: Examples,
    keys: Sequence[bytes],
    dtypes: Sequence[np.dtype[Any]],
    splits: Sequence[np.dtype[Any]],
) -> list[Value]:
    """All ragged values, then all their row splits."""
    parts = [_ragged(node, records, *column) for column in zip(keys, dtypes, splits, strict=True)]
    return [part[i] for i in range(2) for part in parts]


def _ragged(
    node: NodeView, records: Examples, name: bytes, dtype: np.dtype[Any], splits: np.dtype[Any]
) -> tuple[Value, Value]:
    rows = [checked(node, name, r.get(name, Feature("", ())), dtype) for r in records]
    ends = np.cumsum([0, *map(len, rows)]).astype(splits)
    return filled([value for row in rows for value in row], dtype), ends
