"""Distributions that JAX draws, with TensorFlow's rules for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.values import Value

Shape = tuple[int, ...]


def _drawn_in(dtype: np.dtype[Any]) -> Any:
    """The dtype to draw in: half precision is too coarse for the loops of some distributions."""
    return jnp.float64 if dtype == np.float64 else jnp.float32


def gamma(key: jax.Array, shape: Shape, alpha: Value, dtype: Any) -> jax.Array:
    """Gamma numbers of shape ``shape``, whose last axes are those of `alpha`."""
    wide = jnp.asarray(alpha, _drawn_in(np.dtype(dtype)))
    return jax.random.gamma(key, wide, shape, wide.dtype).astype(dtype)


def poisson(key: jax.Array, shape: Shape, rate: Value, dtype: Any) -> jax.Array:
    """Poisson numbers of shape ``shape``, whose last axes are those of `rate`."""
    return jax.random.poisson(key, jnp.asarray(rate), shape).astype(dtype)


def binomial(key: jax.Array, shape: Shape, counts: Value, shares: Value, dtype: Any) -> jax.Array:
    """How many of `counts` tries succeed with probability `shares`."""
    tries = jnp.asarray(counts, jnp.float32)
    odds = jnp.asarray(shares, jnp.float32)
    return jax.random.binomial(key, tries, odds, shape).astype(dtype)


def bounded_normal(
    key: jax.Array, shape: Shape, parameters: Sequence[Value], dtype: Any
) -> jax.Array:
    """Normal numbers by mean, deviation, least and largest value, for all or for each row."""
    mean, deviation, low, high = (_column(p, shape) for p in parameters)
    least, most = (low - mean) / deviation, (high - mean) / deviation
    drawn = jax.random.truncated_normal(key, least, most, shape, _drawn_in(np.dtype(dtype)))
    return (drawn * deviation + mean).astype(dtype)


def _column(parameter: Value, shape: Shape) -> jax.Array:
    parameter = jnp.asarray(parameter)
    return parameter.reshape(parameter.shape + (1,) * max(0, len(shape) - parameter.ndim))
