"""What has another form on a CPU is written as the ops that it stands for."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import pytest

from hozon.kernels.columns import column_sum, spread
from hozon.kernels.convolution import convolution
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats

F32 = "float32"


def case(name: str, function: Any, kernel: tuple[int, ...]) -> Case:
    inputs = [[floats(batch, 7, 6, 4), floats(*kernel)] for batch in (2, 3)]
    specs = [("b, 7, 6, 4", F32), (", ".join(map(str, kernel)), F32)]
    return Case(name, function, specs, inputs, gradient=True)


CASES = [
    case("dense", lambda x, k: convolution(x, k, strides=(2, 2)), (3, 2, 4, 5)),
    case("depthwise", convolution, (3, 3, 1, 4)),
    case("columns", lambda x, v: column_sum(x * jnp.cos(spread(v, x.shape))), (4,)),
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
