"""Functions that are one XlaCallModule, run by TensorFlow and by Hozon."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hozon.errors import UnsupportedError
from hozon.graphs.emit.function import emit
from hozon.graphs.emit.trace import ArgumentSpec
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.emitted import Case, ask, check, check_own
from tests.unit.graphs.emit.harness import floats

F32 = "float32"


def _later(left: Any, right: Any) -> Any:
    """The larger value and its place: a reduction that no TensorFlow op makes."""
    is_left = left[0] > right[0]
    return jnp.where(is_left, left[0], right[0]), jnp.where(is_left, left[1], right[1])


def best(values: Any, x: Any) -> Any:
    """Symbolic sizes, one unused and one assigned variable, results of several types."""
    places = lax.broadcasted_iota(jnp.int32, x.shape, 1)
    start = (jnp.float32(-np.inf), jnp.int32(-1))
    value, place = lax.reduce((x, places), start, _later, (1,))
    return (value, place, jnp.concatenate([x, x * values[2]])), {2: values[2] + value.sum()}


def extended(values: Any, x: Any) -> Any:
    """Operations that a module states as calls of StableHLO's extensions."""
    total = lax.reduce(x, jnp.float32(1), lambda a, b: a * b + a * 0, (0,))
    return (lax.top_k(x, 2), jax.scipy.special.erf(x), jnp.arccosh(1 + x * x), total), {}


CASES = [
    Case(
        "symbolic",
        best,
        [((None, None), F32)],
        [[floats(3, 4)], [floats(2, 7)]],
        (floats(2), floats(3), np.float32(2)),
        native=False,
    ),
    Case("extensions", extended, [((2, 5), F32)], [[floats(2, 5)]], native=False),
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


def test_it_is_one_op_that_names_what_forced_it() -> None:
    emitted = CASES[0].written("best")
    assert emitted.primitives == ("reduce",)
    assert [node.op for node in emitted.definition.nodes].count("XlaCallModule") == 1
    assert emitted.captures == (2,)
    assert emitted.assigned == (2,)


def test_a_module_does_not_say_where_it_was_made() -> None:
    modules = {
        node.attrs["module"]
        for _ in range(2)
        for node in CASES[0].written("best").definition.nodes
        if node.op == "XlaCallModule"
    }
    assert len(modules) == 1
    assert b"test_fallback" not in modules.pop()


SQUARE = [ArgumentSpec((None, 3, 3), F32, "x")]


def test_native_ops_can_be_demanded() -> None:
    with pytest.raises(UnsupportedError, match=r"'best'.*reduce") as failure:
        emit(
            "best",
            lambda values, x: (lax.reduce(x, 0.0, lambda a, b: a * b - b, (0,)), {}),
            SQUARE,
            native_only=True,
        )
    assert failure.value.feature == "reduce"
    assert "native_ops_only" in str(failure.value.instead)


def test_a_kernel_that_only_jax_has_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"schur.*lapack"):
        emit("roots", lambda values, x: (jax.scipy.linalg.schur(x), {}), SQUARE)


def test_a_call_of_python_is_refused() -> None:
    def function(values: Any, x: Any) -> Any:
        return jax.pure_callback(np.sin, x, x), {}

    with pytest.raises(UnsupportedError, match="pure_callback"):
        emit("hosted", function, [ArgumentSpec((3,), F32, "x")])
