"""Tensors from encoded text and bytes, on the host."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from hozon.errors import FormatError, MismatchError
from hozon.formats.protos.tensor import parse_tensor
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graphs.ops.examples import filled
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_int
from hozon.limits import LIMITS

DECODE = OpTable("decode")


@DECODE.op("DecodeRaw", host=True)
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


@DECODE.op("DecodePaddedRaw", host=True)
def decode_padded_raw(node: NodeView) -> Kernel:
    """Strings cut or filled with zero bytes to one length."""
    dtype = node.dtype("out_type").numpy
    order: Literal["<", ">"] = "<" if node.attr("little_endian") else ">"
    stored = dtype.newbyteorder(order) if dtype.kind in "iufc" else dtype

    def kernel(data: Value, fixed_length: Value) -> Value:
        length = static_int(fixed_length, "the length of the strings")
        if not 0 < length <= LIMITS.header_bytes or length % dtype.itemsize:
            raise MismatchError(f"node {node.name!r}: {length} bytes are no row of {dtype}")
        items = np.asarray(data, object).reshape(-1).tolist()
        body = b"".join(item[:length].ljust(length, b"\0") for item in items)
        return np.frombuffer(body, stored).astype(dtype).reshape(*np.shape(data), -1)

    return kernel


@DECODE.op("DecodeCSV", host=True)
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
            columns.append(filled(column, dtype).reshape(np.shape(records)))
        return tuple(columns)

    return kernel


def _fields(text: bytes, delimiter: str, quoted: bool) -> list[str]:
    lines = io.StringIO(text.decode("utf-8", "surrogateescape"))
    reader = (
        csv.reader(lines, delimiter=delimiter)
        if quoted
        else csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    )
    return next(reader, [""])


def _cell(
    node: NodeView,
    row: Sequence[str],
    position: int,
    dtype: np.dtype[Any],
    default: Value,
    absent: str,
) -> Any:
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


@DECODE.op("ParseTensor", host=True)
def parse_tensor_op(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy

    def kernel(serialized: Value) -> Value:
        array = to_numpy(parse_tensor(np.asarray(serialized, object).item()))
        if array.dtype != dtype:
            raise MismatchError(f"node {node.name!r}: a tensor of {array.dtype}, not {dtype}")
        return array

    return kernel


@DECODE.op("DecodeCompressed", host=True)
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
        return filled(items, np.dtype(object)).reshape(np.shape(data))

    return kernel
