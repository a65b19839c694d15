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
        "blocks",
        lambda x, i: (
            lax.dynamic_slice(x, (i, i - 1), (2, 3)),
            lax.dynamic_slice_in_dim(x, 1, 2, axis=1),
            x[i],
        ),
        [("b, 5", F32), ("", I32)],
        [[floats(4, 5), np.int32(1)], [floats(3, 5), np.int32(9)]],
        gradient=True,
        constraints=["b >= 2"],
    ),
    Case(
        "replaced blocks",
        lambda x, y, i: (
            lax.dynamic_update_slice(x, y, (i, i - 1)),
            lax.dynamic_update_slice(x, x[:, :2], (0, i)),
            lax.dynamic_update_slice(x, y, (0, 0)),
        ),
        [("b, 5", F32), ("2, 3", F32), ("", I32)],
        [[floats(4, 5), floats(2, 3), np.int32(1)], [floats(3, 5), floats(2, 3), np.int32(9)]],
        gradient=True,
        constraints=["b >= 2"],
    ),
    Case(
        "rows of a sequence",
        lambda x, y, i: lax.dynamic_update_index_in_dim(x, y, i, 0),
        [("t, b, 3", F32), ("b, 3", F32), ("", I32)],
        [[floats(4, 2, 3), floats(2, 3), np.int32(2)]],
        gradient=True,
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
