"""String ops against TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Answer, Case, answers, check, ids
from tests.unit.graphs.ops.harness import strings as s


def i32(*values: Any) -> Any:
    return np.asarray(values[0] if len(values) == 1 else values, np.int32)


EMPTY = np.empty((0,), object)
NOTHING = np.empty((0, 2), object)
WORDS = s([b"  Hello World ", b"", b"ab\tc\n", "Äß ÿ Ǆ ΑΣ".encode(), b"\xff\xfeBad\x80", b"a\x00B"])
SPACES = s([b"\x0b\x0c x \r\n", b" \xc2\xa0y", b"   ", b"\x1cz\x85", b"no"])
UNICODE = s(
    ["héllo".encode(), "日本語😀".encode(), b"", b"abc", b"\xe2\x82", b"a\xffb", b"\x80\x80z"]
)
GRID = s([[b"a", b"b", b"c"], [b"d", b"", b"\xff"]])
CUBE = s([[[b"a", b"b"], [b"c", b"d"], [b"e", b"f"]], [[b"g", b"h"], [b"i", b"j"], [b"k", b"l"]]])

CODED = ["", "utf-8"]

CASING = [
    Case(op, [x], {"encoding": e})
    for op in ("StringLower", "StringUpper")
    for e in CODED
    for x in (
        WORDS[:4].reshape(2, 2),
        EMPTY,
        s(b"ScaLar"),
        s(
            [
                "İI\u0131i ﬁ ŉ ǰ ΐ ẞ".encode(),
                "ΟΔΟΣ ΟΔΟΣ. Σ".encode(),
                "Ǆǅǆ Ⅷ ⓐ".encode(),
                "ქართული Ა \u13a0".encode(),
                "𐐀𐐨".encode(),
            ]
        ),
    )
]
CASING += [Case("StringLower", [WORDS]), Case("StringUpper", [WORDS])]
CASING += [Case(op, [WORDS[4:5]], {"encoding": "utf-8"}) for op in ("StringLower", "StringUpper")]

STRIPPING = [Case("StringStrip", [x]) for x in (WORDS, SPACES, EMPTY, s(b" x "))]
LENGTHS = [
    Case("StringLength", [x], {"unit": u})
    for u in ("BYTE", "UTF8_CHAR")
    for x in (WORDS, UNICODE, EMPTY, s(b"abc"), UNICODE[:6].reshape(2, 3))
]
JOINS = [
    Case("StringJoin", [[GRID, GRID]], {"separator": ", "}),
    Case("StringJoin", [[GRID, s(b"-"), GRID]]),
    Case("StringJoin", [[s(b"x"), s(b"y")]], {"separator": "\u00e9"}),
    Case("StringJoin", [[GRID]], {"separator": "-"}),
    Case("StringJoin", [[EMPTY, EMPTY]]),
    Case("StringJoin", [[EMPTY, s(b"z")]]),
    Case("StringJoin", [[GRID, GRID[0]]], fails=True, known_shapes=False),
    Case("StringJoin", [[GRID, s([b"x"])]], fails=True, known_shapes=False),
    *(
        Case("ReduceJoin", [x, i32(axes)], {"keep_dims": keep, "separator": "-"})
        for keep in (False, True)
        for x, axes in (
            (GRID, 0),
            (GRID, 1),
            (GRID, -1),
            (GRID, [0, 1]),
            (GRID, [1, 0]),
            (CUBE, [2, 0]),
            (CUBE, [0, 2]),
            (CUBE, [-1, 1]),
            (CUBE, 1),
            (GRID, []),
            (CUBE, [2, 1, 0]),
            (NOTHING, 0),
            (NOTHING, 1),
            (EMPTY, 0),
            (GRID, [0]),
        )
    ),
    Case("ReduceJoin", [s(b"x"), np.zeros(0, np.int32)]),
    Case("ReduceJoin", [s(b"x"), i32(0)], fails=True, known_shapes=False),
    Case("ReduceJoin", [GRID, i32(2)], fails=True, known_shapes=False),
    Case("ReduceJoin", [GRID, i32([0, 0])], fails=True, known_shapes=False),
    Case("ReduceJoin", [GRID, i32([0, -2])], fails=True, known_shapes=False),
    Case("UnsortedSegmentJoin", [GRID, i32([1, 0]), i32(3)], {"separator": ":"}),
    Case("UnsortedSegmentJoin", [GRID, i32([1, 1]), i32(2)]),
    Case("UnsortedSegmentJoin", [GRID, i32([[0, 1, 0], [2, 2, 0]]), i32(3)], {"separator": ","}),
    Case("UnsortedSegmentJoin", [GRID, i32([-1, 0]), i32(1)], fails=True),
    Case("UnsortedSegmentJoin", [CUBE, np.array([1, 0], np.int64), i32(2)]),
    Case("UnsortedSegmentJoin", [EMPTY, np.zeros(0, np.int32), i32(2)]),
    Case("UnsortedSegmentJoin", [GRID, i32([0, 3]), i32(3)], fails=True),
    Case("UnsortedSegmentJoin", [GRID, i32([0, 1, 2]), i32(3)], fails=True, known_shapes=False),
]

ROWS = s([b"a  b c", b"", b"  lead", b"trail  ", b"one", b"a\tb\nc", b"x,,y,", b",", b"ab\x00c"])
SPLITS = [
    *(
        Case("StringSplitV2", [ROWS, s(sep)], {"maxsplit": most})
        for most in (-1, 0, 1, 2)
        for sep in (b"", b" ", b",", b"  ", b",,")
    ),
    Case("StringSplitV2", [EMPTY, s(b"")]),
    Case("StringSplitV2", [s([b"", b""]), s(b"")], note="blank"),
    Case("StringSplitV2", [s([b"", b""]), s(b",")], note="blank"),
    Case("StringSplitV2", [SPACES, s(b"")], note="spaces"),
    *(
        Case("StringSplit", [ROWS, s(d)], {"skip_empty": skip})
        for skip in (True, False)
        for d in (b" ", b",", b" ,", b"")
    ),
    Case("StringSplit", [EMPTY, s(b" ")]),
    Case("StringSplit", [UNICODE, s(b"")], note="unicode"),
]
CUTS = [
    *(
        Case("Substr", [UNICODE[:4], np.array(p, t), np.array(n, t)], {"unit": u})
        for u in ("BYTE", "UTF8_CHAR")
        for t in ("int32", "int64")
        for p, n in ((0, 2), (0, 0), (0, 99))
    ),
    *(
        Case("Substr", [s([b"hello", b"world"]), i32(p), i32(n)], {"unit": u})
        for u in ("BYTE", "UTF8_CHAR")
        for p, n in (
            ([1, 2], [2, 9]),
            ([-5, -1], [3, 3]),
            ([[0], [1], [-2]], [[1], [2], [3]]),
            (5, 1),
            (1, -1),
        )
    ),
    Case("Substr", [s([b"hello", b"world"]), i32(-2), i32(-3)]),
    Case("Substr", [s([b"hello"]), i32(-2), i32(-3)], {"unit": "UTF8_CHAR"}, fails=True),
    Case(
        "Substr",
        [s([b"a\xffb\xe2\x82", b"\x80\x80z"]), i32([-2, -1]), i32([2, 9])],
        {"unit": "UTF8_CHAR"},
        note="invalid2",
    ),
    Case(
        "Substr",
        [s([b"\x80\x80z", b"\x80\x80z"]), i32([-2, -1]), i32([1, 9])],
        {"unit": "UTF8_CHAR"},
        note="invalid3",
    ),
    Case("Substr", ["日本語😀".encode(), i32(-2), i32(1)], {"unit": "UTF8_CHAR"}),
    Case(
        "Substr", [s(["日本語😀".encode()] * 2), i32([-4, 3]), i32([2, 4])], {"unit": "UTF8_CHAR"}
    ),
    Case("Substr", [s(b"hello"), i32([0, 1]), i32([2, 3])]),
    Case("Substr", [GRID, i32([[0, 0, 0], [1, 0, 0]]), i32([[1, 1, 1], [0, 0, 1]])]),
    Case("Substr", [GRID, i32([[0], [0]]), i32([[1], [0]])]),
    Case("Substr", [EMPTY, np.zeros(0, np.int32), np.zeros(0, np.int32)]),
    Case("Substr", [EMPTY, i32(0), i32(0)], note="scalar"),
    Case(
        "Substr",
        [s([b"a\xffb\xe2\x82", b"\x80\x80z"]), i32([0, 0]), i32([2, 2])],
        {"unit": "UTF8_CHAR"},
        note="invalid",
    ),
    Case(
        "Substr",
        [s([b"a\xffb\xe2\x82", b"\x80\x80z"]), i32([1, 0]), i32([1, 1])],
        {"unit": "UTF8_CHAR"},
        note="invalid1",
    ),
    *(
        Case("Substr", [s([b"abc"]), i32([p]), i32([1])], {"unit": u}, fails=True)
        for u in ("BYTE", "UTF8_CHAR")
        for p in (4, -4)
    ),
]

LONG = s([b"x" * n for n in (0, 1, 7, 8, 16, 17, 31, 32, 33, 63, 64, 65, 128, 200)])
HASHES = [
    *(
        Case(op, [x], {"num_buckets": n})
        for op in ("StringToHashBucketFast", "StringToHashBucket")
        for n in (1, 7, 2**31, 2**63 - 1)
        for x in (WORDS, LONG)
    ),
    *(
        Case("StringToHashBucketStrong", [x], {"num_buckets": 1000, "key": key})
        for key in ([1, 2], [-1, 2**62])
        for x in (WORDS, LONG, EMPTY)
    ),
    Case("StringToHashBucketFast", [EMPTY], {"num_buckets": 3}),
    Case("StringToHashBucketFast", [GRID], {"num_buckets": 3}),
    *(
        Case("Fingerprint", [x, s(b"farmhash64")])
        for x in (
            WORDS,
            GRID,
            CUBE,
            np.arange(6, dtype=np.int32).reshape(2, 3),
            np.arange(4.0),
            np.array([True, False]),
            EMPTY,
            np.zeros((2, 0), np.float32),
        )
    ),
    Case("Fingerprint", [WORDS, s(b"md5")], fails=True),
    *(
        Case("EncodeBase64", [x], {"pad": pad})
        for pad in (False, True)
        for x in (WORDS, EMPTY, GRID)
    ),
    *(Case("EncodeBase64", [s(b"\xfb\xff\xfe")], {"pad": pad}) for pad in (False, True)),
    Case("DecodeBase64", [s([b"YWJj", b"YWI", b"YWI=", b"YQ==", b"YQ", b"", b"-_-_", b"YR"])]),
    Case("DecodeBase64", [EMPTY]),
    *(
        Case("DecodeBase64", [s([word])], fails=True, note=word.decode())
        for word in (
            b"A",
            b"+/+/",
            b"YW Jj",
            b"YW\nJj",
            b"Y===",
            b"YQ=",
            b"!!!!",
            b"YWJj=",
            b"YQ==YQ==",
        )
    ),
]


def grams(words: Any, splits: Any, **attrs: Any) -> Case:
    """One StringNGrams node; attributes not given are those of tf.strings.ngrams."""
    given = {
        "separator": " ",
        "ngram_widths": [2],
        "left_pad": "",
        "right_pad": "",
        "pad_width": 0,
        "preserve_short_sequences": False,
        **attrs,
    }
    return Case("StringNGrams", [words, splits], given)


SENTENCE = s([b"a", b"b", b"c", b"d", b"e", b"f"])
NGRAMS = [
    grams(
        SENTENCE,
        np.asarray(splits, dtype),
        ngram_widths=widths,
        pad_width=pad,
        left_pad="<",
        right_pad=">",
        preserve_short_sequences=short,
    )
    for splits, dtype in (([0, 4, 6], "int64"), ([0, 0, 1, 6], "int32"), ([0, 6], "int64"))
    for widths in ([2], [1], [3, 2], [5], [1, 4])
    for pad in (-1, 0, 1, 3)
    for short in (False, True)
]
NGRAMS += [
    grams(SENTENCE, np.array([0, 3, 6]), separator="|"),
    grams(EMPTY, np.array([0]), pad_width=-1),
    grams(EMPTY, np.array([0, 0]), pad_width=-1, left_pad="x", right_pad="y"),
    grams(SENTENCE, np.array([0, 2, 6]), ngram_widths=[]),
    *(
        replace(grams(SENTENCE, np.array(splits)), fails=True, note=str(splits))
        for splits in ([0, 3, 7], [1, 6], [0, 4, 2, 6], [0, 4])
    ),
]

CASES = [
    replace(case, traced=())
    for case in (*CASING, *STRIPPING, *LENGTHS, *JOINS, *SPLITS, *CUTS, *HASHES, *NGRAMS)
]


@pytest.fixture(scope="module")
def told(oracle: Oracle) -> dict[str, tuple[Case, Answer]]:
    return answers(oracle, CASES)


@pytest.mark.parametrize("case", ids(CASES))
def test_like_tensorflow(case: str, told: dict[str, tuple[Case, Answer]]) -> None:
    check(*told[case])
