"""What a model was called on, in its config, where Keras keeps no shapes of it: text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.keras_private.called import called_on
from hozon.keras_private.graph import functional_of

#: Among what a config records for building: the arguments of the model's first call, by name.
CALLED_ON = "called_on"
#: What is recorded of a tensor.
PARTS = {"shape", "dtype"}


def text_arguments(layer: keras.Layer) -> dict[str, Any] | None:
    """What a model that was called on text was called on; None for others, which Keras builds."""
    called = called_on(layer) if isinstance(layer, keras.Model) else None
    if not called or functional_of(layer) is not None:
        return None
    leaves = keras.tree.flatten(dict(called))
    if not any(leaf is not None and leaf.dtype == "string" for leaf in leaves):
        return None
    return {name: _recorded(value) for name, value in called.items()}


def _recorded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _recorded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_recorded(item) for item in value]
    if value is None:
        return None
    return {"shape": [None, *value.shape[1:]][: len(value.shape)], "dtype": value.dtype}


def symbols(recorded: Any) -> Any:
    """What `text_arguments` recorded, as symbolic tensors."""
    if isinstance(recorded, Mapping) and set(recorded) == PARTS:
        return keras.KerasTensor(tuple(recorded["shape"]), recorded["dtype"])
    if isinstance(recorded, Mapping):
        return {key: symbols(item) for key, item in recorded.items()}
    return [symbols(item) for item in recorded] if isinstance(recorded, list) else recorded
