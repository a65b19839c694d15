"""Vectors scaled to length 1 as in Keras 2, which divides none by less than 1e-6.

Keras 3 takes tiny vectors to length 1, and its gradient of a vector of zeros is no number. What
Keras 2 scales so in its layers, losses and metrics goes on as there in what files of it hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras
from keras.src.ops import nn

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.comparing import compares_as_keras2
from hozon.keras_private.layers import layers_of

_MARK = "hozon_keeps_tiny"
_LAYERS = (keras.layers.UnitNormalization, keras.layers.Dot, keras.layers.SpectralNormalization)
#: The least squared length that a vector is divided by.
_LEAST = 1e-12
#: Whether a marked layer scales vectors.
_AS_KERAS2: ContextVar[bool] = ContextVar("vectors are scaled as in Keras 2", default=False)


def keep_tiny(layer: keras.Layer) -> None:
    """Mark a layer of a file of Keras 2, and those in it, where they scale vectors."""
    for inside in layers_of(layer):
        if isinstance(inside, _LAYERS):
            object.__setattr__(inside, _MARK, True)


def keeps_tiny(layer: keras.Layer) -> bool:
    """Whether this layer is marked."""
    return _MARK in vars(layer)


def _scaling(original: Callable[..., Any]) -> Callable[..., Any]:
    def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: Any = None) -> Any:
        if order != 2 or not (_AS_KERAS2.get() or compares_as_keras2()):
            return original(x, axis=axis, order=order, epsilon=epsilon)
        ops = keras.ops
        square = ops.sum(ops.square(x), axis=axis, keepdims=True)
        return x * ops.rsqrt(ops.maximum(square, _LEAST))

    return normalize


def _asking(original: Callable[..., Any]) -> Callable[..., Any]:
    def method(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if not keeps_tiny(layer):
            return original(layer, *args, **kwargs)
        with asked(_AS_KERAS2, True):
            return original(layer, *args, **kwargs)

    return method


bend(nn, "_normalize", _scaling)
bend(keras.layers.UnitNormalization, "call", _asking)
bend(keras.layers.Dot, "_merge_function", _asking)
bend(keras.layers.SpectralNormalization, "normalized_weights", _asking)
