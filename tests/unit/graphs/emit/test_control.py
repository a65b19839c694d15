"""Branches and loops, run by TensorFlow, differentiated by it, and run by Hozon."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.emitted import Case, ask, check, check_own
from tests.unit.graphs.emit.harness import floats

F32, I32 = "float32", "int32"


def lstm(values: Any, x: Any, *, reverse: bool = False) -> Any:
    """An LSTM over (batch, time, features), as Keras writes it."""
    kernel, recurrent, bias = values
    start = jnp.zeros((x.shape[0], recurrent.shape[0]))

    def step(state: Any, row: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(row @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (last, _), rows = lax.scan(step, (start, start), jnp.swapaxes(x, 0, 1), reverse=reverse)
    return (last, jnp.swapaxes(rows, 0, 1)), {}


LSTM = (floats(3, 8), floats(2, 8), floats(8))


def cumulated(values: Any, x: Any) -> Any:
    """Carried values of several types, constants and arrays of ranks 1 and 2, no carried array."""
    table = np.arange(5, dtype=np.float32)

    def step(carry: Any, row: Any) -> Any:
        count, total = carry
        return (count + 1, total + row * table[1]), (count, total > 0.5)

    last, rows = lax.scan(step, (jnp.int32(2), jnp.float32(0)), x)
    squares = lax.map(lambda y: y * y + x[0], x)
    return (last, rows, squares), {}


def short(values: Any, x: Any) -> Any:
    """Scans of one row and of none."""
    one = lax.scan(lambda c, y: (c + y, c * y), x[0], x[:1])
    none = lax.scan(lambda c, y: (c + y, c * y), x[0], x[:0])
    return (one, none), {}


def halved(values: Any, x: Any, n: Any) -> Any:
    """A loop of as many turns as the data say; what it captures is a constant and a variable."""

    def holds(state: Any) -> Any:
        return (state[0] < n) & (jnp.abs(state[1]).max() > values[0])

    def step(state: Any) -> Any:
        return state[0] + 1, state[1] * 0.5 + values[1]

    return lax.while_loop(holds, step, (0, x)), {}


def each_halved(values: Any, x: Any) -> Any:
    """A loop of which each row stops by itself."""

    def one(y: Any) -> Any:
        return lax.while_loop(lambda s: s.max() > 1, lambda s: s * 0.5, y)

    return jax.vmap(one)(x), {}


def averaged(x: Any) -> Any:
    """The mean over the batch, in each row."""
    return jnp.broadcast_to(x.sum(0) / x.shape[0], x.shape)


def chosen(values: Any, x: Any, n: Any) -> Any:
    """Two branches, several, one that is known; branches use the batch size."""
    two = lax.cond(n > 1, lambda y: y * 2, lambda y: y + values[0], x)
    many = lax.switch(n, [jnp.sin, averaged, lambda y: jnp.ones(y.shape)], x)
    known = lax.switch(1, [jnp.sin, jnp.cos], x)
    here = lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos)
    return (two, many, known, here), {}


def nested(values: Any, x: Any, n: Any) -> Any:
    """A loop in a branch in a loop, with the batch size innermost."""

    def turn(i: Any, y: Any) -> Any:
        def inner(z: Any) -> Any:
            return lax.fori_loop(0, i, lambda k, w: w + jnp.full(w.shape, 0.5) * values[0], z)

        return lax.cond(i % 2 == 0, inner, lambda z: z * 1.5, y)

    return lax.fori_loop(0, n, turn, x), {}


def called(values: Any, x: Any) -> Any:
    """What is called rather than branched to; what is printed is left out."""
    jax.debug.print("{}", x)
    kept = jax.checkpoint(lambda y: jnp.sin(y) * values[0])(x)
    return jax.jit(jax.nn.relu)(kept) + jax.nn.silu(x), {}


def drawn(values: Any, x: Any) -> Any:
    """Keys carried through a loop, and one as a new value of a variable."""

    def step(key: Any, row: Any) -> Any:
        key, own = jax.random.split(key)
        return key, row + jax.random.uniform(own, row.shape)

    key, rows = lax.scan(step, jax.random.wrap_key_data(values[0]), x)
    return rows, {0: key}


ROWS = [((None, None, 3), F32)]
BATCHES = [[floats(2, 4, 3)], [floats(3, 2, 3)]]
CASES = [
    Case("lstm", lstm, ROWS, BATCHES, LSTM, gradient=True),
    Case(
        "backwards",
        lambda v, x: lstm(v, x, reverse=True),
        [((None, 5, 3), F32)],
        [[floats(2, 5, 3)], [floats(1, 5, 3)]],
        LSTM,
        gradient=True,
    ),
    Case("types", cumulated, [((None,), F32)], [[floats(4)], [floats(2)]], gradient=True),
    Case("short", short, [((3, None), F32)], [[floats(3, 2)]], gradient=True),
    Case(
        "while",
        halved,
        [((None, 2), F32), ((), I32)],
        [[floats(3, 2), np.int32(4)], [9 + floats(2, 2), np.int32(9)]],
        (np.float32(0.3), np.float32(0.25)),
    ),
    Case("rows stop", each_halved, [((None, 3), F32)], [[9 * floats(4, 3)], [9 * floats(1, 3)]]),
    Case(
        "branches",
        chosen,
        [((None, 2), F32), ((), I32)],
        [[floats(3, 2), np.int32(k)] for k in (-1, 0, 1, 2, 7)],
        (floats(2),),
        gradient=True,
    ),
    Case(
        "nested",
        nested,
        [((None, 2), F32), ((), I32)],
        [[floats(3, 2), np.int32(5)], [floats(1, 2), np.int32(0)]],
        (np.float32(0.3),),
    ),
    Case("calls", called, [((None, 2), F32)], [[floats(3, 2)]], (np.float32(3),), gradient=True),
    Case(
        "keys",
        drawn,
        [((None, None), F32)],
        [[floats(3, 2)], [floats(4, 3)]],
        (np.array([3, 4], np.uint32),),
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
