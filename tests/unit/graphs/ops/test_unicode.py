"""Decoding and encoding of text against TensorFlow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Answer, Case, answers, check, ids
from tests.unit.graphs.ops.harness import strings as s

EMPTY = np.empty((0,), object)
UNICODE = s(
    ["héllo".encode(), "日本語😀".encode(), b"", b"abc", b"\xe2\x82", b"a\xffb", b"\x80\x80z"]
)

BYTES = s([bytes([i]) for i in range(256)])
ENCODINGS = ["UTF-8", "UTF-16-BE", "UTF-32-BE"]
POLICIES = [
    {"errors": "replace"},
    {"errors": "ignore"},
    {"errors": "replace", "replacement_char": 63},
    {"errors": "replace", "replace_control_characters": True},
    {"errors": "replace", "replace_control_characters": True, "replacement_char": 32},
    {"errors": "ignore", "replace_control_characters": True},
]
BROKEN = s(
    [
        b"a\xffb",
        b"\xe2\x82",
        b"\xe2\x82A",
        b"\xf0\x9f\x98\x80",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"x\x01\n\x7f\xc2\x85y",
        b"\x80",
        b"\xf0\x9fz",
        "\ufffdé\ufeff".encode(),
        b"\xef\xbb\xbfbom",
    ]
)
WIDE16 = s(
    ["aé😀".encode("utf-16-be"), b"\xd8\x3d", b"\x00a\xdc\x00\x00b", b"\x00", b"", b"\xfe\xff\x00a"]
)
WIDE32 = s(["aé😀".encode("utf-32-be"), b"\x00\x11\x00\x00", b"\x00\x00\xd8\x00\x00\x00\x00a", b""])
DECODED = [
    *(
        Case(op, [x], {"input_encoding": encoding, **policy})
        for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets")
        for policy in POLICIES
        for encoding, x in (("UTF-8", BROKEN), ("UTF-16-BE", WIDE16), ("UTF-32-BE", WIDE32))
    ),
    *(
        Case(
            op,
            [UNICODE[:4].reshape(2, 2)],
            {"input_encoding": "UTF-8", "errors": "strict", "Tsplits": t},
        )
        for op, t in (
            ("UnicodeDecode", "int32"),
            ("UnicodeDecode", "int64"),
            ("UnicodeDecodeWithOffsets", "int64"),
        )
    ),  # TensorFlow dies of int32 there
    *(
        Case("UnicodeDecode", [s([b"caf\xe9", b"ascii", b"\x80\x9f\xa4"])], {"input_encoding": e})
        for e in ("latin1", "US-ASCII", "utf_8")
    ),
    *(
        Case("UnicodeDecode", [BYTES], {"input_encoding": e})
        for e in (
            "US-ASCII",
            *(f"ISO-8859-{n}" for n in (*range(1, 11), 13, 14, 15)),
            "KOI8-R",
            "KOI8-U",
            "macintosh",
            "windows-1250",
            "windows-1251",
            "Windows-1252",
            "windows-1256",
        )
    ),
    *(
        Case(op, [s([x])], {"input_encoding": e}, note=x.hex())
        for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets")
        for e, x in (
            ("UTF-16", "aé".encode("utf-16")),
            ("UTF-16", "aé".encode("utf-16-be")),
            ("UTF-16", b"\xfe\xff\x00a"),
            ("UTF-32", "aé".encode("utf-32")),
            ("UTF-16LE", "aé😀".encode("utf-16-le")),
            ("UTF-16-LE", "aé".encode("utf-16-le")),
            ("UTF-32LE", "aé".encode("utf-32-le")),
            ("utf-8", b"x\xc3\xa9"),
            ("UTF8", b"x\xc3\xa9"),
        )
    ),
    Case("UnicodeDecode", [s(["日本".encode("gbk")])], {"input_encoding": "GBK"}),
    Case("UnicodeDecode", [EMPTY], {"input_encoding": "UTF-8"}),
    Case("UnicodeDecode", [s("é".encode())], {"input_encoding": "UTF-8"}),
    Case(
        "UnicodeDecode", [BROKEN[:1]], {"input_encoding": "UTF-8", "errors": "strict"}, fails=True
    ),
    Case("UnicodeDecode", [BROKEN[:1]], {"input_encoding": "no-such"}, fails=True),
]
POINTS = np.array([97, 233, 128512, 0x110000, 0xD800, -1, 65, 0xFFFD, 10], np.int32)
ENCODED = [
    *(
        Case(
            "UnicodeEncode",
            [POINTS, np.array([0, 3, 3, 9], t)],
            {"output_encoding": encoding, **policy},
        )
        for encoding in ENCODINGS
        for t in ("int32", "int64")
        for policy in (
            {"errors": "replace"},
            {"errors": "ignore"},
            {"errors": "replace", "replacement_char": 63},
        )
    ),
    Case(
        "UnicodeEncode",
        [POINTS[:3], np.array([0, 3])],
        {"output_encoding": "UTF-8", "errors": "strict"},
    ),
    Case(
        "UnicodeEncode",
        [POINTS, np.array([0, 9])],
        {"output_encoding": "UTF-8", "errors": "strict"},
        fails=True,
    ),
    Case("UnicodeEncode", [POINTS[:0], np.array([0])], {"output_encoding": "UTF-8"}),
    Case("UnicodeEncode", [POINTS[:0], np.array([0, 0])], {"output_encoding": "UTF-8"}),
    Case("UnicodeEncode", [POINTS[:2], np.array([0, 3])], {"output_encoding": "UTF-8"}, fails=True),
    *(
        Case(
            "UnicodeTranscode",
            [BROKEN],
            {"input_encoding": "UTF-8", "output_encoding": e, **policy},
        )
        for e in ENCODINGS
        for policy in POLICIES
    ),
    *(
        Case("UnicodeTranscode", [x], {"input_encoding": i, "output_encoding": "UTF-8", **policy})
        for i, x in (
            ("UTF-16-BE", WIDE16),
            ("UTF-32-BE", WIDE32),
            ("US-ASCII", s([b"a\xe9"])),
            ("ISO-8859-1", s([b"a\xe9"])),
        )
        for policy in POLICIES[:2]
    ),
    Case(
        "UnicodeTranscode",
        [s("é".encode())],
        {"input_encoding": "UTF-8", "output_encoding": "UTF-8"},
    ),
    Case("UnicodeTranscode", [EMPTY], {"input_encoding": "UTF-8", "output_encoding": "UTF-16-BE"}),
    Case(
        "UnicodeTranscode",
        [BROKEN[:1]],
        {"input_encoding": "UTF-8", "output_encoding": "UTF-8", "errors": "strict"},
        fails=True,
    ),
]

CASES = [replace(case, traced=()) for case in (*DECODED, *ENCODED)]


@pytest.fixture(scope="module")
def told(oracle: Oracle) -> dict[str, tuple[Case, Answer]]:
    return answers(oracle, CASES)


@pytest.mark.parametrize("case", ids(CASES))
def test_like_tensorflow(case: str, told: dict[str, tuple[Case, Answer]]) -> None:
    check(*told[case])
