"""What layers were first called on: of that Keras keeps the shapes, and not the dtypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.keras_private.bends import bend

#: Attribute of layers: the dtypes of the tensors in each argument of their first call.
_MARK = "hozon_called_on"


def called_on(layer: keras.Layer) -> Mapping[str, Any] | None:
    """The dtypes of a layer's first call, by argument, each a structure of them.

    None of one that was not called, or only before this module was imported.
    """
    found: Mapping[str, Any] | None = vars(layer).get(_MARK)
    return found


def note_call(layer: keras.Layer, given: Mapping[str, Any]) -> None:
    """Say what a layer was first called on, by argument, where no call has said it yet."""
    if _MARK not in vars(layer):
        object.__setattr__(layer, _MARK, keras.tree.map_structure(_dtype, dict(given)))


def _building(original: Callable[..., None]) -> Callable[..., None]:
    def maybe_build(layer: keras.Layer, call_spec: Any) -> None:
        note_call(layer, call_spec.tensor_arguments_dict)
        original(layer, call_spec)

    return maybe_build


def _dtype(value: Any) -> str | None:
    dtype = getattr(value, "dtype", None)
    return None if dtype is None else str(keras.backend.standardize_dtype(dtype))


bend(keras.Layer, "_maybe_build", _building)
