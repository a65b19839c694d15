"""Numbers as text against TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Answer, Case, answers, check, ids
from tests.unit.graphs.ops.harness import strings as s

EMPTY = np.empty((0,), object)
GRID = s([[b"a", b"b", b"c"], [b"d", b"", b"\xff"]])

FLOATS = np.array([0.0, -0.0, 1.0, -1.5, 3.14159265, 1e-7, 1.5e30, np.inf, -np.inf, np.nan])
FORMS = [
    {},
    {"precision": 2},
    {"scientific": True},
    {"scientific": True, "precision": 3},
    {"shortest": True},
    {"shortest": True, "precision": 3},
    {"width": 12},
    {"width": 12, "fill": "0"},
    {"width": 12, "fill": "-"},
    {"width": 12, "fill": "+"},
    {"width": 12, "fill": " "},
    {"precision": 0},
    {"fill": "+", "width": 1},
    {"precision": 2, "width": 9, "fill": "0"},
]
WHOLE = [
    {},
    {"width": 6},
    {"width": 6, "fill": "0"},
    {"width": 6, "fill": "-"},
    {"width": 6, "fill": "+"},
    {"width": 6, "fill": " "},
]
WRITING = [
    *(Case("AsString", [FLOATS.astype(t)], form) for t in ("float32", "float64") for form in FORMS),
    *(
        Case("AsString", [FLOATS[1:6].astype(t)], form)
        for t in ("float16", "bfloat16")
        for form in ({}, {"precision": 3}, {"shortest": True})
    ),
    *(
        Case("AsString", [np.array([0, 1, 7, 120]).astype(t)], form)
        for t in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64")
        for form in WHOLE[:3]
    ),
    *(Case("AsString", [np.array([[0, -1], [12345678901, -(2**63)]])], form) for form in WHOLE),
    *(Case("AsString", [np.array([True, False])], form) for form in ({}, {"width": 6})),
    *(
        Case("AsString", [np.array([1 + 2j, -0.5j, np.inf - 1j]).astype(t)], form)
        for t in ("complex64", "complex128")
        for form in ({}, {"precision": 2}, {"shortest": True}, {"scientific": True}, {"width": 9})
    ),
    Case("AsString", [GRID]),
    Case("AsString", [s([b"ab"])], {"width": 5}),
    Case("AsString", [np.zeros((0, 3), np.float32)]),
    Case("AsString", [np.array(4.5)]),
    Case("AsString", [np.array([1])], {"precision": 2}, fails=True),
    Case("AsString", [np.array([1])], {"scientific": True}, fails=True),
    Case("AsString", [np.array([1.0])], {"scientific": True, "shortest": True}, fails=True),
    Case("AsString", [np.array([1.0])], {"fill": "x", "width": 4}, fails=True),
    Case("AsString", [np.array([1.0])], {"fill": "ab", "width": 4}, fails=True),
]

READING = [
    *(
        Case("StringToNumber", [s([b"1", b"-7", b" 12 ", b"0", b"+3", b"007"])], {"out_type": t})
        for t in ("float32", "float64", "int32", "int64")
    ),
    *(
        Case(
            "StringToNumber",
            [
                s(
                    [
                        b"1.5",
                        b"-2e3",
                        b"inf",
                        b"-Infinity",
                        b"nan",
                        b".5",
                        b"1.",
                        b"1e-50",
                        b"1e400",
                        b"3.4028236e38",
                        b"0x1p3",
                        b"16777217",
                        b"-0",
                    ]
                )
            ],
            {"out_type": t},
        )
        for t in ("float32", "float64")
    ),
    *(
        Case("StringToNumber", [s([word])], {"out_type": t}, fails=True, note=word.decode())
        for t, word in (
            ("int32", b"1.5"),
            ("int32", b"2147483648"),
            ("int64", b""),
            ("float32", b""),
            ("float32", b"abc"),
            ("float32", b"1_0"),
            ("int32", b"1_0"),
            ("int32", b"0x10"),
            ("int64", b"9223372036854775808"),
            ("float32", b"1 2"),
            ("float64", b"1.0f"),
            ("int32", b"- 5"),
            ("int32", b"1 2"),
            ("float32", "\u0661".encode()),
        )
    ),
    Case("StringToNumber", [s([b"-2147483648", b"2147483647"])], {"out_type": "int32"}),
    Case("StringToNumber", [EMPTY]),
    Case("StringToNumber", [s(b"2.25")]),
    Case("StringToNumber", [GRID[:, :0]], {"out_type": "int64"}),
]


def show(template: str, *values: Any, **attrs: Any) -> Case:
    """tf.strings.format: the placeholders replaced by short forms of the tensors."""
    return Case(
        "StringFormat", [list(values)], {"template": template, "placeholder": "{}", **attrs}
    )


FORMATS = [
    show("a {} b", np.arange(10)),
    show("{}", np.arange(3)),
    show("{}{}", np.array(1), np.array(2.5)),
    show("{}", np.arange(24).reshape(4, 6), summarize=2),
    show("{}", np.arange(7), summarize=-1),
    show("{}", np.arange(8).reshape(2, 2, 2)),
    show("{}", np.arange(7), summarize=3),
    show("{}", np.arange(6), summarize=3),
    show("{}", np.arange(27).reshape(3, 3, 3), summarize=1),
    show("{}", np.array([0.1, 1.0, -2.5, 1e10, 1e-10, 123456.789], np.float32)),
    show("{}", np.array([0.1, 1.0, 1e16, 1 / 3, np.nan, np.inf, -np.inf, -0.0]), summarize=-1),
    show("{}", np.array([True, False])),
    show("{}", np.array(True)),
    show("{}", s(b"text")),
    show("{}", GRID[0]),
    show("{}", np.array([1 + 2j])),
    show("{}", np.array([200, 1], np.uint8)),
    show("{}", np.zeros((0,), np.float32)),
    show("{}", np.zeros((2, 0), np.float32)),
    show("{}", np.zeros((0, 2), np.float32)),
    show("{}", np.array([1.5, 0.1], np.float16)),
    show("plain"),
    show("%s and {}", np.array([1]), placeholder="%s"),
    show("{}", s([b'q"u\\o', b"\n\xff'"])),
    show("{}", np.array([-3], np.int8)),
]

CASES = [replace(case, traced=()) for case in (*WRITING, *READING, *FORMATS)]


@pytest.fixture(scope="module")
def told(oracle: Oracle) -> dict[str, tuple[Case, Answer]]:
    return answers(oracle, CASES)


@pytest.mark.parametrize("case", ids(CASES))
def test_like_tensorflow(case: str, told: dict[str, tuple[Case, Answer]]) -> None:
    check(*told[case])
