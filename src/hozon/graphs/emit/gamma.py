"""The rule for random_gamma: rejection by Marsaglia and Tsang, as JAX draws.

G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", 2000. Which random
numbers are drawn for what, and in which order, is JAX's, so that the samples are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random

from hozon.graphs.emit.body import Body
from hozon.graphs.emit.keys import check_generator
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import Tensor

GAMMA = Rules("gamma")


@GAMMA.rule("random_gamma")
def random_gamma(body: Body, eqn: Equation, keys: Tensor, alphas: Tensor) -> Tensor:
    """A sample, or its logarithm, for each parameter; a key serves all parameters under it."""
    check_generator(eqn)
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (keys, alphas)]
    drawn = partial(_samples, log_space=bool(eqn.params["log_space"]))
    with jax.enable_x64(alphas.dtype.itemsize == 8):
        traced = jax.make_jaxpr(drawn)(*shapes)
    (result,) = body.inline(traced, [keys, alphas])
    return result


def _samples(keys: Any, alphas: Any, *, log_space: bool) -> Any:
    count = alphas[(0,) * (keys.ndim - 1)].size
    parts = jax.vmap(lambda key: _split(key, count))(keys.reshape(-1, 2))
    draw = jax.vmap(partial(_sample, log_space=log_space))
    return draw(parts.reshape(-1, 2), alphas.reshape(-1)).reshape(alphas.shape)


def _key(data: Any) -> Any:
    return random.wrap_key_data(data, impl="threefry2x32")


def _split(data: Any, count: Any = 2) -> Any:
    return random.key_data(random.split(_key(data), count))


def _sample(key: Any, alpha: Any, *, log_space: bool) -> Any:
    """One sample. A parameter below 1 is raised by 1, which a power of a number makes up for."""
    number = partial(jnp.asarray, dtype=alpha.dtype)
    is_large = alpha >= 1
    d = jnp.where(is_large, alpha, alpha + 1) - number(1 / 3)
    key, last = _split(key)
    start = (key, number(0), number(1), number(2))
    cube = lax.while_loop(partial(_is_rejected, d), _attempt(d, number), start)[2]
    if log_space:
        logs = -random.exponential(_key(last), (), alpha.dtype)
        boost = jnp.where(is_large | (logs == 0), number(0), logs * (1 / alpha))
        return lax.log(d) + lax.log(cube) + boost
    rest = 1 - random.uniform(_key(last), (), alpha.dtype)
    return d * cube * jnp.where(is_large, number(1), lax.pow(rest, 1 / alpha))


def _is_rejected(d: Any, state: Any) -> Any:
    _, square, cube, level = state
    quickly = level >= 1 - 0.0331 * (square * square)
    return quickly & (lax.log(level) >= square * 0.5 + d * ((1 - cube) + lax.log(cube)))


def _attempt(d: Any, number: Callable[[Any], Any]) -> Callable[[Any], Any]:
    c = number(1 / 3) / lax.sqrt(d)

    def normal(state: Any) -> Any:
        key, part = _split(state[0])
        x = random.normal(_key(part), (), d.dtype)
        return key, x, 1 + x * c

    def attempt(state: Any) -> Any:
        key, x_key, level_key = _split(state[0], 3)
        _, x, v = lax.while_loop(lambda s: s[2] <= 0, normal, (x_key, number(0), number(-1)))
        return key, x * x, v * v * v, random.uniform(_key(level_key), (), d.dtype)

    return attempt
