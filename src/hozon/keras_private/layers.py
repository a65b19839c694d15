"""Layers: what serializing asks for, and those inside a model."""

from __future__ import annotations

from typing import Any

import keras


def initialized(obj: Any) -> None:
    """Give a layer whose class never called ``super().__init__()`` what serializing asks for."""
    if isinstance(obj, keras.Layer) and "_build_shapes_dict" not in vars(obj):
        object.__setattr__(obj, "_build_shapes_dict", None)


def layers_of(model: keras.Model) -> list[Any]:
    """A model and all layers inside of it."""
    found: list[Any] = model._flatten_layers()
    return found


def take_anything(layer: Any) -> None:
    """Let a layer get its arguments as they were given: not cast to floats of one size, and
    arguments that are no tensors too."""
    layer._convert_input_args = False
    layer._allow_non_tensor_positional_args = True
