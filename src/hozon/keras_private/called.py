"""What layers were first called on.

Of that Keras keeps the shapes alone, and not even these where it could not call them on symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from hozon.keras_private.bends import bend
from hozon.keras_private.layers import layers_of

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


def forget_calls(layer: keras.Layer) -> None:
    """Let the next call of a layer and of those in it be the first that is noted."""
    for inside in layers_of(layer):
        vars(inside).pop(_MARK, None)


def _building(original: Callable[..., None]) -> Callable[..., None]:
    def maybe_build(layer: keras.Layer, call_spec: Any) -> None:
        note_call(layer, _of_arrays(call_spec.arguments_dict))
        original(layer, call_spec)

    return maybe_build


def _of_arrays(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are tensors, arrays or structures of them.

    Strings are no tensors for Keras, and what stands beside them is left as NumPy has it.
    """
    leaves = {name: keras.tree.flatten(value) for name, value in given.items()}
    return {
        name: given[name]
        for name, found in leaves.items()
        if any(x is not None for x in found) and all(x is None or _is_array(x) for x in found)
    }


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _symbol(value: Any) -> keras.KerasTensor | None:
    if not _is_array(value):
        return None
    return keras.KerasTensor(tuple(value.shape), _dtype_of(value))


def _dtype_of(value: Any) -> str:
    """The name of the dtype that Keras would make of an array."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":
        return "string"
    wide = isinstance(value, np.ndarray) and value.dtype == np.float64
    return str(keras.config.floatx() if wide else keras.backend.standardize_dtype(value.dtype))


bend(keras.Layer, "_maybe_build", _building)
