"""Strings, on the host: NumPy object arrays of ``bytes``.

Regular expressions are RE2's, as in TensorFlow: linear in time, so no pattern of a file can hang.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import re2

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.raw.hashing import fingerprint64, hash64, siphash24

STRING = OpTable("string")
Array = np.ndarray[Any, Any]

#: What TensorFlow's splitting and stripping take for white space (absl::ascii_isspace).
WHITESPACE = b" \t\n\v\f\r"


def objects(items: Sequence[Any], shape: tuple[int, ...] | None = None) -> Array:
    """An object array of the items."""
    result = np.empty(len(items), object)
    result[:] = items
    return result if shape is None else result.reshape(shape)


def each(function: Callable[[bytes], Any], values: Array, dtype: Any = object) -> Array:
    """`function` of every string."""
    values = np.asarray(values, object)
    flat = [function(x) for x in values.reshape(-1).tolist()]
    result = np.empty(len(flat), dtype)
    result[:] = flat
    return result.reshape(values.shape)


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
        order = [int(a) % max(x.ndim, 1) for a in np.asarray(axes).reshape(-1)]
        if x.ndim == 0 or not order:
            return x
        kept = [i for i in range(x.ndim) if i not in order]
        rows = x.transpose([*kept, *order]).reshape([x.shape[i] for i in kept] + [-1])
        joined = [separator.join(row) for row in rows.reshape(-1, rows.shape[-1]).tolist()]
        shape = [1 if i in order else n for i, n in enumerate(x.shape)]
        return objects(joined, tuple(shape if keep else (x.shape[i] for i in kept)))

    return kernel


@STRING.op("UnsortedSegmentJoin", host=True)
def segment_join(node: NodeView) -> Kernel:
    separator = node.attr("separator")

    def kernel(x: Value, ids: Value, count: Value) -> Value:
        ids = np.asarray(ids)
        rest = x.shape[ids.ndim :]
        rows = x.reshape(ids.size, -1)
        columns = rows.shape[1]
        parts: list[list[bytes]] = [[] for _ in range(int(count) * columns)]
        for row, segment in zip(rows.tolist(), ids.reshape(-1).tolist(), strict=True):
            for column, value in enumerate(row):
                if segment >= 0:
                    parts[segment * columns + column].append(value)
        return objects([separator.join(p) for p in parts], (int(count), *rest))

    return kernel


def _pattern(node: NodeView, pattern: bytes) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise MismatchError(f"node {node.name!r}: {pattern!r} is no RE2 pattern: {error}") from None


def _replace(pattern: Any, replacement: bytes, everywhere: bool, values: Value) -> Value:
    count = 0 if everywhere else 1
    template = replacement.replace(rb"\0", rb"\g<0>")
    return each(lambda s: pattern.sub(template, s, count), values)


@STRING.op("StaticRegexReplace", host=True)
def static_regex_replace(node: NodeView) -> Kernel:
    pattern = _pattern(node, node.attr("pattern"))
    rewrite = node.attr("rewrite")
    everywhere = bool(node.attr("replace_global"))
    return lambda x: _replace(pattern, rewrite, everywhere, x)


@STRING.op("RegexReplace", host=True)
def regex_replace(node: NodeView) -> Kernel:
    everywhere = bool(node.attr("replace_global"))

    def kernel(x: Value, pattern: Value, rewrite: Value) -> Value:
        return _replace(_pattern(node, _item(pattern)), _item(rewrite), everywhere, x)

    return kernel


@STRING.op("StaticRegexFullMatch", host=True)
def static_regex_match(node: NodeView) -> Kernel:
    pattern = _pattern(node, node.attr("pattern"))
    return lambda x: each(lambda s: pattern.fullmatch(s) is not None, x, bool)


@STRING.op("RegexFullMatch", host=True)
def regex_match(node: NodeView) -> Kernel:
    def kernel(x: Value, pattern: Value) -> Value:
        compiled = _pattern(node, _item(pattern))
        return each(lambda s: compiled.fullmatch(s) is not None, x, bool)

    return kernel


def _item(value: Value) -> bytes:
    item: bytes = np.asarray(value, object).item()
    return item


@STRING.op("StringSplitV2", host=True)
def split_v2(node: NodeView) -> Kernel:
    most = int(node.attr("maxsplit"))

    def kernel(x: Value, separator: Value) -> tuple[Value, ...]:
        mark = _item(separator) or None
        if mark is None:
            return sparse_rows([_white_split(s, most) for s in x.tolist()])
        return sparse_rows([s.split(mark, most) for s in x.tolist()])

    return kernel


def _white_split(value: bytes, most: int) -> list[bytes]:
    """Split at runs of white space; with a limit the rest keeps its inner space."""
    return value.split(None, most) if most < 0 else value.lstrip(WHITESPACE).split(None, most)


@STRING.op("StringSplit", host=True)
def split(node: NodeView) -> Kernel:
    """Split at any of the characters of the delimiter, or into bytes when it is empty."""
    skip = bool(node.attr("skip_empty"))

    def kernel(x: Value, delimiter: Value) -> tuple[Value, ...]:
        marks = _item(delimiter)
        rows = [_split_at_any(s, marks) for s in x.tolist()]
        return sparse_rows([[p for p in row if p or not skip] for row in rows])

    return kernel


def _split_at_any(value: bytes, marks: bytes) -> list[bytes]:
    if not marks:
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


def _cut(node: NodeView, value: bytes, position: int, size: int, utf8: bool) -> bytes:
    units: Any = list(value.decode("utf-8", "surrogateescape")) if utf8 else value
    count = len(units)
    if not -count <= position <= count:
        raise MismatchError(
            f"node {node.name!r}: position {position} is outside of a string of length {count}"
        )
    start = position + count if position < 0 else position
    part = units[start : start + max(size, 0)]
    return "".join(part).encode("utf-8", "surrogateescape") if utf8 else part


@STRING.op("AsString", host=True)
def as_string(node: NodeView) -> Kernel:
    kind = node.dtype().numpy.kind
    precision, width = int(node.attr("precision")), int(node.attr("width"))
    scientific, shortest = bool(node.attr("scientific")), bool(node.attr("shortest"))
    fill = node.text("fill")
    conversion = "e" if scientific else "g" if shortest else "f"
    digits = f".{precision}" if precision >= 0 else ""

    def text(value: Any) -> bytes:
        if kind == "O":
            return bytes(value)
        if kind == "b":
            return b"true" if value else b"false"
        if kind == "c":
            return f"({_float(value.real)},{_float(value.imag)})".encode()
        return _pad(_float(value) if kind in "fV" else str(value)).encode()

    def _float(value: float) -> str:
        return f"%{digits}{conversion}" % value

    def _pad(word: str) -> str:
        if width <= 0:
            return word
        if fill == "-":
            return word.ljust(width)
        if fill == "0":
            return word.zfill(width)
        return (fill + word if fill == "+" and not word.startswith("-") else word).rjust(width)

    def kernel(x: Value) -> Value:
        values = x.astype(np.float64) if kind in "fV" else x
        return objects([text(v) for v in values.reshape(-1).tolist()], x.shape)

    return kernel


@STRING.op("StringToNumber", host=True)
def to_number(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy

    def parse(value: bytes) -> Any:
        try:
            word = value.strip(WHITESPACE).decode()
            return dtype.type(int(word) if dtype.kind in "iu" else float(word))
        except (ValueError, OverflowError):
            raise MismatchError(f"node {node.name!r}: {value!r} is no {dtype} number") from None

    return lambda x: each(parse, x, dtype)


@STRING.op("StringFormat", host=True)
def string_format(node: NodeView) -> Kernel:
    template, placeholder = node.attr("template"), node.attr("placeholder")
    summarize = int(node.attr("summarize"))

    def kernel(*values: Value) -> Value:
        pieces = template.split(placeholder)
        shown = [_shown(np.asarray(v), summarize) for v in values]
        joined = b"".join(a + b for a, b in zip(pieces, [*shown, b""], strict=True))
        return objects([joined], ())

    return kernel


def _shown(value: Array, summarize: int) -> bytes:
    if value.ndim == 0:
        item = value.item()
        return b'"' + item + b'"' if isinstance(item, bytes) else str(item).encode()
    rows = list(value)
    if 0 <= summarize * 2 < len(rows):
        head = [_shown(r, summarize) for r in rows[:summarize]]
        tail = [_shown(r, summarize) for r in rows[len(rows) - summarize :]]
        return b"[" + b" ".join([*head, b"...", *tail]) + b"]"
    return b"[" + b" ".join(_shown(np.asarray(r), summarize) for r in rows) + b"]"


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
        if _item(method) != b"farmhash64":
            raise node.refuse(f"method {_item(method)!r}")
        rows = _row_bytes(np.asarray(data))
        return np.asarray([digest(row) for row in rows], np.uint8).reshape(-1, 8)

    return kernel


def _row_bytes(data: Array) -> list[bytes]:
    if data.dtype != object:
        return [row.tobytes() for row in data]
    if data.ndim == 1:
        return data.tolist()
    return [b"".join(fingerprint64(s).to_bytes(8, "little") for s in row.reshape(-1).tolist())
            for row in data]  # fmt: skip


@STRING.op("EncodeBase64", host=True)
def encode_base64(node: NodeView) -> Kernel:
    pad = bool(node.attr("pad"))

    def encode(value: bytes) -> bytes:
        encoded = base64.urlsafe_b64encode(value)
        return encoded if pad else encoded.rstrip(b"=")

    return lambda x: each(encode, x)


@STRING.op("DecodeBase64", host=True)
def decode_base64(node: NodeView) -> Kernel:
    def decode(value: bytes) -> bytes:
        try:
            return base64.urlsafe_b64decode(value + b"=" * (-len(value) % 4))
        except (binascii.Error, ValueError):
            raise MismatchError(f"node {node.name!r}: invalid base64 text") from None

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
        if keep_short and not found and row:
            found = [separator.join(row)]
        return found

    def kernel(data: Value, splits: Value) -> tuple[Value, Value]:
        words, ends = data.tolist(), splits.tolist()
        rows = [row_ngrams(words[a:b]) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        lengths = np.cumsum([0, *map(len, rows)])
        return objects([g for row in rows for g in row]), lengths.astype(splits.dtype)

    return kernel


CODECS = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be",
          "UTF8": "utf-8", "US-ASCII": "ascii", "ISO-8859-1": "latin-1", "latin1": "latin-1",
          "UTF-16": "utf-16", "UTF-16-LE": "utf-16-le", "UTF-32-LE": "utf-32-le"}  # fmt: skip


class Decoder:
    """Turns bytes into characters under a node's policy for malformed input."""

    def __init__(self, node: NodeView) -> None:
        self.node = node
        name = node.text("input_encoding")
        if name not in CODECS:
            raise node.refuse(f"encoding {name!r}")
        self.codec = CODECS[name]
        self.errors = node.text("errors")
        self.substitute = chr(int(node.attr("replacement_char")))
        self.drop_controls = bool(node.attr("replace_control_characters"))

    def decode(self, value: bytes) -> str:
        """The characters of a string."""
        mode = {"strict": "strict", "replace": "replace", "ignore": "ignore"}[self.errors]
        try:
            text = value.decode(self.codec, mode)
        except UnicodeDecodeError as error:
            raise MismatchError(f"node {self.node.name!r}: malformed text: {error}") from None
        if self.errors == "replace" and self.substitute != "\ufffd":
            text = text.replace("\ufffd", self.substitute)
        return self._controls(text) if self.drop_controls else text

    def _controls(self, text: str) -> str:
        keep = "" if self.errors == "ignore" else self.substitute
        return "".join(keep if unicodedata.category(c) == "Cc" else c for c in text)

    def offsets(self, text: str) -> list[int]:
        """The byte at which each character starts."""
        widths = [len(c.encode(self.codec, "replace")) for c in text]
        return [0, *np.cumsum(widths).tolist()][: len(text)]


@STRING.op("UnicodeDecode", "UnicodeDecodeWithOffsets", host=True)
def unicode_decode(node: NodeView) -> Kernel:
    decoder = Decoder(node)
    splits_dtype = node.dtype("Tsplits").numpy
    with_offsets = node.op.endswith("Offsets")

    def kernel(x: Value) -> tuple[Value, ...]:
        texts = [decoder.decode(s) for s in np.asarray(x, object).reshape(-1).tolist()]
        splits = np.cumsum([0, *map(len, texts)]).astype(splits_dtype)
        points = np.asarray([ord(c) for t in texts for c in t], np.int32)
        if not with_offsets:
            return splits, points
        starts = [o for t in texts for o in decoder.offsets(t)]
        return splits, points, np.asarray(starts, np.int64)

    return kernel


@STRING.op("UnicodeEncode", host=True)
def unicode_encode(node: NodeView) -> Kernel:
    codec = CODECS[node.text("output_encoding")]
    errors = node.text("errors")
    substitute = int(node.attr("replacement_char"))

    def character(point: int) -> str:
        if 0 <= point < 0x110000 and not 0xD800 <= point < 0xE000:
            return chr(point)
        if errors == "strict":
            raise MismatchError(f"node {node.name!r}: {point} is no code point")
        return "" if errors == "ignore" else chr(substitute)

    def kernel(points: Value, splits: Value) -> Value:
        characters = [character(p) for p in points.tolist()]
        ends = splits.tolist()
        return objects(["".join(characters[a:b]).encode(codec)
                        for a, b in zip(ends[:-1], ends[1:], strict=True)])  # fmt: skip

    return kernel


@STRING.op("UnicodeTranscode", host=True)
def unicode_transcode(node: NodeView) -> Kernel:
    decoder = Decoder(node)
    codec = CODECS[node.text("output_encoding")]
    return lambda x: each(lambda s: decoder.decode(s).encode(codec, "replace"), x)
