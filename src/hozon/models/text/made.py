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

from hozon.config.text_layers import (
    HashedCrossing,
    Hashing,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from hozon.keras_private.bends import bend
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
    def enter(model: Any, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("x", kwargs.get("inputs"))
        if isinstance(model, StringInputs) or not holds_text(given) or not reads_text(model):
            return original(model, *args, **kwargs)
        return getattr(with_strings(model), name)(*args, **kwargs)

    return enter


for _name in ENTRIES:
    bend(keras.Model, _name, partial(_entering, _name))


def reads_text(model: Any) -> bool:
    """Whether a layer of a model makes numbers of text, or its inputs are text."""
    inputs = getattr(model, "inputs", None) or ()
    return any(isinstance(layer, READERS) for layer in layers_of(model)) or any(
        getattr(each, "dtype", None) == "string" for each in keras.tree.flatten(inputs)
    )


def holds_text(value: Any) -> bool:
    """Whether data is text, or a structure with text in it."""
    if isinstance(value, Mapping):
        return any(map(holds_text, value.values()))
    if isinstance(value, (list, tuple)) and not is_text(value):
        return any(map(holds_text, value))
    return is_text(value)
