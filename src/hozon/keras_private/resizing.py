"""Pictures resized as in Keras 2: in float32, and then in the layer's own type.

Keras 3 resizes in the type of the pictures, and rounds those of integers. Layers of files of Keras
2 are marked to go on as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from hozon.keras_private.bends import bend
from hozon.keras_private.layers import layers_of

_MARK = "hozon_resizes_floats"


def resize_floats(layer: keras.Layer) -> None:
    """Mark a layer of a file of Keras 2, and those in it, where they resize."""
    for inside in layers_of(layer):
        if isinstance(inside, keras.layers.Resizing):
            object.__setattr__(inside, _MARK, True)


def resizes_floats(layer: keras.Layer) -> bool:
    """Whether this layer is marked."""
    return bool(getattr(layer, _MARK, False))


def _in_floats(original: Callable[..., Any]) -> Callable[..., Any]:
    def transform_images(
        layer: keras.Layer, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not resizes_floats(layer):
            return original(layer, images, transformation, training)
        wide = layer.compute_dtype if layer.interpolation == "nearest" else "float32"
        made = original(layer, layer.backend.cast(images, wide), transformation, training)
        return layer.backend.cast(made, layer.compute_dtype)

    return transform_images


bend(keras.layers.Resizing, "transform_images", _in_floats)
