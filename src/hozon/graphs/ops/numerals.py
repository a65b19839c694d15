"""Numbers to text and back, on the host."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.kernels.strings import WHITESPACE, Array, each, objects

NUMERALS = OpTable("numerals")

#: Kinds of NumPy dtypes with a fraction; bfloat16 is of kind V.
FRACTIONAL = "fVc"


@NUMERALS.op("AsString", host=True)
def as_string(node: NodeView) -> Kernel:
    """C's printf (as_string_op.cc), with its flags: fill is one of them, width 1 at least."""
    kind = node.dtype().numpy.kind
    text = _printer(node, kind)

    def kernel(x: Value) -> Value:
        values = x.astype(np.float64) if kind in "fV" else x
        return objects(
            [
                text(v).encode() if kind != "O" else _padded(node, v)
                for v in values.reshape(-1).tolist()
            ],
            x.shape,
        )

    return kernel


def _printer(node: NodeView, kind: str) -> Callable[[Any], str]:
    width, precision = int(node.attr("width")), int(node.attr("precision"))
    scientific, shortest = bool(node.attr("scientific")), bool(node.attr("shortest"))
    flag = node.text("fill")
    if kind not in FRACTIONAL and (scientific or shortest or precision > -1):
        raise node.refuse("scientific, shortest and precision are for floating-point numbers")
    if scientific and shortest:
        raise node.refuse("scientific and shortest exclude each other")
    if flag not in ("", " ", "+", "-", "0") or (flag and kind in "bO"):
        raise node.refuse(f"fill {flag!r} for {node.dtype().name}")
    conversion = "d" if kind not in FRACTIONAL else "e" if scientific else "g" if shortest else "f"
    size = (str(width) if width > -1 else "") + (f".{precision}" if precision > -1 else "")

    def number(value: Any) -> str:
        used = flag if math.isfinite(value) else flag.replace("0", "")
        return f"%{used}{size}{conversion}" % value

    if kind == "b":
        return lambda value: "true" if value else "false"
    if kind == "c":
        return lambda value: f"({number(value.real)},{number(value.imag)})"
    return number


def _padded(node: NodeView, value: bytes) -> bytes:
    return value.rjust(max(int(node.attr("width")), 0))


@NUMERALS.op("StringToNumber", host=True)
def to_number(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy
    convert = _integer if dtype.kind in "iu" else _fraction

    def parse(value: bytes) -> Any:
        try:
            number = convert(value.strip(WHITESPACE).decode("ascii"))
            with np.errstate(over="ignore"):
                return dtype.type(number)
        except (ValueError, OverflowError):
            raise MismatchError(f"node {node.name!r}: {value!r} is no {dtype} number") from None

    return lambda x: each(parse, x, dtype)


def _integer(word: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,40}", word):
        raise ValueError(word)
    return int(word)


def _fraction(word: str) -> float:
    if "_" in word:
        raise ValueError(word)
    return float.fromhex(word) if "0x" in word.lower() else float(word)


@NUMERALS.op("StringFormat", host=True)
def string_format(node: NodeView) -> Kernel:
    template, placeholder = node.attr("template"), node.attr("placeholder")
    summarize = int(node.attr("summarize"))

    def kernel(*values: Value) -> Value:
        pieces = template.split(placeholder)
        if len(pieces) != len(values) + 1:
            raise MismatchError(
                f"node {node.name!r}: {len(pieces) - 1} placeholders for {len(values)} tensors"
            )
        shown = [_summary(np.asarray(v), summarize) for v in values]
        joined = b"".join(a + b for a, b in zip(pieces, [*shown, b""], strict=True))
        return objects([joined], ())

    return kernel


def _summary(value: Array, summarize: int) -> bytes:
    """A short form (tensor.cc, SummarizeValue in its second version): `summarize` at each end."""
    ends = value.size if summarize < 0 else min(summarize, value.size)
    return _shown(value, ends, 1)


def _shown(value: Array, ends: int, depth: int) -> bytes:
    if value.ndim == 0:
        return _element(value)
    count = len(value)
    gap = b"\n" * (value.ndim - 1) + b" " * depth if value.ndim > 1 else b" "
    before, after = range(min(ends, count)), range(max(ends, count - ends), count)
    head = [_shown(value[i, ...], ends, depth + 1) for i in before]
    tail = [_shown(value[i, ...], ends, depth + 1) for i in after]
    if count > 2 * ends:
        head = [*(head or [b""]), b"..."]
    return b"[" + gap.join([*head, *tail]) + b"]"


def _element(value: Array) -> bytes:
    kind = value.dtype.kind
    if kind == "O":
        return b'"' + _escaped(value.item()) + b'"'
    if kind == "c":
        return b"?"
    if kind in "fV":
        return _shortest(value).encode()
    return str(int(value)).encode()


def _shortest(value: Array) -> str:
    """The digits a type surely keeps, or enough to tell it from its neighbours (numbers.cc)."""
    wide = value.dtype == np.float64
    number = float(value)
    brief = f"{number:.{15 if wide else 6}g}"
    kept = float(brief) == number if wide else np.float32(brief) == np.float32(number)
    return brief if kept or math.isnan(number) else f"{number:.{17 if wide else 9}g}"


#: Bytes that C writes with a letter; others that are no printable ASCII are octal.
ESCAPES = {10: b"\\n", 13: b"\\r", 9: b"\\t", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}


def _escaped(text: bytes) -> bytes:
    """C's escapes for ASCII; bytes of UTF-8 stay (absl::Utf8SafeCEscape)."""
    plain = {b: bytes([b]) for b in (*range(32, 127), *range(128, 256))}
    return b"".join(ESCAPES.get(b) or plain.get(b) or b"\\%03o" % b for b in text)
