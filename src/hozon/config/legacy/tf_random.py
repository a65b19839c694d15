"""Random functions that Keras 2 put into graphs; they draw anew at every call, inference included.

Each takes the layer's generator of seeds first: TensorFlow's own sequences are not reproduced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.legacy.tf_arrays import integers
from hozon.errors import UnsupportedError


def normal(
    generator: Any,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    **rest: Any,
) -> Any:
    """``tf.random.normal``."""
    drawn = keras.random.normal(tuple(integers(shape)), dtype=str(dtype), seed=generator)
    return drawn * stddev + mean


def truncated_normal(
    generator: Any,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    **rest: Any,
) -> Any:
    """``tf.random.truncated_normal``."""
    drawn = keras.random.truncated_normal(tuple(integers(shape)), dtype=str(dtype), seed=generator)
    return drawn * stddev + mean


def uniform(
    generator: Any,
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    **rest: Any,
) -> Any:
    """``tf.random.uniform``; integers need `maxval`."""
    sizes = tuple(integers(shape))
    if "int" in str(dtype):
        return keras.random.randint(sizes, minval, maxval, dtype="int32", seed=generator)
    high = 1.0 if maxval is None else maxval
    return keras.random.uniform(sizes, dtype=str(dtype), seed=generator) * (high - minval) + minval


def dropout(
    generator: Any,
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: Any = None,
    rate: Any = None,
    **rest: Any,
) -> Any:
    """TensorFlow 1's ``tf.nn.dropout``, which Keras 2 calls with `rate` by name."""
    chosen = rate if keep_prob is None else 1.0 - keep_prob
    return dropout_v2(generator, x, chosen, noise_shape)


def dropout_v2(generator: Any, x: Any, rate: Any, noise_shape: Any = None, **rest: Any) -> Any:
    """``tf.nn.dropout``: drops at inference too."""
    if not isinstance(rate, (int, float)):
        raise UnsupportedError("tf.nn.dropout with a rate that is a tensor", feature="nn.dropout")
    shape = None if noise_shape is None else tuple(integers(noise_shape))
    return keras.random.dropout(x, rate, noise_shape=shape, seed=generator) if rate else x


#: Functions of a generator of seeds and TensorFlow's arguments, by their full saved names.
RANDOM: Mapping[str, Callable[..., Any]] = {
    "random.normal": normal,
    "compat.v1.random_normal": normal,
    "random.uniform": uniform,
    "compat.v1.random_uniform": uniform,
    "random.truncated_normal": truncated_normal,
    "compat.v1.truncated_normal": truncated_normal,
    "nn.dropout": dropout_v2,
    "compat.v1.nn.dropout": dropout,
}
