"""Parsing of tf.Example records and encoded numbers, on the host."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hozon.errors import FormatError, MismatchError
from hozon.formats.protos.tensor import parse_tensor
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.limits import LIMITS
from hozon.raw.example import Feature, parse_example
from hozon.raw.location import Location

PARSING = OpTable("parsing")
Array = np.ndarray[Any, Any]

#: The kind of list that holds values of a dtype.
KIND_OF = {"O": "bytes", "f": "float", "i": "int64"}


@dataclass(frozen=True, slots=True)
class Dense:
    """A feature of fixed shape; None as first size is a number of rows that varies."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def _array(values: Sequence[Any], dtype: np.dtype[Any]) -> Array:
    result = np.empty(len(values), dtype)
    result[:] = values
    return result


def _checked(node: NodeView, name: bytes, feature: Feature, dtype: np.dtype[Any]) -> Sequence[Any]:
    """The values of a feature, whose kind must suit the dtype."""
    if feature.kind and feature.kind != KIND_OF[dtype.kind]:
        raise MismatchError(
            f"node {node.name!r}: feature {name.decode(errors='replace')!r} holds {feature.kind} "
            f"values where {KIND_OF[dtype.kind]} is expected"
        )
    return feature.values


Examples = Sequence[Mapping[bytes, Feature]]


def _records(node: NodeView, serialized: Value) -> Examples:
    data = np.asarray(serialized, object).reshape(-1).tolist()
    return [parse_example(item, Location(f"node {node.name!r}", f"record {i}"))
            for i, item in enumerate(data)]  # fmt: skip


def _sparse(node: NodeView, records: Examples, name: bytes, dtype: np.dtype[Any]) -> list[Value]:
    """A sparse feature: indices, values and dense shape."""
    rows = [_checked(node, name, r.get(name, Feature("", ())), dtype) for r in records]
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    longest = max((len(row) for row in rows), default=0)
    return [
        np.asarray(indices, np.int64).reshape(-1, 2),
        _array([value for row in rows for value in row], dtype),
        np.asarray([len(rows), longest], np.int64),
    ]


def _dense(
    node: NodeView, records: Examples, name: bytes, dense: Dense, default: Array
) -> Value:
    """A dense feature: shape (records, *shape), shorter varying ones padded with the default."""
    varying = bool(dense.shape) and dense.shape[0] is None
    inner = int(np.prod([n for n in dense.shape if n is not None], dtype=np.int64))
    rows = []
    for record in records:
        feature = record.get(name)
        if feature is None or (not feature.kind and not len(feature.values)):
            rows.append(_default(node, name, default, varying, dense))
        else:
            rows.append(_array(_checked(node, name, feature, dense.dtype), dense.dtype))
    size = max((len(row) for row in rows), default=0) if varying else inner
    for i, row in enumerate(rows):
        if len(row) != size and (not varying or len(row) % max(inner, 1)):
            raise MismatchError(
                f"node {node.name!r}: feature {name.decode(errors='replace')!r} of record {i} has "
                f"{len(row)} values where {size} are expected"
            )
    filler = default.reshape(-1)[:1] if default.size else np.zeros(1, dense.dtype)
    if dense.dtype == np.dtype(object) and not default.size:
        filler = _array([b""], dense.dtype)
    padded = [np.concatenate([row, np.repeat(filler, size - len(row))]) for row in rows]
    shape = [size // max(inner, 1) if n is None else n for n in dense.shape]
    flat = np.concatenate(padded) if padded else np.empty(0, dense.dtype)
    return flat.reshape(len(rows), *shape)


def _default(
    node: NodeView, name: bytes, default: Array, varying: bool, dense: Dense
) -> Array:
    if varying:
        return np.empty(0, dense.dtype)
    if default.size == 0 and int(np.prod([n or 0 for n in dense.shape], dtype=np.int64)):
        raise MismatchError(
            f"node {node.name!r}: feature {name.decode(errors='replace')!r} is required but missing"
        )
    return np.broadcast_to(default, tuple(n or 0 for n in dense.shape)).reshape(-1)


def _denses(node: NodeView) -> list[Dense]:
    shapes = [shape.dims or () for shape in node.attr("dense_shapes")]
    return [Dense(d.numpy, s) for d, s in zip(node.dtypes("Tdense"), shapes, strict=True)]


def _names(values: Sequence[Value]) -> list[bytes]:
    return [np.asarray(value, object).item() for value in values]


@PARSING.op("ParseExample", host=True)
def parse_examples(node: NodeView) -> Kernel:
    sparse_count, dense_count = int(node.attr("Nsparse")), int(node.attr("Ndense"))
    sparse_types = [d.numpy for d in node.dtypes("sparse_types")]
    denses = _denses(node)

    def kernel(serialized: Value, _: Value, *rest: Value) -> tuple[Value, ...]:
        sparse_keys = _names(rest[:sparse_count])
        dense_keys = _names(rest[sparse_count : sparse_count + dense_count])
        defaults = rest[sparse_count + dense_count :]
        records = _records(node, serialized)
        return tuple(_outputs(node, records, sparse_keys, sparse_types, dense_keys, denses,
                              defaults))  # fmt: skip

    return kernel


def _outputs(
    node: NodeView, records: Examples, sparse_keys: Sequence[bytes], sparse_types: Sequence[Any],
    dense_keys: Sequence[bytes], denses: Sequence[Dense], defaults: Sequence[Value],
) -> list[Value]:  # fmt: skip
    """All indices, all sparse values, all sparse shapes, all dense values."""
    sparse = [_sparse(node, records, k, t) for k, t in zip(sparse_keys, sparse_types, strict=True)]
    dense = [_dense(node, records, k, d, np.asarray(v))
             for k, d, v in zip(dense_keys, denses, defaults, strict=True)]  # fmt: skip
    return [*(part[i] for i in range(3) for part in sparse), *dense]


@PARSING.op("ParseExampleV2", host=True)
def parse_examples_v2(node: NodeView) -> Kernel:
    node.attr("num_sparse")
    sparse_types = [d.numpy for d in node.dtypes("sparse_types")]
    ragged_types = [d.numpy for d in node.dtypes("ragged_value_types")]
    split_types = [d.numpy for d in node.dtypes("ragged_split_types")]
    denses = _denses(node)

    def kernel(
        serialized: Value, _: Value, sparse_keys: Value, dense_keys: Value, ragged_keys: Value,
        *defaults: Value,
    ) -> tuple[Value, ...]:  # fmt: skip
        records = _records(node, serialized)
        outputs = _outputs(node, records, sparse_keys.tolist(), sparse_types,
                           dense_keys.tolist(), denses, defaults)  # fmt: skip
        ragged = [_ragged(node, records, k, t, s) for k, t, s in
                  zip(ragged_keys.tolist(), ragged_types, split_types, strict=True)]  # fmt: skip
        outputs += [values for values, _ in ragged] + [splits for _, splits in ragged]
        if np.ndim(serialized) == 0:
            outputs = _of_one(outputs, len(sparse_types), len(denses))
        return tuple(outputs)

    return kernel


def _of_one(outputs: list[Value], sparse: int, dense: int) -> list[Value]:
    """The outputs for a single record: without the axis of records, and without row splits."""
    single = [o[:, 1:] for o in outputs[:sparse]]
    single += outputs[sparse : 2 * sparse] + [o[1:] for o in outputs[2 * sparse : 3 * sparse]]
    single += [o[0] for o in outputs[3 * sparse : 3 * sparse + dense]]
    ragged = (len(outputs) - 3 * sparse - dense) // 2
    return single + outputs[3 * sparse + dense :][:ragged] + [
        splits[:0] for splits in outputs[3 * sparse + dense + ragged :]
    ]


def _ragged(
    node: NodeView, records: Examples, name: bytes, dtype: np.dtype[Any], splits: np.dtype[Any]
) -> tuple[Value, Value]:
    rows = [_checked(node, name, r.get(name, Feature("", ())), dtype) for r in records]
    ends = np.cumsum([0, *map(len, rows)]).astype(splits)
    return _array([value for row in rows for value in row], dtype), ends


@PARSING.op("ParseSingleExample", host=True)
def parse_single_example(node: NodeView) -> Kernel:
    node.attr("num_sparse")
    sparse_keys, dense_keys = list(node.attr("sparse_keys")), list(node.attr("dense_keys"))
    sparse_types = [d.numpy for d in node.dtypes("sparse_types")]
    denses = _denses(node)

    def kernel(serialized: Value, *defaults: Value) -> tuple[Value, ...]:
        records = _records(node, serialized)
        outputs = _outputs(node, records, sparse_keys, sparse_types, dense_keys, denses, defaults)
        return tuple(_of_one(outputs, len(sparse_types), len(denses)))

    return kernel


@PARSING.op("DecodeRaw", host=True)
def decode_raw(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy
    order: Literal["<", ">"] = "<" if node.attr("little_endian") else ">"

    def kernel(data: Value) -> Value:
        items = np.asarray(data, object).reshape(-1).tolist()
        sizes = {len(item) for item in items}
        if len(sizes) > 1 or any(size % dtype.itemsize for size in sizes):
            raise MismatchError(
                f"node {node.name!r}: strings of {sorted(sizes)} bytes are no rows of {dtype}"
            )
        stored = dtype.newbyteorder(order) if dtype.kind in "iufc" else dtype
        rows = [np.frombuffer(item, stored).astype(dtype) for item in items]
        width = next(iter(sizes), 0) // dtype.itemsize
        flat = np.concatenate(rows) if rows else np.empty(0, dtype)
        return flat.reshape(*np.shape(data), width)

    return kernel


@PARSING.op("DecodeCSV", host=True)
def decode_csv(node: NodeView) -> Kernel:
    dtypes = [d.numpy for d in node.dtypes("OUT_TYPE")]
    delimiter = node.text("field_delim")
    quoted = bool(node.attr("use_quote_delim"))
    absent = node.text("na_value")
    chosen = node.ints("select_cols")

    def kernel(records: Value, *defaults: Value) -> tuple[Value, ...]:
        rows = [_fields(text, delimiter, quoted) for text in np.ravel(records).tolist()]
        columns = []
        for i, (dtype, default) in enumerate(zip(dtypes, defaults, strict=True)):
            position = chosen[i] if chosen else i
            column = [_cell(node, row, position, dtype, default, absent) for row in rows]
            columns.append(_array(column, dtype).reshape(np.shape(records)))
        return tuple(columns)

    return kernel


def _fields(text: bytes, delimiter: str, quoted: bool) -> list[str]:
    lines = io.StringIO(text.decode("utf-8", "surrogateescape"))
    reader = (csv.reader(lines, delimiter=delimiter) if quoted
              else csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))  # fmt: skip
    return next(reader, [""])


def _cell(
    node: NodeView, row: Sequence[str], position: int, dtype: np.dtype[Any], default: Value,
    absent: str,
) -> Any:  # fmt: skip
    text = row[position] if position < len(row) else ""
    if text in ("", absent):
        if not np.size(default):
            raise MismatchError(f"node {node.name!r}: field {position} is required but missing")
        return np.ravel(default)[0]
    try:
        if dtype == np.dtype(object):
            return text.encode("utf-8", "surrogateescape")
        return dtype.type(float(text) if dtype.kind == "f" else int(text))
    except ValueError:
        raise MismatchError(
            f"node {node.name!r}: field {position}: {text!r} is no {dtype}"
        ) from None


@PARSING.op("ParseTensor", host=True)
def parse_tensor_op(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy

    def kernel(serialized: Value) -> Value:
        array = to_numpy(parse_tensor(np.asarray(serialized, object).item()))
        if array.dtype != dtype:
            raise MismatchError(f"node {node.name!r}: a tensor of {array.dtype}, not {dtype}")
        return array

    return kernel


@PARSING.op("DecodeCompressed", host=True)
def decode_compressed(node: NodeView) -> Kernel:
    window = {"": None, "ZLIB": 15, "GZIP": 31}.get(node.text("compression_type"), -1)
    if window == -1:
        raise node.refuse(f"compression {node.text('compression_type')!r}")

    def decode(data: bytes) -> bytes:
        if window is None:
            return data
        most = max(len(data) * LIMITS.expansion_ratio, 1 << 16)
        engine = zlib.decompressobj(window)
        try:
            result = engine.decompress(data, most)
        except zlib.error as error:
            raise FormatError(f"node {node.name!r}: {error}") from None
        if engine.unconsumed_tail:
            raise FormatError(f"node {node.name!r}: {len(data)} bytes expand beyond {most}")
        return result

    def kernel(data: Value) -> Value:
        items = [decode(item) for item in np.ravel(np.asarray(data, object)).tolist()]
        return _array(items, np.dtype(object)).reshape(np.shape(data))

    return kernel
