"""Regular expressions against TensorFlow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Answer, Case, answers, check, ids
from tests.unit.graphs.ops.harness import strings as s

EMPTY = np.empty((0,), object)
NOTHING = np.empty((0, 2), object)
WORDS = s([b"  Hello World ", b"", b"ab\tc\n", "Äß ÿ Ǆ ΑΣ".encode(), b"\xff\xfeBad\x80", b"a\x00B"])

PATTERNS = [
    (b"[aeiou]", rb"<\0>"),
    (b"(l+)(o?)", rb"\2\1"),
    (b"^", b"x"),
    (b"", b"-"),
    (b"b*", b"."),
    (b"(?i)hello", b"bye"),
    (b"\\s+", b" "),
    (b"\xc3\x84", b"A"),
    (b".", b"#"),
    (b"$", b"!"),
    (b"[^\\x00-\\x7F]", b"?"),
    (b"\\bab", rb"\\"),
    (b"(a)|(b)", rb"[\1|\2]"),
    (b"\\p{L}+", b"L"),
    ("é|語".encode(), b"_"),
    (b"(?s).*", b"all"),
    (b"l", "\u00e9".encode()),
]
TEXTS = s([b"  Hello World ", b"", b"ab\tc\n", b"aabbb", "Äß héllo 日本語".encode()])
REGEX = [
    Case(
        "StaticRegexReplace",
        [TEXTS],
        {"pattern": p.decode(), "rewrite": r.decode(), "replace_global": g},
    )
    for p, r in PATTERNS
    for g in (True, False)
]
REGEX += [
    Case("RegexReplace", [TEXTS, s(p), s(r)], {"replace_global": g})
    for p, r in PATTERNS[:5]
    for g in (True, False)
]
REGEX += [
    Case("RegexReplace", [WORDS, s(b"(B|b)ad"), s(rb"\1")], note="invalid"),
    Case("RegexReplace", [s([b"ab"]), s(b"b"), s(b"\x00")], note="zero"),
    Case("RegexReplace", [EMPTY, s(b"b"), s(b"c")]),
    Case("RegexReplace", [NOTHING, s(b"b"), s(b"c")]),
    Case("RegexReplace", [s([b"ab"]), s(b"(b"), s(b"c")], fails=True),
    Case("StaticRegexReplace", [s([b"ab"])], {"pattern": "(b", "rewrite": ""}, fails=True),
    Case("RegexReplace", [s([b"ab"]), s(b"b"), s(rb"\1")], note="nogroup"),
    Case("RegexReplace", [s([b"ab"]), s(b"b"), s(rb"\n")], note="badescape"),
    *(
        Case("StaticRegexFullMatch", [x], {"pattern": p})
        for x in (TEXTS, s(b"ab"), EMPTY)
        for p in (".*", "a.*", "(?s).*", "[a-b]+", "")
    ),
    Case("RegexFullMatch", [TEXTS.reshape(5, 1), s(b"a+b+")]),
    Case("RegexFullMatch", [WORDS, s(b"(?s).*")]),
    Case("RegexFullMatch", [TEXTS, s(b"(?P<n>a")], fails=True),
    Case("StaticRegexFullMatch", [TEXTS], {"pattern": "["}, fails=True),
]

CASES = [replace(case, traced=()) for case in REGEX]


@pytest.fixture(scope="module")
def told(oracle: Oracle) -> dict[str, tuple[Case, Answer]]:
    return answers(oracle, CASES)


@pytest.mark.parametrize("case", ids(CASES))
def test_like_tensorflow(case: str, told: dict[str, tuple[Case, Answer]]) -> None:
    check(*told[case])
