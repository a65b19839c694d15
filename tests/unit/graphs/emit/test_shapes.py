"""Elements moved about, at sizes that are known when the function runs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, written

F32, I32 = "float32", "int32"

CASES = [
    Case(
        "broadcasts",
        lambda x, y: (
            jnp.broadcast_to(y, (x.shape[0], 3)),
            lax.broadcast_in_dim(x, (x.shape[0], 2, 3), (0, 2)),
            lax.broadcast_in_dim(y, (3, x.shape[0]), (0,)),
            jnp.zeros((x.shape[0], 2)),
            jnp.full((3, 2), 7, jnp.int32),
            jnp.full((20, 30), 0.5),
            jnp.broadcast_to(y * 2, x.shape)[::-1],
            jnp.ones((x.shape[0], 1)).reshape(-1).T,
        ),
        [("b, 3", F32), ("3", F32)],
        [[floats(2, 3), floats(3)], [floats(1, 3), floats(3)]],
    ),
    Case(
        "repeated and used",
        lambda x, y: (
            x + y + 1,
            jnp.broadcast_to(y, x.shape) * jnp.broadcast_to(x[:, :1], x.shape),
            jnp.where(jnp.zeros_like(x, bool), x, jnp.float32(2)),
            jnp.concatenate([jnp.ones_like(x), jnp.broadcast_to(jnp.exp(y), x.shape)], 1),
            jnp.sum(jnp.broadcast_to(y, x.shape), 0),
            (jnp.zeros((4, 3)) + y) @ x.T,
        ),
        [("b, 3", F32), ("3", F32)],
        [[floats(2, 3), floats(3)], [floats(4, 3), floats(3)]],
        gradient=True,
    ),
    Case(
        "reshapes",
        lambda x: (
            x.reshape(-1),
            x.reshape(x.shape[0], -1),
            x.reshape(x.shape[0] * 2, 6 * x.shape[2]),
            x.reshape(x.shape[0], 2, 2, x.shape[2], 3)[:, :, :, None],
            lax.reshape(x, (3, x.shape[0], x.shape[2], 4), dimensions=(3, 0, 2, 1)),
            lax.squeeze(x[:, :1, :, :1], (1, 3)),
            lax.expand_dims(x, (0, 3)),
            x.transpose(3, 0, 2, 1),
            lax.rev(x, (0, 1, 3)),
        ),
        [("b, 4, t, 3", F32)],
        [[floats(2, 4, 5, 3)], [floats(3, 4, 1, 3)]],
    ),
    Case(
        "parts",
        lambda x, y: (
            jnp.concatenate([x, y, x[:, :0]], 1),
            jnp.concatenate([x, x, x[:1]], 0),
            jnp.split(x, 2, 1),
            jnp.split(x, [1, 3], 1),
            lax.split(x, [x.shape[0] - 1, 1], 0),
            lax.stack([x, x + 1], 1),
            lax.unstack(x, 1),
            jnp.stack([x[:, 0], y[:, 0]]),
        ),
        [("b, 4", F32), ("b, 2", F32)],
        [[floats(3, 4), floats(3, 2)], [floats(2, 4), floats(2, 2)]],
        gradient=True,
        constraints=["b >= 1"],
    ),
    Case(
        "slices",
        lambda x: (
            x[:, 1:3],
            x[1:],
            x[:-1],
            x[-1:],
            x[:, ::2],
            x[::2, 1:4:2],
            x[:, ::-1],
            lax.slice(x, (1, 0), (2, 5), (1, 3)),
            x[0],
        ),
        [("b, 5", F32)],
        [[floats(4, 5)], [floats(3, 5)]],
        gradient=True,
        constraints=["b >= 2"],
    ),
    Case(
        "pads",
        lambda x, y: (
            lax.pad(x, 0.0, [(1, 2, 0), (0, 1, 0)]),
            lax.pad(x, 2.5, [(1, 0, 0), (0, 1, 2)]),
            lax.pad(x, y, [(0, 0, 1), (-1, 3, 0)]),
            lax.pad(x, y, [(-1, 0, 2), (-2, -1, 1)]),
            jnp.pad(x, ((0, 0), (1, 1)), mode="reflect"),
            jnp.pad(x, ((1, 0), (0, 2)), mode="edge"),
            jnp.pad(x, 1, constant_values=3),
        ),
        [("b, 3", F32), ("", F32)],
        [[floats(3, 3), np.float32(0.5)], [floats(2, 3), np.float32(-1)]],
        constraints=["b >= 2"],
    ),
    Case(
        "tiles",
        lambda x: (
            lax.tile(x, (2, 3)),
            jnp.tile(x, (1, 2)),
            jnp.repeat(x, 2, axis=1),
            jnp.repeat(x, 3, axis=0),
        ),
        [("b, 3", F32)],
        [[floats(2, 3)], [floats(1, 3)]],
        gradient=True,
    ),
    Case(
        "counting",
        lambda x: (
            jnp.arange(x.shape[0]),
            lax.broadcasted_iota(jnp.int32, (x.shape[0], 3), 0),
            lax.broadcasted_iota(jnp.float32, (2, x.shape[0]), 1),
            lax.broadcasted_iota(jnp.uint8, (2, 3), 1),
            jnp.eye(4),
            jnp.tri(3, x.shape[0]),
            x.shape[0] * jnp.ones(()),
            jnp.mean(x),
            jnp.linspace(0, 1, 5),
        ),
        [("b, 3", F32)],
        [[floats(2, 3)], [floats(5, 3)]],
    ),
    Case(
        "bytes and truths",
        lambda x, y: (
            lax.pad(x, np.uint8(3), [(1, 1, 1)]),
            jnp.concatenate([y, ~y]),
            lax.rev(y, (0,)),
            jnp.broadcast_to(y[:, None], (y.shape[0], 2)),
            jnp.tile(x, 2),
        ),
        [("b", "uint8"), ("b", "bool")],
        [[np.arange(3, dtype=np.uint8), np.array([True, False, True])]],
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


def ops(function: Any, *specs: tuple[str, str]) -> list[str]:
    """The ops of a function but for its constants."""
    nodes = written(Case("ops", function, specs, []), "f")[0].nodes
    return [node.op for node in nodes if node.op != "Const"]


def test_a_bias_is_added_as_it_is() -> None:
    batch = ("b, 4, 4, 3", F32)
    assert ops(lambda x, y: x + y, batch, ("3", F32)) == ["AddV2"]
    assert ops(lambda x, y: x * y.reshape(1, 1, 1, 3) + y, batch, ("3", F32)) == [
        "Reshape",
        "Mul",
        "AddV2",
    ]


def test_numbers_are_not_repeated() -> None:
    assert ops(lambda x: jnp.zeros_like(x) + x, ("b, 4", F32)) == ["AddV2"]
    assert ops(lambda x: jnp.where(x > 0, x, jnp.ones((x.shape[0], 4))), ("b, 4", F32)) == [
        "Greater",
        "SelectV2",
    ]


def test_the_rest_of_a_symbolic_size_needs_no_number() -> None:
    assert ops(lambda x: x[:, 1:3], ("b, 4", F32)) == ["Slice"]
    assert ops(lambda x: x.reshape(-1, 2, 2), ("b, 4", F32)) == ["Reshape"]
    assert ops(lambda x: x[:, None, :, None], ("b, t", F32)) == ["ExpandDims", "ExpandDims"]


def test_a_large_constant_of_one_number_is_one_number() -> None:
    case = Case("full", lambda x: jax.numpy.full((100, 100), 3.0) @ x, [("100, 2", F32)], [])
    nodes = written(case, "f")[0].nodes
    assert max(len(node.attrs["value"].content) for node in nodes if node.op == "Const") <= 8
