"""Models that a program makes of text layers: they take strings from their first use on.

Keras' trainer and calls refuse strings on JAX before any layer sees them. So the entries of models
look at what they are given: with strings for a model that reads text, `with_strings` first extends
the model itself. Anything else goes straight to Keras' own method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers import (
    HashedCrossing,
    Hashing,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from hozon.config.text_layers.functional import StringFunctional
from hozon.keras_private.bends import bend
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import layers_of
from hozon.models.text.strings import StringInputs, is_text, with_strings

#: The layers that make numbers of text.
READERS = (HashedCrossing, Hashing, IntegerLookup, StringLookup, TextVectorization)
#: The methods by which data enters a model.
ENTRIES = (
    "__call__",
    "fit",
    "evaluate",
    "predict",
    "train_on_batch",
    "test_on_batch",
    "predict_on_batch",
)


def _entering(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def enter(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("x", kwargs.get("inputs"))
        if _takes_text(model, name) or not holds_text(given) or not reads_text(model):
            return original(model, *args, **kwargs)
        _declare_input(model, given)
        return getattr(with_strings(model), name)(*args, **kwargs)

    return enter


for _name in ENTRIES:
    bend(keras.Model, _name, partial(_entering, _name))


def reads_text(model: keras.Model) -> bool:
    """Whether a layer of a model makes numbers of text, or its inputs are text."""
    inputs = getattr(model, "inputs", None) or ()
    return any(isinstance(layer, READERS) for layer in layers_of(model)) or any(
        getattr(each, "dtype", None) == "string" for each in keras.tree.flatten(inputs)
    )


def _takes_text(model: keras.Model, entry: str) -> bool:
    """Whether a model is extended: as a whole, or to be called within one that is."""
    return isinstance(model, StringInputs) or (
        entry == "__call__" and isinstance(functional_of(model), StringFunctional)
    )


def _declare_input(model: keras.Model, given: Any) -> None:
    """Give a Sequential model that begins on the host its input of strings.

    Keras itself would make one of the type of what the first layer gives, or none.
    """
    if not isinstance(model, keras.Sequential) or functional_of(model) is not None:
        return
    layers = list(model.layers)
    if not layers or not getattr(layers[0], "host", False) or not is_text(given):
        return
    shape = np.shape(given)[1:]
    for _ in layers:
        model.pop(rebuild=False)
    for layer in (keras.Input(shape, dtype="string"), *layers):
        model.add(layer, rebuild=False)
    model.build((None, *shape))


def holds_text(value: Any) -> bool:
    """Whether data is text, or a structure with text in it."""
    if isinstance(value, Mapping):
        return any(map(holds_text, value.values()))
    if isinstance(value, (list, tuple)) and not is_text(value):
        return any(map(holds_text, value))
    return is_text(value)
