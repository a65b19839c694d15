from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats

F32, I32, U32 = "float32", "int32", "uint32"

CASES = [
    Case(
        "sizes",
        lambda x, y: [
            jnp.zeros((), np.int32) + n
            for n in (
                2 * x.shape[0] - y.shape[0] + 1,
                x.shape[0] * x.shape[0] * 3 * y.shape[0],
                x.shape[0] // 2,
                -x.shape[0] // 3,
                x.shape[0] % 3,
                jax.core.max_dim(x.shape[0], y.shape[0]),
                jax.core.min_dim(x.shape[0], 2),
            )
        ],
        [("b, 5", F32), ("t", F32)],
        [[floats(4, 5), floats(3)], [floats(1, 5), floats(8)]],
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
