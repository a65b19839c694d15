"""Slopes where a function has a kink or two values are equal: TensorFlow's, in models of Keras 2.

JAX goes down the absolute value at 0 with 1, and halves a slope between two equal values, where
TensorFlow has 0, and gives all of it to the first. So a loss of absolute differences, or a hinge,
trains otherwise where a prediction is exactly right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras.src.backend import nn, numpy

from hozon.keras_private.bends import bend
from hozon.keras_private.comparing import compares_as_keras2
from hozon.keras_private.training import INSIDE

Function = Callable[..., Any]
_SELU_SCALE = 1.0507009873554805


def _sloped(made: Function) -> Callable[[Function], Function]:
    """Of a function: in models of Keras 2 what `made` makes of its value and its arguments."""

    def bent(original: Function) -> Function:
        def function(*args: Any, **kwargs: Any) -> Any:
            value = original(*args, **kwargs)
            if not (INSIDE.get() or compares_as_keras2()) or not isinstance(value, jax.Array):
                return value
            real = jnp.issubdtype(value.dtype, jnp.floating)
            return made(value, *args, **kwargs) if real else value

        return function

    return bent


def _absolute(value: Any, x: Any) -> Any:
    return jnp.where(_like(value, x) == 0, jax.lax.stop_gradient(value), value)


def _maximum(value: Any, x1: Any, x2: Any) -> Any:
    first, second = _like(value, x1), _like(value, x2)
    return jnp.where((first >= second) | jnp.isnan(first), first, second)


def _minimum(value: Any, x1: Any, x2: Any) -> Any:
    first, second = _like(value, x1), _like(value, x2)
    return jnp.where((first <= second) | jnp.isnan(first), first, second)


def _clip(value: Any, x: Any, x_min: Any, x_max: Any) -> Any:
    x, least, most = (_like(value, given) for given in (x, x_min, x_max))
    return jnp.where(x < least, least, jnp.where(x > most, most, x))


def _leaky_relu(value: Any, x: Any, negative_slope: float = 0.2) -> Any:
    x = _like(value, x)
    return jnp.where(x > 0, x, negative_slope * x)


def _selu(value: Any, x: Any) -> Any:
    x = _like(value, x)
    return jnp.where(x < 0, value, _SELU_SCALE * x)


def _like(value: Any, given: Any) -> Any:
    return keras.ops.convert_to_tensor(given).astype(value.dtype)


_BENT = [(numpy, made) for made in (_absolute, _maximum, _minimum, _clip)]
_BENT += [(nn, made) for made in (_leaky_relu, _selu)]

if keras.config.backend() == "jax":
    for _room, _function in _BENT:
        bend(_room, _function.__name__.removeprefix("_"), _sloped(_function))
