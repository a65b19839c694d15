"""Arguments that are whole numbers to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from hozon.graphs.emit.whole import whole_arguments

TABLE = jnp.ones((7, 3))


def looked_up(x: Any) -> Any:
    return jnp.take(TABLE, x.astype("int32"), axis=0)


WHOLE = {
    "looked up": looked_up,
    "moved and looked up": lambda x: looked_up(x[:, ::-1].T.reshape(-1)),
    "compared with a whole number": lambda x: looked_up(x) * (x != 0)[..., None],
    "within a compiled function": jax.jit(looked_up),
    "two lookups": lambda x: looked_up(x[:, :1]) + looked_up(x[:, 1:2]),
}
OTHER = {
    "added to": lambda x: looked_up(x + 0.5),
    "given too": lambda x: (looked_up(x), x),
    "computed with": lambda x: looked_up(x) * x[..., None],
    "compared with half": lambda x: looked_up(x) * (x > 0.5)[..., None],
    "rounded": lambda x: looked_up(jnp.round(x)),
    "not used": lambda x: TABLE,
    "made a float": lambda x: x.astype("float16"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole(name: str) -> None:
    assert found(WHOLE[name]) == {0}


@pytest.mark.parametrize("name", OTHER)
def test_other(name: str) -> None:
    assert found(OTHER[name]) == set()


def found(function: Callable[[Any], Any]) -> set[int]:
    return whole_arguments(jax.make_jaxpr(function)(jnp.ones((4, 3))).jaxpr, [0])
