from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, integers

F32, I32, U32 = "float32", "int32", "uint32"


def windows(mode: str) -> Any:
    numbers = lax.GatherDimensionNumbers((1, 2), (), (0, 1))
    return lambda x, i: lax.gather(x, i, numbers, (2, 3), mode=mode)


CASES = [
    Case(
        "rows",
        lambda x, i: (x[i], x[:, i], x[i, i], x[-1]),
        [("b, 4", F32), ("5", I32)],
        [[floats(3, 4), integers(-3, 3, 5)], [floats(7, 4), integers(-4, 4, 5)]],
        gradient=True,
    ),
    Case(
        "take",
        lambda x, i: (
            jnp.take(x, i, axis=0),
            jnp.take(x, i, axis=1),
            jnp.take(x, i, axis=1, mode="clip"),
            jnp.take(x, i, axis=1, mode="wrap"),
        ),
        [("6, 4", F32), ("b, t", I32)],
        [[floats(6, 4), integers(-8, 8, 3, 2)], [floats(6, 4), integers(-9, 9, 7, 3)]],
    ),
    Case(
        "take integers",
        lambda x, i: jnp.take(x, i, axis=0),
        [("6, 4", I32), ("b, t", I32)],
        [[integers(0, 9, 6, 4), integers(-8, 8, 3, 2)]],
    ),
    Case(
        "embedding",
        lambda x, i: jnp.take(x, i, axis=0),
        [("6, 4", F32), ("b, t", I32)],
        [[floats(6, 4), integers(0, 6, 3, 2)]],
        gradient=True,
    ),
    Case(
        "along an axis",
        lambda x, i: jnp.take_along_axis(x, i, 1),
        [("b, 4", F32), ("b, 2", I32)],
        [[floats(3, 4), integers(0, 4, 3, 2)], [floats(2, 4), integers(0, 4, 2, 2)]],
        gradient=True,
    ),
    Case(
        "along a middle axis",
        lambda x, i: jnp.take_along_axis(x, i, 1),
        [("b, 4, 3", F32), ("b, 2, 3", I32)],
        [[floats(3, 4, 3), integers(0, 4, 3, 2, 3)]],
        gradient=True,
    ),
    Case(
        "slices",
        lambda x: (
            x[1:3, ::2],
            x[:, :-1],
            x[:, -1],
            x[..., 0],
            x[:, 1:],
            x[:, None, 1],
            x[:, ::-1],
        ),
        [("b, t", F32)],
        [[floats(3, 4)], [floats(6, 9)]],
        gradient=True,
    ),
    Case(
        "last step",
        lambda x: (x[:, -1, :], x[..., -1, :], x[:, :, 0], x[0]),
        [("b, t, 4", F32)],
        [[floats(3, 2, 4)], [floats(6, 5, 4)]],
        gradient=True,
    ),
    Case(
        "mixed",
        lambda x, i: (x[i, 1:3], x[1:3, :, i], x[i, :, i], x[:, i][..., 0:2]),
        [("b, 5, 4", F32), ("2, 3", I32)],
        [[floats(4, 5, 4), integers(0, 4, 2, 3)]],
        gradient=True,
    ),
    Case(
        "windows moved inside",
        windows("clip"),
        [("b, 5", F32), ("n, 2", I32)],
        [[floats(4, 5), integers(-6, 6, 3, 2)]],
        gradient=True,
        constraints=["b >= 2"],
    ),
    Case(
        "windows filled",
        windows("fill"),
        [("b, 5", F32), ("n, 2", I32)],
        [[floats(4, 5), integers(-6, 6, 3, 2)]],
        constraints=["b >= 2"],
    ),
    Case(
        "mapped",
        lambda x, i: jax.vmap(lambda a, j: a[j])(x, i),
        [("b, 5, 2", F32), ("b, 3", I32)],
        [[floats(4, 5, 2), integers(0, 5, 4, 3)]],
        gradient=True,
    ),
    Case(
        "diagonals",
        lambda x: (jnp.diagonal(x, axis1=1, axis2=2), jnp.trace(x[0])),
        [("b, 4, 4", F32)],
        [[floats(3, 4, 4)]],
        gradient=True,
    ),
    Case("one hot", lambda i: jax.nn.one_hot(i, 4), [("b, t", I32)], [[integers(-1, 5, 3, 2)]]),
    Case(
        "bytes",
        lambda x, i: x[i],
        [("b, 4", F32), ("5", "uint8")],
        [[floats(9, 4), integers(0, 9, 5).astype(np.uint8)]],
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
