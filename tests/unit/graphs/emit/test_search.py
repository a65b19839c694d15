from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats

F32 = "float32"
FEW = np.array([-1.0, 0.0, 0.0, 2.5], np.float32)
MANY = np.linspace(-3, 3, 100).astype(np.float32)
EDGES = np.array([-np.inf, -1, -0.0, 0.0, 2.5, 2.6, np.inf, np.nan], np.float32)

CASES = [
    Case(
        name,
        lambda x, bounds=bounds: (
            jnp.digitize(x, bounds),
            jnp.searchsorted(jnp.asarray(bounds), x, side="right"),
        ),
        [("b, t", F32)],
        [[floats(3, 5)], [EDGES[None]]],
    )
    for name, bounds in {"few": FEW, "many": MANY}.items()
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


def test_a_layer_of_it_has_no_loop(tmp_path: Path) -> None:
    layer = keras.layers.Discretization(bin_boundaries=[0.0, 1.0])
    hozon.save_model(keras.Sequential([keras.Input((3,)), layer]), tmp_path / "m")
    assert not {"StatelessWhile", "Bitcast"} & hozon.inspect(tmp_path / "m").ops.keys()
