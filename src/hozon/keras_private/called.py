"""What layers were first called on.

Of that Keras keeps the shapes alone, and not even these where it could not call them on symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.keras_private.bends import bend

#: Attribute of layers: symbols of the tensors in each argument of their first call.
_MARK = "hozon_called_on"


def called_on(layer: keras.Layer) -> Mapping[str, Any] | None:
    """Symbols of what a layer was first called on, by argument, each a structure of them.

    None of one that was not called, or only before this module was imported.
    """
    found: Mapping[str, Any] | None = vars(layer).get(_MARK)
    return found


def note_call(layer: keras.Layer, given: Mapping[str, Any]) -> None:
    """Say what a layer was first called on, by argument, where no call has said it yet."""
    if _MARK not in vars(layer):
        object.__setattr__(layer, _MARK, keras.tree.map_structure(_symbol, dict(given)))


def _building(original: Callable[..., None]) -> Callable[..., None]:
    def maybe_build(layer: keras.Layer, call_spec: Any) -> None:
        note_call(layer, call_spec.tensor_arguments_dict)
        original(layer, call_spec)

    return maybe_build


def _symbol(value: Any) -> keras.KerasTensor | None:
    dtype = getattr(value, "dtype", None)
    return None if dtype is None else keras.KerasTensor(tuple(value.shape), str(dtype))


bend(keras.Layer, "_maybe_build", _building)
