"""The moving variance of pictures, as Keras 2's BatchNormalization keeps it.

Keras 2 normalizes inputs of rank 4 and 5 in one op, whatever their mask, which adds the unbiased
variance of a batch to the moving one, where Keras 3 adds the biased one. Layers of files of Keras 2
are marked to go on so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from hozon.keras_private.bends import bend
from hozon.keras_private.layers import layers_of

_MARK = "hozon_unbiased_variance"
_RANKS = (4, 5)


def keep_unbiased_variance(layer: keras.Layer) -> None:
    """Mark a layer of a file of Keras 2, and those in it, where they normalize batches."""
    for inside in layers_of(layer):
        if isinstance(inside, keras.layers.BatchNormalization):
            object.__setattr__(inside, _MARK, True)


def keeps_unbiased_variance(layer: keras.Layer) -> bool:
    """Whether this layer is marked."""
    return bool(getattr(layer, _MARK, False))


def _calling(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(layer: keras.Layer, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not keeps_unbiased_variance(layer) or len(inputs.shape) not in _RANKS:
            return original(layer, inputs, training=training, mask=mask)
        if not training or not layer.trainable or layer.renorm:
            return original(layer, inputs, training=training)
        kept = layer.moving_variance * layer.momentum
        outputs = original(layer, inputs, training=training)
        biased = layer.moving_variance - kept
        layer.moving_variance.assign(kept + biased * _correction(layer, inputs))
        return outputs

    return call


def _correction(layer: keras.Layer, inputs: Any) -> Any:
    """What a biased variance is multiplied with to be unbiased."""
    axis = layer.axis % len(inputs.shape)
    others = [size for at, size in enumerate(inputs.shape) if at != axis]
    if all(isinstance(size, int) for size in others):
        count = 1
        for size in others:
            count *= size
        return count / max(count - 1, 1)
    axes = [at for at in range(len(inputs.shape)) if at != axis]
    number = keras.ops.sum(keras.ops.ones_like(inputs, dtype="float32"), axis=axes)
    return number / keras.ops.maximum(number - 1.0, 1.0)


bend(keras.layers.BatchNormalization, "call", _calling)
