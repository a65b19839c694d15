"""CTC losses against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import (
    Case,
    answers,
    check,
    ids,
    kernel,
    planned_once,
    traced_once,
)

RNG = np.random.default_rng(13)
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5, "traced": (0,)}


ROWS = np.array([[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]])


def cases() -> Iterator[Case]:
    op = "CTCLoss"
    for labels in ([0, 1, 2, 1, 1], [0, 0, 1, 3, 2]):
        given = [ROWS, np.array(labels, "i4"), np.array([7, 3, 4], "i4")]
        inputs = RNG.normal(size=(7, 3, 5)).astype("f4") * 2
        yield Case(op, [inputs, *given], gradient=True, **CLOSE)
        yield Case(op, [inputs, *given], {"preprocess_collapse_repeated": True}, **CLOSE)
    short = [ROWS, np.array([0, 0, 1, 3, 2], "i4"), np.array([2, 1, 1], "i4")]
    inputs = RNG.normal(size=(3, 3, 5)).astype("f4")
    yield Case(op, [inputs, *short], {"ignore_longer_outputs_than_inputs": True}, **CLOSE)
    yield Case(op, [inputs, *short], fails=True)
    yield Case(op, [inputs, *short[:2], np.array([4, 1, 2], "i4")], fails=True)
    yield Case(
        op,
        [RNG.normal(size=(4, 1, 3)), np.array([[0, 0]]), np.array([1], "i4"), np.array([4], "i4")],
        **CLOSE,
    )


CASES = traced_once(planned_once([*cases()]))


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_ctc(name: str, told: Any) -> None:
    check(*told[name])


def test_the_blank_of_v2_is_the_first_class() -> None:
    """TensorFlow has it on GPUs only."""
    inputs, labels = RNG.normal(size=(7, 3, 5)).astype("f4"), np.array([0, 1, 2, 1, 1], "i4")
    lengths = np.array([7, 3, 4], "i4")
    want = kernel("CTCLoss")(np.roll(inputs, -1, 2), ROWS, labels, lengths)
    have = kernel("CTCLossV2")(inputs, ROWS, labels + 1, lengths)
    np.testing.assert_allclose(have[0], want[0], rtol=1e-5)
    np.testing.assert_allclose(np.roll(have[1], -1, 2), want[1], atol=1e-6)
