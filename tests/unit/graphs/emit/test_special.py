from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats

F32, I32, U32 = "float32", "int32", "uint32"

CASES = [
    Case(
        "gamma",
        lambda x, y: (lax.lgamma(x), lax.digamma(x), lax.igamma(x, y), lax.igammac(x, y)),
        [("b", F32), ("b", F32)],
        [[np.abs(floats(5)) + 0.1, np.abs(floats(5)) + 0.1]],
    ),
    Case(
        "others",
        lambda x, y: (
            lax.bessel_i0e(x),
            lax.bessel_i1e(x),
            lax.erf_inv(x / 9),
            lax.betainc(y, y + 1, x / 9),
            lax.zeta(y + 1.5, y),
        ),
        [("b", F32), ("b", F32)],
        [[np.abs(floats(5)), np.abs(floats(5)) + 0.5]],
        tolerance=1e-4,
    ),
    Case(
        "edges",
        lambda x: lax.erf_inv(x),
        [("5", F32)],
        [[np.array([-1, 1, 0, 0.999, -0.5], np.float32)]],
    ),
    Case(
        "half",
        lambda x: (lax.erf_inv(x), lax.lgamma(x)),
        [("3", "float16")],
        [[np.array([0.25, 0.5, 0.75], np.float16)]],
        tolerance=2e-3,
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
