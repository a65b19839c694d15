from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats

F32, I32, U32 = "float32", "int32", "uint32"

KEY = np.array([7, 9], np.uint32)


def moved(key: Any) -> Any:
    keys = jax.random.split(key, (2, 3))
    joined = jnp.concatenate([keys[::-1].T, jnp.broadcast_to(key, (3, 1))], axis=1)
    return jnp.where(jnp.array([True, False, True]), joined[:, 0], joined[:, 2])[1]


CASES = [
    Case(
        "bits",
        lambda k: (
            jax.random.bits(k, (3, 3)),
            jax.random.bits(k, (5,), "uint8"),
            jax.random.bits(k, (5,), "uint16"),
            jax.random.bits(k, ()),
        ),
        [("2", U32)],
        [[KEY], [np.array([2**32 - 1, 5], np.uint32)]],
    ),
    Case(
        "keys", lambda k: (jax.random.split(k, 3), jax.random.fold_in(k, 5)), [("2", U32)], [[KEY]]
    ),
    Case(
        "sizes of the batch",
        lambda k, x: (
            jax.random.uniform(k, x.shape),
            jax.random.normal(k, x.shape),
            jax.random.bernoulli(k, 0.5, x.shape),
        ),
        [("2", U32), ("b, t", F32)],
        [[KEY, floats(3, 2)], [KEY, floats(1, 7)]],
    ),
    Case(
        "seed",
        lambda s: (
            jax.random.PRNGKey(s),
            jax.random.key_data(jax.random.key(s + 1)),
            jax.random.truncated_normal(jax.random.key(s), -2.0, 2.0, (5,)),
            jax.random.randint(jax.random.key(s), (6,), 0, 10),
            jax.random.categorical(jax.random.key(s), jnp.zeros((3, 4))),
        ),
        [("", I32)],
        [[np.int32(3)], [np.int32(-3)]],
    ),
    Case(
        "opaque keys",
        lambda s: jax.random.uniform(moved(jax.random.key(s)), (4,)),
        [("", I32)],
        [[np.int32(3)]],
    ),
    Case(
        "mapped",
        lambda k: jax.vmap(lambda q: jax.random.uniform(q, (3,)))(jax.random.split(k, 4)),
        [("2", U32)],
        [[KEY]],
    ),
    Case("shuffle", lambda k: jax.random.permutation(k, 7), [("2", U32)], [[KEY]]),
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
