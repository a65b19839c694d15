from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.emitted import Case, ask, check, check_own
from tests.unit.graphs.emit.harness import floats

F32 = "float32"
FEW = np.array([-1.0, 0.0, 0.0, 2.5], np.float32)
MANY = np.linspace(-3, 3, 100).astype(np.float32)
EDGES = np.array([-np.inf, -1, -0.0, 0.0, 2.5, 2.6, np.inf, np.nan], np.float32)

ROWS = [((None, None), F32)]
CASES = [
    Case(
        name,
        lambda _, x, bounds=bounds: (
            (
                jnp.digitize(x, bounds),
                jnp.digitize(x, bounds, right=True),
                jnp.digitize(x, bounds[::-1]),
                jnp.searchsorted(jnp.asarray(bounds), x, side="right"),
                jnp.searchsorted(jnp.asarray(bounds), x, side="left"),
            ),
            {},
        ),
        ROWS,
        [[floats(3, 5)], [EDGES[None]], [MANY[None]]],
    )
    for name, bounds in {"few": FEW, "many": MANY, "edges": EDGES}.items()
]
CASES += [
    Case(
        f"not known, from the {side}",
        lambda _, bounds, x, side=side: (jnp.searchsorted(bounds, x, side=side), {}),
        [((8,), F32), *ROWS],
        [[np.sort(floats(8)), floats(3, 5)], [EDGES, EDGES[None]], [np.repeat(FEW, 2), FEW[None]]],
    )
    for side in ("left", "right")
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


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_bits_are_compared(side: str, tmp_path: Path) -> None:
    class Search(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.searchsorted(keras.ops.sort(x[0]), x, side=side)

    hozon.save_model(keras.Sequential([keras.Input((3,)), Search()]), tmp_path / "m")
    assert not {"Bitcast", "BitwiseXor"} & hozon.inspect(tmp_path / "m").ops.keys()


def test_a_layer_of_it_has_no_loop(tmp_path: Path) -> None:
    layer = keras.layers.Discretization(bin_boundaries=[0.0, 1.0])
    hozon.save_model(keras.Sequential([keras.Input((3,)), layer]), tmp_path / "m")
    assert not {"StatelessWhile", "Bitcast"} & hozon.inspect(tmp_path / "m").ops.keys()
