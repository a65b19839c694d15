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
        "matrices",
        lambda x, w: (x @ w, w.T @ x.T),
        [("b, 4", F32), ("4, 3", F32)],
        [[floats(2, 4), floats(4, 3)], [floats(5, 4), floats(4, 3)]],
        gradient=True,
    ),
    Case(
        "rows of sequences",
        lambda x, w: (x @ w, jnp.einsum("btd,ed->bte", x, w.T)),
        [("b, t, 4", F32), ("4, 3", F32)],
        [[floats(2, 3, 4), floats(4, 3)], [floats(0, 6, 4), floats(4, 3)]],
        gradient=True,
    ),
    Case(
        "batches",
        lambda x, y: (jnp.matmul(x, y), jnp.einsum("bij,bik->bjk", x, x)),
        [("b, t, 4", F32), ("b, 4, t", F32)],
        [[floats(2, 3, 4), floats(2, 4, 3)], [floats(1, 2, 4), floats(1, 4, 2)]],
        gradient=True,
    ),
    Case(
        "attention",
        lambda q, k, w: (jnp.einsum("btnh,bsnh->bnts", q, k), jnp.einsum("btnh,nhd->btd", q, w)),
        [("b, t, 2, 3", F32), ("b, s, 2, 3", F32), ("2, 3, 5", F32)],
        [[floats(2, 4, 2, 3), floats(2, 6, 2, 3), floats(2, 3, 5)]],
        gradient=True,
    ),
    Case(
        "vectors",
        lambda x, y: (jnp.outer(x, y), jnp.dot(x, x), jnp.tensordot(x, y, 0)),
        [("b", F32), ("3", F32)],
        [[floats(4), floats(3)]],
        gradient=True,
    ),
    Case(
        "complex",
        lambda x, y: jnp.einsum("bij,bik->bjk", x, y),
        [("b, 3, 2", "complex64"), ("b, 3, 2", "complex64")],
        [[floats(2, 3, 2) + 1j * floats(2, 3, 2), floats(2, 3, 2) - 1j * floats(2, 3, 2)]],
    ),
    Case(
        "bytes",
        lambda x, y: lax.dot_general(
            x, y, (((1,), (0,)), ((), ())), preferred_element_type=np.int32
        ),
        [("b, 4", "int8"), ("4, 3", "int8")],
        [[integers(-128, 127, 2, 4).astype(np.int8), integers(-128, 127, 4, 3).astype(np.int8)]],
    ),
    Case(
        "half",
        lambda x, y: jnp.matmul(x, y, preferred_element_type=np.float32),
        [("b, 4", "float16"), ("4, 3", "float16")],
        [[floats(2, 4).astype(np.float16), floats(4, 3).astype(np.float16)]],
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
