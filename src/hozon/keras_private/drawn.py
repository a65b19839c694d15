"""Layers that draw places and orders, traced where these or their number are not known.

A crop begins at a number that was drawn, which Python's slices do not take. An order of pictures is
drawn by JAX for a number of them that is known. Both say the same in other words while this thread
traces for a file; the numbers are those that JAX draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras.src.backend.jax import random
from keras.src.backend.jax.random import jax_draw_seed

from hozon.keras_private.bends import bend
from hozon.keras_private.tracing import traces_for_file

#: An array of more values than this takes one more sort by random numbers, so that it is not
#: likely that two of these are equal: the most that JAX orders by one, and by two.
SORTED_BY = (1625, 2642245)


def _in_any_number(original: Callable[..., Any]) -> Callable[..., Any]:
    def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
        if not traces_for_file() or all(isinstance(size, int) for size in x.shape):
            return original(x, axis=axis, seed=seed)
        return shuffled(jax_draw_seed(seed), jnp.asarray(x), axis)

    return shuffle


def shuffled(key: Any, x: jax.Array, axis: int) -> jax.Array:
    """``jax.random.permutation(key, x, axis, independent=True)`` of any number of values."""

    def ordered(key: Any, x: jax.Array) -> jax.Array:
        return jax.lax.sort_key_val(jax.random.bits(key, x.shape), x, axis)[1]

    count = jnp.asarray(x.size)
    key, own = jax.random.split(key)
    x = ordered(own, x)
    for most in SORTED_BY:
        key, own = jax.random.split(key)
        x = jax.lax.cond(count > most, ordered, lambda _, y: y, own, x)
    return x


def _at_drawn_places(original: Callable[..., Any]) -> Callable[..., Any]:
    def transform_images(
        layer: keras.Layer, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        known = transformation is None or all(isinstance(at, int) for at in transformation)
        if not training or known or not traces_for_file():
            return original(layer, images, transformation, training)
        images = layer.backend.cast(images, layer.compute_dtype)
        ends = (layer.height_axis, layer.width_axis), transformation, (layer.height, layer.width)
        for axis, start, size in zip(*ends, strict=True):
            images = jax.lax.dynamic_slice_in_dim(images, start, size, axis)
        return images

    return transform_images


bend(random, "shuffle", _in_any_number)
bend(keras.layers.RandomCrop, "transform_images", _at_drawn_places)
