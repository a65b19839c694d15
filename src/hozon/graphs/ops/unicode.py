"""Decoding and encoding of text.

Encodings are those of ICU for which Python's codecs give the same characters.
"""

from __future__ import annotations

import codecs
import re

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.kernels.strings import each, objects, ragged_rows

UNICODE = OpTable("unicode")

#: Python's codecs by ICU's name without case, dashes, underscores and spaces.
CODECS = {
    "utf8": "utf-8",
    "utf16be": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32be": "utf-32-be",
    "utf32le": "utf-32-le",
    "usascii": "ascii",
    "ascii": "ascii",
    "latin1": "latin-1",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "macintosh": "mac-roman",
    "gbk": "gbk",
    **{f"iso8859{n}": f"iso8859-{n}" for n in (*range(1, 11), 13, 14, 15)},
    **{f"windows{n}": f"cp{n}" for n in (1250, 1251, 1252, 1256)},
}

#: Encodings that leave the byte order open: mark and codec of little-endian text, then of big.
EITHER_ORDER = {
    "utf16": (codecs.BOM_UTF16_LE, "utf-16-le", codecs.BOM_UTF16_BE, "utf-16-be"),
    "utf32": (codecs.BOM_UTF32_LE, "utf-32-le", codecs.BOM_UTF32_BE, "utf-32-be"),
}

#: Marks a malformed sequence of n bytes as the lone surrogate U+DC00 + n, which no text holds.
MALFORMED = "hozon-malformed"


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return chr(0xDC00 + min(error.end - error.start, 0xFF)), error.end


def _as_controls(error: UnicodeError) -> tuple[str, int]:
    """Bytes that a Windows code page leaves open are control characters."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(MALFORMED, _mark)
codecs.register_error("hozon-controls", _as_controls)

MARKED = re.compile("[\udc00-\udcff]")
CONTROLS = re.compile("[\x00-\x1f]")


class Decoder:
    """Turns bytes into characters under a node's policy for malformed input."""

    def __init__(self, node: NodeView) -> None:
        self.node = node
        name = re.sub("[-_ ]", "", node.text("input_encoding").lower())
        if name not in CODECS and name not in EITHER_ORDER:
            raise node.refuse(f"encoding {node.text('input_encoding')!r}")
        self.name = name
        self.handler = "hozon-controls" if name.startswith("windows") else MALFORMED
        self.errors = node.text("errors")
        substitute = chr(int(node.attr("replacement_char")))
        self.substitute = "" if self.errors == "ignore" else substitute
        self.drop_controls = bool(node.attr("replace_control_characters"))

    def decode(self, value: bytes) -> str:
        """The characters of a string."""
        return self._cleaned(self._marked(value)[1])

    def with_offsets(self, value: bytes) -> list[tuple[str, int]]:
        """The characters of a string, each with the byte at which it starts.

        A byte order mark belongs to the first character.
        """
        codec, text, position = self._marked(value)
        found = []
        for number, character in enumerate(text):
            start = position if number else 0
            found += [(kept, start) for kept in self._cleaned(character)]
            malformed = MARKED.match(character)
            position += ord(character) - 0xDC00 if malformed else len(character.encode(codec))
        return found

    def _marked(self, value: bytes) -> tuple[str, str, int]:
        """The codec, the text with marks for what is malformed, and where the text starts."""
        if self.name in CODECS:
            codec, start = CODECS[self.name], 0
        else:
            little, codec_little, big, codec_big = EITHER_ORDER[self.name]
            codec = codec_little if value.startswith(little) else codec_big
            start = len(big) if value.startswith((little, big)) else 0
        return codec, value[start:].decode(codec, self.handler), start

    def _cleaned(self, text: str) -> str:
        if self.errors == "strict" and MARKED.search(text):
            raise MismatchError(f"node {self.node.name!r}: malformed {self.name} text")
        text = MARKED.sub(lambda _: self.substitute, text)
        return CONTROLS.sub(lambda _: self.substitute, text) if self.drop_controls else text


@UNICODE.op("UnicodeDecode", host=True)
def unicode_decode(node: NodeView) -> Kernel:
    decoder = Decoder(node)
    splits_dtype = node.dtype("Tsplits").numpy

    def kernel(x: Value) -> tuple[Value, ...]:
        texts = [decoder.decode(s) for s in np.asarray(x, object).reshape(-1).tolist()]
        splits = np.cumsum([0, *map(len, texts)]).astype(splits_dtype)
        return splits, np.asarray([ord(c) for t in texts for c in t], np.int32)

    return kernel


@UNICODE.op("UnicodeDecodeWithOffsets", host=True)
def unicode_decode_with_offsets(node: NodeView) -> Kernel:
    decoder = Decoder(node)
    splits_dtype = node.dtype("Tsplits").numpy

    def kernel(x: Value) -> tuple[Value, ...]:
        rows = [decoder.with_offsets(s) for s in np.asarray(x, object).reshape(-1).tolist()]
        splits = np.cumsum([0, *map(len, rows)]).astype(splits_dtype)
        points = np.asarray([ord(c) for row in rows for c, _ in row], np.int32)
        return splits, points, np.asarray([start for row in rows for _, start in row], np.int64)

    return kernel


def _output_codec(node: NodeView) -> str:
    return CODECS[node.text("output_encoding").lower().replace("-", "")]


@UNICODE.op("UnicodeEncode", host=True)
def unicode_encode(node: NodeView) -> Kernel:
    codec = _output_codec(node)
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
        rows = ragged_rows(node.name, characters, splits.tolist())
        return objects(["".join(row).encode(codec) for row in rows])

    return kernel


@UNICODE.op("UnicodeTranscode", host=True)
def unicode_transcode(node: NodeView) -> Kernel:
    decoder = Decoder(node)
    codec = _output_codec(node)
    return lambda x: each(lambda s: decoder.decode(s).encode(codec, "replace"), x)
