from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hozon.graphs.emit.function import emit
from hozon.graphs.emit.trace import ArgumentSpec
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


def _free(*dtypes: str) -> list[ArgumentSpec]:
    return [ArgumentSpec((None, None), dtype, f"x{i}") for i, dtype in enumerate(dtypes)]


def _halved_and_doubled(_: Any, x: Any) -> Any:
    pooled = x[:, ::2][:, ::2]
    return (jnp.repeat(jnp.repeat(pooled, 2, 1), 2, 1) + x, {})


def test_sizes_that_must_be_multiples() -> None:
    made = emit("f", _halved_and_doubled, _free(F32))
    assert made.native
    assert made.assumed == ("axis 1 of x0 is a multiple of 4",)


def _rows_of_a_table(_: Any, x: Any) -> Any:
    return (jax.lax.slice_in_dim(jnp.arange(16.0), 0, x.shape[1]) + x, {})


def test_an_inequality_is_assumed_and_checked() -> None:
    made = emit("f", _rows_of_a_table, _free(F32))
    assert made.assumed == ("any1_0 <= 16 (the size of axis 1)",)
    assert "Assert" in {node.op for node in made.definition.nodes}


def _at_odds(_: Any, x: Any) -> Any:
    return (jnp.ones(x.shape[1] + 1) + x, {})


def test_what_no_assumption_helps_is_told_as_it_was() -> None:
    with pytest.raises(ValueError, match=r"any1_0 \+ 1"):
        emit("f", _at_odds, _free(F32))
