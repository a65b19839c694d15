"""Recurrent block cells against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids, planned_once, traced_once

RNG = np.random.default_rng(12)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape).astype("f4")


def states(units: int = 4, features: int = 3) -> list[Any]:
    """Cell state, output, kernel, three peepholes, bias."""
    return [
        normal(2, units),
        normal(2, units),
        normal(features + units, 4 * units),
        *(normal(units) for _ in range(3)),
        normal(4 * units),
    ]


def first_steps(outputs: list[Any]) -> list[Any]:
    """TensorFlow leaves the gates of later steps as they were in memory."""
    gates = [y[:3] for y in outputs]
    return [*gates, outputs[1], outputs[6]]


def cases() -> Iterator[Case]:
    for attrs in (
        {},
        {"use_peephole": True},
        {"cell_clip": 0.3},
        {"forget_bias": 0.0},
        {"cell_clip": -1.0, "use_peephole": True},
    ):
        yield Case("LSTMBlockCell", [normal(2, 3), *states()], attrs)
        yield Case("BlockLSTM", [np.int64(5), normal(5, 2, 3), *states()], attrs)
    for attrs in ({}, {"use_peephole": True}, {"cell_clip": 0.3}):
        yield Case("BlockLSTMV2", [np.int64(5), normal(5, 2, 3), *states()], attrs)
    for op in ("BlockLSTM", "BlockLSTMV2"):
        yield Case(
            op, [np.int64(3), normal(5, 2, 3), *states()], canonical=first_steps, note="short"
        )
    yield Case(
        "GRUBlockCell",
        [normal(2, 3), normal(2, 4), normal(7, 8), normal(7, 4), normal(8), normal(4)],
    )


CASES = traced_once(planned_once([*cases()]))


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_cells(name: str, told: Any) -> None:
    check(*told[name])
