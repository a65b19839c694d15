"""Strings, on the host: NumPy object arrays of ``bytes``."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.kernels.strings import WHITESPACE, Array, each, item, objects, ragged_rows
from hozon.raw.hashing import fingerprint64, hash64, siphash24

STRING = OpTable("string")


def _encoded(node: NodeView) -> bool:
    """Whether the node works on UTF-8 characters rather than on bytes."""
    return node.text("encoding").lower().replace("-", "") == "utf8"


@STRING.op("StringLower", host=True)
def lower(node: NodeView) -> Kernel:
    if _encoded(node):
        return lambda x: each(lambda s: _text(s).lower().encode(), x)
    return lambda x: each(bytes.lower, x)


@STRING.op("StringUpper", host=True)
def upper(node: NodeView) -> Kernel:
    if _encoded(node):
        return lambda x: each(lambda s: _text(s).upper().encode(), x)
    return lambda x: each(bytes.upper, x)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


@STRING.kernel("StringStrip", host=True)
def strip(x: Value) -> Value:
    return each(lambda s: s.strip(WHITESPACE), x)


@STRING.op("StringLength", host=True)
def length(node: NodeView) -> Kernel:
    if node.text("unit") == "UTF8_CHAR":
        return lambda x: each(_characters, x, np.int32)
    return lambda x: each(len, x, np.int32)


def _characters(value: bytes) -> int:
    return sum((byte & 0xC0) != 0x80 for byte in value)


@STRING.op("StringJoin", host=True)
def join(node: NodeView) -> Kernel:
    separator = node.attr("separator")

    def kernel(*parts: Value) -> Value:
        if len({np.shape(p) for p in parts} - {()}) > 1:
            raise MismatchError(f"node {node.name!r}: parts of shapes {[*map(np.shape, parts)]}")
        arrays = np.broadcast_arrays(*(np.asarray(p, object) for p in parts))
        rows = zip(*(a.reshape(-1).tolist() for a in arrays), strict=True)
        return objects([separator.join(row) for row in rows], arrays[0].shape)

    return kernel


@STRING.op("ReduceJoin", host=True)
def reduce_join(node: NodeView) -> Kernel:
    keep = bool(node.attr("keep_dims"))
    separator = node.attr("separator")

    def kernel(x: Value, axes: Value) -> Value:
        x = np.asarray(x, object)
        order = _axes(node, np.asarray(axes).reshape(-1).tolist(), x.ndim)
        if not order:
            return x
        kept = [i for i in range(x.ndim) if i not in order]
        rest = tuple(x.shape[i] for i in kept)
        count = int(np.prod([x.shape[i] for i in order], dtype=int))
        rows = x.transpose([*kept, *reversed(order)]).reshape(int(np.prod(rest, dtype=int)), count)
        joined = [separator.join(row) for row in rows.tolist()]
        ones = tuple(1 if i in order else n for i, n in enumerate(x.shape))
        return objects(joined, ones if keep else rest)

    return kernel


def _axes(node: NodeView, axes: Sequence[int], rank: int) -> list[int]:
    """The axes to join over, the first of which runs fastest."""
    if any(not -rank <= axis < rank for axis in axes):
        raise MismatchError(f"node {node.name!r}: axes {axes} of a tensor of rank {rank}")
    order = [axis % rank for axis in axes]
    if len(set(order)) < len(order):
        raise MismatchError(f"node {node.name!r}: axes {axes} name one twice")
    return order


@STRING.op("UnsortedSegmentJoin", host=True)
def segment_join(node: NodeView) -> Kernel:
    separator = node.attr("separator")

    def kernel(x: Value, ids: Value, count: Value) -> Value:
        ids = np.asarray(ids)
        if x.shape[: ids.ndim] != ids.shape or np.any((ids < 0) | (ids >= count)):
            raise MismatchError(
                f"node {node.name!r}: segments must be of shape {x.shape} or its start"
                f" and in [0, {int(count)})"
            )
        rest = x.shape[ids.ndim :]
        columns = int(np.prod(rest, dtype=int))
        rows = x.reshape(ids.size, columns)
        parts: list[list[bytes]] = [[] for _ in range(int(count) * columns)]
        for row, segment in zip(rows.tolist(), ids.reshape(-1).tolist(), strict=True):
            for column, value in enumerate(row):
                parts[segment * columns + column].append(value)
        return objects([separator.join(p) for p in parts], (int(count), *rest))

    return kernel


@STRING.op("StringSplitV2", host=True)
def split_v2(node: NodeView) -> Kernel:
    most = int(node.attr("maxsplit"))

    def kernel(x: Value, separator: Value) -> tuple[Value, ...]:
        mark = item(separator) or None
        if mark is None:
            return sparse_rows([_white_split(s, most) for s in x.tolist()])
        return sparse_rows([s.split(mark, most) for s in x.tolist()])

    return kernel


def _white_split(value: bytes, most: int) -> list[bytes]:
    """Split at runs of white space; after `most` words comes the rest, even an empty one."""
    if most == 0:
        return [value]
    words = value.split(None, most) if most > 0 else value.split()
    return [*words, b""] if len(words) == most else words


@STRING.op("StringSplit", host=True)
def split(node: NodeView) -> Kernel:
    """Split at any of the characters of the delimiter, or into bytes when it is empty."""
    skip = bool(node.attr("skip_empty"))

    def kernel(x: Value, delimiter: Value) -> tuple[Value, ...]:
        marks = item(delimiter)
        rows = [_split_at_any(s, marks) for s in x.tolist()]
        return sparse_rows([[p for p in row if p or not skip] for row in rows])

    return kernel


def _split_at_any(value: bytes, marks: bytes) -> list[bytes]:
    if not marks or not value:
        return [value[i : i + 1] for i in range(len(value))]
    for mark in marks[1:]:
        value = value.replace(bytes([mark]), marks[:1])
    return value.split(marks[:1])


def sparse_rows(rows: Sequence[Sequence[Any]]) -> tuple[Value, ...]:
    """Rows of strings as a sparse tensor: indices, values, dense shape."""
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    longest = max((len(row) for row in rows), default=0)
    return (
        np.asarray(indices, np.int64).reshape(-1, 2),
        objects([value for row in rows for value in row]),
        np.asarray([len(rows), longest], np.int64),
    )


@STRING.op("Substr", host=True)
def substring(node: NodeView) -> Kernel:
    utf8 = node.text("unit") == "UTF8_CHAR"

    def kernel(x: Value, position: Value, size: Value) -> Value:
        arrays = np.broadcast_arrays(np.asarray(x, object), position, size)
        rows = zip(*(a.reshape(-1).tolist() for a in arrays), strict=True)
        return objects([_cut(node, s, p, n, utf8) for s, p, n in rows], arrays[0].shape)

    return kernel


#: A UTF-8 character as TensorFlow counts: any byte and the trailing bytes after it.
CHARACTER = re.compile(rb"[\x00-\xff][\x80-\xbf]*")


def _cut(node: NodeView, value: bytes, position: int, size: int, utf8: bool) -> bytes:
    units: Any = CHARACTER.findall(value) if utf8 else value
    count = len(units)
    if not -count <= position <= count or (utf8 and position < 0 and size < 0):
        raise MismatchError(
            f"node {node.name!r}: {size} from position {position} of a string of length {count}"
        )
    start = position + count if position < 0 else position
    if utf8:
        return b"".join(units[start : start + max(size, 0)])
    return value[start:] if size < 0 else value[start : start + size]


def _buckets(node: NodeView, hashed: Callable[[bytes], int]) -> Kernel:
    count = int(node.attr("num_buckets"))
    return lambda x: each(lambda s: hashed(s) % count, x, np.int64)


@STRING.op("StringToHashBucketFast", host=True)
def hash_fast(node: NodeView) -> Kernel:
    return _buckets(node, fingerprint64)


@STRING.op("StringToHashBucket", host=True)
def hash_legacy(node: NodeView) -> Kernel:
    return _buckets(node, hash64)


@STRING.op("StringToHashBucketStrong", host=True)
def hash_strong(node: NodeView) -> Kernel:
    first, second = (int(k) & 0xFFFFFFFFFFFFFFFF for k in node.ints("key"))
    return _buckets(node, lambda s: siphash24((first, second), s))


@STRING.op("Fingerprint", host=True)
def fingerprint(node: NodeView) -> Kernel:
    """The Fingerprint64 of each row's bytes, as 8 bytes."""

    def digest(data: bytes) -> list[int]:
        return list(fingerprint64(data).to_bytes(8, "little"))

    def kernel(data: Value, method: Value) -> Value:
        if item(method) != b"farmhash64":
            raise node.refuse(f"method {item(method)!r}")
        rows = _row_bytes(np.asarray(data))
        return np.asarray([digest(row) for row in rows], np.uint8).reshape(-1, 8)

    return kernel


def _row_bytes(data: Array) -> list[bytes]:
    if data.dtype != object:
        return [row.tobytes() for row in data]
    if data.ndim == 1:
        return data.tolist()
    return [
        b"".join(fingerprint64(s).to_bytes(8, "little") for s in row.reshape(-1).tolist())
        for row in data
    ]


@STRING.op("EncodeBase64", host=True)
def encode_base64(node: NodeView) -> Kernel:
    pad = bool(node.attr("pad"))

    def encode(value: bytes) -> bytes:
        encoded = base64.urlsafe_b64encode(value)
        return encoded if pad else encoded.rstrip(b"=")

    return lambda x: each(encode, x)


BASE64 = re.compile(rb"(?:[\w-]{4})*(?:[\w-]{2}(?:==)?|[\w-]{3}=?)?")


@STRING.op("DecodeBase64", host=True)
def decode_base64(node: NodeView) -> Kernel:
    def decode(value: bytes) -> bytes:
        if not BASE64.fullmatch(value):
            raise MismatchError(f"node {node.name!r}: {value!r} is no web-safe base64 text")
        return base64.urlsafe_b64decode(value + b"=" * (-len(value) % 4))

    return lambda x: each(decode, x)


@STRING.op("StringNGrams", host=True)
def ngrams(node: NodeView) -> Kernel:
    separator, left, right = (node.attr(k) for k in ("separator", "left_pad", "right_pad"))
    widths = node.ints("ngram_widths")
    padding = int(node.attr("pad_width"))
    keep_short = bool(node.attr("preserve_short_sequences"))

    def row_ngrams(row: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for width in widths:
            pad = min(padding, width - 1) if padding >= 0 else width - 1
            padded = [left] * pad + row + [right] * pad
            grams = [padded[i : i + width] for i in range(len(padded) - width + 1)]
            found += [separator.join(g) for g in grams]
        if keep_short and row and not found:
            pad = max(padding, 0)
            found = [separator.join([left] * pad + row + [right] * pad)]
        return found

    def kernel(data: Value, splits: Value) -> tuple[Value, Value]:
        words = ragged_rows(node.name, data.tolist(), splits.tolist())
        rows = [row_ngrams(row) if data.size else [] for row in words]
        lengths = np.cumsum([0, *map(len, rows)])
        return objects([g for row in rows for g in row]), lengths.astype(splits.dtype)

    return kernel
