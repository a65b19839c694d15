from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, integers

F32, I32, U32 = "float32", "int32", "uint32"

CASES = [
    Case(
        "reductions",
        lambda x: (x.sum(0), x.max(1), x.min(), x.prod(-1)),
        [("b, 4", F32)],
        [[floats(2, 4)], [floats(3, 4)]],
        gradient=True,
    ),
    Case(
        "truth",
        lambda x: ((x > 0).all(0), (x > 0).any(), jnp.max(x > 0, 1), jnp.min(x > 0)),
        [("b, 4", F32)],
        [[floats(2, 4)]],
    ),
    Case("parity", lambda x: lax.reduce_xor(x > 0, (1,)), [("b, 5", F32)], [[floats(3, 5)]]),
    Case(
        "integers",
        lambda x: (x.sum(1), x.max(0), x.min(1), x.prod(0)),
        [("b, t", I32)],
        [[integers(-9, 9, 3, 2)], [integers(-9, 9, 1, 4)]],
    ),
    Case(
        "positions",
        lambda x: (jnp.argmax(x, -1), jnp.argmin(x, 0), lax.argmax(x, 1, np.uint8)),
        [("b, t", F32)],
        [[floats(2, 4)], [floats(5, 3)]],
    ),
    Case(
        "cumulative",
        lambda x: (
            jnp.cumsum(x, 1),
            jnp.cumprod(x, 0),
            lax.cumlogsumexp(x, 1),
            lax.cumsum(x, 0, reverse=True),
        ),
        [("b, 4", F32)],
        [[floats(2, 4)], [floats(5, 4)]],
        gradient=True,
    ),
    Case(
        "running extremes",
        lambda x: (lax.cummax(x, 0), lax.cummin(x, 1, reverse=True)),
        [("b, 5", F32)],
        [[floats(7, 5)], [floats(1, 5)]],
        gradient=True,
    ),
    Case(
        "running integers",
        lambda x: (lax.cummax(x, 0, reverse=True), lax.cummin(x, 0)),
        [("b, 2", I32)],
        [[integers(-50, 50, 9, 2)]],
    ),
    Case(
        "sort",
        lambda x: (jnp.sort(x, 0), jnp.argsort(x, 1), jnp.sort(x > 0, 1)),
        [("b, t", F32)],
        [[floats(2, 4)], [floats(5, 6)]],
        gradient=True,
    ),
    Case(
        "sort integers",
        lambda x: (jnp.sort(x, 0), jnp.argsort(x, 1), -jnp.sort(-x)),
        [("b, t", I32)],
        [[integers(-3, 3, 5, 6)], [np.array([[-(2**31), 2**31 - 1]], np.int32)]],
    ),
    Case(
        "sort by two keys",
        lambda x, y: lax.sort((x, y, x + y), num_keys=2),
        [("t", I32), ("t", I32)],
        [[integers(0, 3, 9), integers(0, 4, 9)]],
    ),
    Case(
        "sort with gaps",
        lambda x: (jnp.sort(x), jnp.argsort(x)),
        [("t", F32)],
        [[np.array([3, np.nan, -1, 2, 0.0, -0.0], np.float32)]],
    ),
    Case(
        "largest",
        lambda x: (lax.top_k(x, 2), lax.top_k(x.T, 1)),
        [("b, 4", F32)],
        [[floats(2, 4)], [floats(5, 4)]],
        gradient=True,
    ),
    Case(
        "precision",
        lambda x: (lax.reduce_precision(x, 8, 7), lax.reduce_precision(x, 5, 10)),
        [("b, 4", F32)],
        [[floats(2, 4)]],
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
