from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, integers

F32, I32, U32 = "float32", "int32", "uint32"

CASES = [
    Case(
        "several",
        lambda x, i: (
            x.at[i].set(1.0),
            x.at[:, i].add(2.0),
            x.at[i, i].multiply(3.0),
            x.at[i].max(0.0),
            x.at[i].min(x[0]),
        ),
        [("b, 4", F32), ("5", I32)],
        [[floats(5, 4), integers(-7, 7, 5)], [floats(7, 4), np.array([3, 3, 2, -1, 9], np.int32)]],
    ),
    Case(
        "known places",
        lambda x: (
            x.at[0].set(1.0),
            x.at[:, 1].add(2.0),
            x.at[1:3].set(0.0),
            x.at[:, ::2].set(5.0),
        ),
        [("b, 4", F32)],
        [[floats(5, 4)], [floats(7, 4)]],
        gradient=True,
    ),
    Case(
        "products",
        lambda x, i: (x.at[i].multiply(3.0), x.at[-1].multiply(2.0)),
        [("b, 4", F32), ("5", I32)],
        [[floats(5, 4), np.array([0, 0, 1, 1, -9], np.int32)]],
    ),
    Case(
        "moved inside",
        lambda x, i: x.at[i].add(3.0, mode="clip"),
        [("b, 4", F32), ("5", I32)],
        [[floats(5, 4), np.array([0, 0, 1, 1, 99], np.int32)]],
    ),
    Case(
        "differences",
        lambda x, i, y: x.at[i].subtract(y),
        [("b, 4", F32), ("5", I32), ("5, 4", F32)],
        [[floats(5, 4), np.array([0, 0, 1, 1, 99], np.int32), floats(5, 4)]],
        gradient=True,
    ),
    Case(
        "windows",
        lambda x, i, y: lax.scatter_add(
            x, i, y, lax.ScatterDimensionNumbers((1, 2), (), (0, 1)), mode="drop"
        ),
        [("b, 5", F32), ("n, 2", I32), ("n, 2, 3", F32)],
        [[floats(4, 5), integers(-6, 6, 3, 2), floats(3, 2, 3)]],
        constraints=["b >= 2"],
    ),
    Case(
        "truth",
        lambda x, i: (x > 0).at[i].set(True),
        [("b, 4", F32), ("5", I32)],
        [[floats(5, 4), integers(-4, 4, 5)]],
    ),
    Case(
        "mapped",
        lambda x, i: jax.vmap(lambda a, j: a.at[j].set(7.0))(x, i),
        [("b, 5", F32), ("b, 2", I32)],
        [[floats(4, 5), integers(-5, 5, 4, 2)]],
    ),
    Case(
        "segments",
        lambda x, i: (jax.ops.segment_sum(x, i, 4), jax.ops.segment_max(x, i, 4)),
        [("b, 5", F32), ("b", I32)],
        [[floats(6, 5), integers(0, 4, 6)]],
    ),
]


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return ask(oracle, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_computes_what_jax_computes(case: Case, answers: dict[str, Any]) -> None:
    check(case, answers[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hozon_runs_it_alike(case: Case) -> None:
    check_own(case)
