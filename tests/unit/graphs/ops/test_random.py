"""Stateful random ops: shape, dtype and distribution; reproducible from the random state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hozon.formats.protos.tensor import TypeNumber
from hozon.graphs.execute import call
from hozon.graphs.ir import ARGUMENT_OP, Function, Node, Ref
from hozon.graphs.library import Library

FLOAT, INT32, INT64 = TypeNumber(1), TypeNumber(3), TypeNumber(9)


def draw(op: str, inputs: Sequence[Any], attrs: dict[str, Any], seed: int = 1) -> Any:
    arguments = tuple(Node(f"x{i}", ARGUMENT_OP, ()) for i in range(len(inputs)))
    node = Node("op", op, tuple(Ref(i, 0) for i in range(len(inputs))), (), attrs)
    function = Function(
        "draw", (*arguments, node), tuple(range(len(inputs))), (Ref(len(inputs), 0),)
    )
    library = Library({})
    library.resources.random.seed(seed)
    return np.asarray(call(library, function, list(inputs))[0]), np.asarray(
        call(library, function, list(inputs))[0]
    )


SHAPE = np.array([4000, 2], "i4")
CASES = [
    ("RandomUniform", [SHAPE], {"dtype": FLOAT, "T": INT32}, 0.5, 1 / 12),
    ("RandomStandardNormal", [SHAPE], {"dtype": FLOAT, "T": INT32}, 0.0, 1.0),
    ("TruncatedNormal", [SHAPE], {"dtype": FLOAT, "T": INT32}, 0.0, 0.774),
    (
        "RandomUniformInt",
        [SHAPE, np.array(2, "i8"), np.array(7, "i8")],
        {"Tout": INT64, "T": INT32},
        4.0,
        2.0,
    ),
    (
        "RandomGamma",
        [np.array([8000], "i4"), np.array(3.0, "f4")],
        {"S": INT32, "T": FLOAT},
        3.0,
        3.0,
    ),
    (
        "RandomPoissonV2",
        [np.array([8000], "i4"), np.array(4.0, "f4")],
        {"S": INT32, "R": FLOAT, "dtype": FLOAT},
        4.0,
        4.0,
    ),
]


@pytest.mark.parametrize(("op", "inputs", "attrs", "mean", "variance"), CASES)
def test_distribution(op: str, inputs: Any, attrs: Any, mean: float, variance: float) -> None:
    first, second = draw(op, inputs, attrs)
    assert first.shape[0] in (4000, 8000)
    assert (first != second).any()
    np.testing.assert_allclose(first.mean(), mean, atol=0.1)
    np.testing.assert_allclose(first.var(), variance, rtol=0.1)
    again, _ = draw(op, inputs, attrs)
    np.testing.assert_array_equal(first, again)
    other, _ = draw(op, inputs, attrs, seed=2)
    assert (first != other).any()


def test_shuffle_keeps_the_rows() -> None:
    rows = np.arange(50, dtype="f4").reshape(25, 2)
    shuffled, _ = draw("RandomShuffle", [rows], {"T": FLOAT})
    assert (shuffled != rows).any()
    np.testing.assert_array_equal(np.sort(shuffled, 0), rows)


def test_multinomial_follows_the_logits() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], "f4"))
    drawn, _ = draw(
        "Multinomial", [logits, np.array(4000, "i4")], {"T": FLOAT, "output_dtype": INT64}
    )
    assert drawn.shape == (2, 4000)
    assert drawn.dtype == np.int64
    shares = [np.bincount(row, minlength=3) / 4000 for row in drawn]
    np.testing.assert_allclose(shares, np.exp(logits), atol=0.03)


def test_non_deterministic_ints_use_the_entire_range() -> None:
    drawn, again = draw(
        "NonDeterministicInts", [np.array([4000], "i4")], {"dtype": INT64, "shape_dtype": INT32}
    )
    assert drawn.dtype == np.int64
    assert (drawn != again).all()
    np.testing.assert_allclose(drawn.astype(float).std(), 2.0**64 / 12**0.5, rtol=0.05)


def test_bounded_normal_numbers_lie_within() -> None:
    parameters = [
        np.array([0.0, 5.0], "f4"),
        np.array([1.0, 2.0], "f4"),
        np.array([0.0, 4.0], "f4"),
        np.array([1.0, 6.0], "f4"),
    ]
    drawn, _ = draw(
        "ParameterizedTruncatedNormal",
        [np.array([2, 500], "i4"), *parameters],
        {"dtype": FLOAT, "T": INT32},
    )
    assert drawn.shape == (2, 500)
    assert drawn[0].min() >= 0
    assert drawn[0].max() <= 1
    assert drawn[1].min() >= 4
    assert drawn[1].max() <= 6
