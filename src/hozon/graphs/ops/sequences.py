"""Parsing of ``tf.train.SequenceExample`` records, on the host.

A record holds a *context*, features as in a ``tf.train.Example``, and *feature lists*, each a
sequence of features (tensorflow/core/example/example.proto). Outputs are as
tensorflow/core/util/example_proto_fast_parsing.cc makes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.examples import (
    Array,
    Dense,
    checked,
    filled,
    names,
    outputs_of,
    ragged_of,
    shown,
)
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.raw.example import Feature, parse_example, parse_feature_lists
from hozon.raw.location import Location

SEQUENCES = OpTable("sequences")


@dataclass(frozen=True, slots=True)
class Sequences:
    """What all records of one call hold."""

    contexts: Sequence[Mapping[bytes, Feature]]
    lists: Sequence[Mapping[bytes, Sequence[Feature]]]


def _read(node: NodeView, serialized: Value) -> Sequences:
    data = np.asarray(serialized, object).reshape(-1).tolist()
    places = [Location(f"node {node.name!r}", f"record {i}") for i in range(len(data))]
    return Sequences(
        [parse_example(item, where) for item, where in zip(data, places, strict=True)],
        [parse_feature_lists(item, where) for item, where in zip(data, places, strict=True)],
    )


def _steps(
    node: NodeView, records: Sequences, name: bytes, dtype: np.dtype[Any]
) -> list[list[Sequence[Any]]]:
    """The values of a feature list by record and step."""
    return [
        [checked(node, name, step, dtype) for step in lists.get(name, ())]
        for lists in records.lists
    ]


def _sparse_list(
    node: NodeView, records: Sequences, name: bytes, dtype: np.dtype[Any]
) -> list[Value]:
    """Indices (record, step, position), values and dense shape."""
    rows = _steps(node, records, name, dtype)
    indices = [
        (i, t, k)
        for i, row in enumerate(rows)
        for t, step in enumerate(row)
        for k in range(len(step))
    ]
    longest = max((len(row) for row in rows), default=0)
    widest = max((len(step) for row in rows for step in row), default=0)
    return [
        np.asarray(indices, np.int64).reshape(-1, 3),
        filled([value for row in rows for step in row for value in step], dtype),
        np.asarray([len(rows), longest, widest], np.int64),
    ]


def _dense_list(
    node: NodeView, records: Sequences, name: bytes, dense: Dense, optional: bool
) -> tuple[Array, Array]:
    """Values of shape (records, longest, *shape) padded with zeros, and the length of each."""
    if not optional:
        _require(node, records, name)
    rows = _steps(node, records, name, dense.dtype)
    inner = math.prod(n or 0 for n in dense.shape)
    for i, row in enumerate(rows):
        for step in row:
            if len(step) != inner:
                raise MismatchError(
                    f"node {node.name!r}: feature list {shown(name)} of record {i} has a step of "
                    f"{len(step)} values where {inner} are expected"
                )
    longest = max((len(row) for row in rows), default=0)
    blank = b"" if dense.dtype == np.dtype(object) else 0
    values = np.full((len(rows), longest, inner), blank, dense.dtype)
    for i, row in enumerate(rows):
        for t, step in enumerate(row):
            values[i, t] = filled(step, dense.dtype)
    lengths = np.asarray([len(row) for row in rows], np.int64)
    return values.reshape(len(rows), longest, *(n or 0 for n in dense.shape)), lengths


def _require(node: NodeView, records: Sequences, name: bytes) -> None:
    for i, lists in enumerate(records.lists):
        if name not in lists:
            raise MismatchError(
                f"node {node.name!r}: feature list {shown(name)} of record {i} is missing"
            )


def _ragged_list(
    node: NodeView, records: Sequences, name: bytes, dtype: np.dtype[Any], splits: np.dtype[Any]
) -> tuple[Array, Array, Array]:
    """Values, row splits of the records, row splits of the steps."""
    rows = _steps(node, records, name, dtype)
    outer = np.cumsum([0, *map(len, rows)]).astype(splits)
    inner = np.cumsum([0, *(len(step) for row in rows for step in row)]).astype(splits)
    return filled([value for row in rows for step in row for value in step], dtype), outer, inner


@dataclass(frozen=True, slots=True)
class Columns:
    """The types of the outputs of one node, read off its attributes."""

    node: NodeView
    context_sparse: Sequence[np.dtype[Any]]
    context_dense: Sequence[Dense]
    list_sparse: Sequence[np.dtype[Any]]
    list_dense: Sequence[Dense]

    @staticmethod
    def of(node: NodeView) -> Columns:
        """The columns that the attributes of `node` describe."""
        for count in ("Ncontext_sparse", "Nfeature_list_sparse", "Nfeature_list_dense"):
            node.attr(count)
        return Columns(
            node,
            [d.numpy for d in node.dtypes("context_sparse_types")],
            _denses(node, "Tcontext_dense", "context_dense_shapes"),
            [d.numpy for d in node.dtypes("feature_list_sparse_types")],
            _denses(node, "feature_list_dense_types", "feature_list_dense_shapes"),
        )

    def context(
        self,
        records: Sequences,
        sparse: Sequence[bytes],
        dense: Sequence[bytes],
        defaults: Sequence[Value],
    ) -> list[Value]:
        """All indices, values, shapes, then the dense values."""
        return outputs_of(
            self.node,
            records.contexts,
            sparse,
            self.context_sparse,
            dense,
            self.context_dense,
            defaults,
        )

    def lists(
        self,
        records: Sequences,
        sparse: Sequence[bytes],
        dense: Sequence[bytes],
        optional: frozenset[bytes],
    ) -> tuple[list[Value], list[Value], list[Value]]:
        """All indices, values and shapes; the dense values; the lengths of these."""
        found = [
            _sparse_list(self.node, records, name, dtype)
            for name, dtype in zip(sparse, self.list_sparse, strict=True)
        ]
        full = [
            _dense_list(self.node, records, name, column, name in optional)
            for name, column in zip(dense, self.list_dense, strict=True)
        ]
        parts = [part[i] for i in range(3) for part in found]
        return parts, [values for values, _ in full], [lengths for _, lengths in full]


def _denses(node: NodeView, types: str, shapes: str) -> list[Dense]:
    return [
        Dense(d.numpy, shape.dims or ())
        for d, shape in zip(node.dtypes(types), node.attr(shapes), strict=True)
    ]


@SEQUENCES.op("ParseSequenceExample", host=True)
def parse_sequence_example(node: NodeView) -> Kernel:
    columns = Columns.of(node)
    node.attr("Ncontext_dense")
    keys = {
        name: list(node.attr(name))
        for name in (
            "context_sparse_keys",
            "context_dense_keys",
            "feature_list_sparse_keys",
            "feature_list_dense_keys",
        )
    }
    optional = frozenset(node.attr("feature_list_dense_missing_assumed_empty"))

    def kernel(serialized: Value, _: Value, *defaults: Value) -> tuple[Value, ...]:
        records = _read(node, serialized)
        context = columns.context(
            records, keys["context_sparse_keys"], keys["context_dense_keys"], defaults
        )
        sparse, dense, lengths = columns.lists(
            records, keys["feature_list_sparse_keys"], keys["feature_list_dense_keys"], optional
        )
        return (*context, *sparse, *dense, *lengths)

    return kernel


@SEQUENCES.op("ParseSequenceExampleV2", host=True)
def parse_sequence_example_v2(node: NodeView) -> Kernel:
    columns = Columns.of(node)
    ragged = {kind: _ragged_types(node, kind) for kind in ("context", "feature_list")}

    def kernel(
        serialized: Value,
        _: Value,
        context_sparse: Value,
        context_dense: Value,
        context_ragged: Value,
        list_sparse: Value,
        list_dense: Value,
        list_ragged: Value,
        missing: Value,
        *defaults: Value,
    ) -> tuple[Value, ...]:
        records = _read(node, serialized)
        context = columns.context(
            records, context_sparse.tolist(), context_dense.tolist(), defaults
        )
        context += ragged_of(node, records.contexts, context_ragged.tolist(), *ragged["context"])
        keys = list_dense.tolist()
        optional = frozenset(k for k, flag in zip(keys, missing.tolist(), strict=True) if flag)
        sparse, dense, lengths = columns.lists(records, list_sparse.tolist(), keys, optional)
        rows = [
            _ragged_list(node, records, *column)
            for column in zip(list_ragged.tolist(), *ragged["feature_list"], strict=True)
        ]
        parts = [row[i] for i in range(3) for row in rows]
        outputs = (*context, *sparse, *dense, *lengths, *parts)
        if np.ndim(serialized) == 0:
            return _single(outputs, columns, len(ragged["context"][0]), len(rows))
        return outputs

    return kernel


def _ragged_types(node: NodeView, kind: str) -> tuple[list[np.dtype[Any]], list[np.dtype[Any]]]:
    """The dtypes of the values and of the row splits."""
    return (
        [d.numpy for d in node.dtypes(f"{kind}_ragged_value_types")],
        [d.numpy for d in node.dtypes(f"{kind}_ragged_split_types")],
    )


def _single(
    outputs: Sequence[Value], columns: Columns, context_ragged: int, list_ragged: int
) -> tuple[Value, ...]:
    """The outputs for a scalar record: the axis of records is dropped everywhere."""
    indices, same, shape = (lambda x: x[:, 1:]), (lambda x: x), (lambda x: x[1:])
    first, none = (lambda x: x[0]), (lambda x: np.zeros((), x.dtype))
    sparse, list_sparse = len(columns.context_sparse), len(columns.list_sparse)
    dense, list_dense = len(columns.context_dense), len(columns.list_dense)
    changes = (
        [indices] * sparse
        + [same] * sparse
        + [shape] * sparse
        + [first] * dense
        + [same] * context_ragged
        + [none] * context_ragged
        + [indices] * list_sparse
        + [same] * list_sparse
        + [shape] * list_sparse
        + [first] * list_dense * 2
        + [same] * list_ragged
        + [none] * list_ragged
        + [same] * list_ragged
    )
    return tuple(change(x) for change, x in zip(changes, outputs, strict=True))


@SEQUENCES.op("ParseSingleSequenceExample", host=True)
def parse_single_sequence_example(node: NodeView) -> Kernel:
    columns = Columns.of(node)
    node.attr("Ncontext_dense")
    counts = (
        len(columns.context_sparse),
        len(columns.context_dense),
        len(columns.list_sparse),
        len(columns.list_dense),
    )

    def kernel(serialized: Value, missing: Value, *rest: Value) -> tuple[Value, ...]:
        keys, at = [], 0
        for count in counts:
            keys.append(names(rest[at : at + count]))
            at += count
        records = _read(node, serialized)
        context = columns.context(records, keys[0], keys[1], rest[at : at + counts[1]])
        optional = frozenset(np.ravel(missing).tolist())
        sparse, dense, lengths = columns.lists(records, keys[2], keys[3], optional)
        outputs = (*context, *sparse, *dense, *lengths)
        return _single(outputs, columns, 0, 0)[: len(outputs) - len(dense)]

    return kernel
