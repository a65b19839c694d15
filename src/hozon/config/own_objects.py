"""The classes and functions of users that a model is made of, by the names that configs say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import keras

from hozon.errors import HozonError
from hozon.keras_private.layers import layers_of

#: Where classes and functions that need not be given are.
KNOWN = ("keras.", "hozon.", "builtins.")
#: What users' constructors, `from_config` and `build` may raise.
REFUSALS = (
    HozonError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def own_objects(model: keras.Layer) -> dict[str, Any]:
    """The user's classes and functions in a model or layer, as `custom_objects` gives them.

    A function of a Lambda layer without a name of its own is given by that of the layer.
    """
    found: dict[str, Any] = {}
    for layer in layers_of(model):
        for value in filter(is_own, (type(layer), *held_by(layer))):
            found.setdefault(value.__name__, value)
        if isinstance(layer, keras.layers.Lambda):
            found[layer.name] = layer.function
    return found


def held_by(layer: keras.Layer) -> list[Any]:
    """The functions, and the classes of objects with a config, in a layer's attributes."""
    return list(_held(vars(layer)))


def is_own(value: Any) -> bool:
    """Whether a class or function is the user's."""
    return not f"{value.__module__}.".startswith(KNOWN)


def _held(value: Any, depth: int = 0) -> Iterator[Any]:
    """The user's functions, and the classes of objects with a config, in a layer's attributes."""
    if depth > 8:  # no config is that deep
        return
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _held(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _held(item, depth + 1)
    elif isinstance(value, FunctionType):
        yield value
    elif isinstance(value, keras.Layer):  # among the layers inside
        return
    elif hasattr(value, "get_config") and not isinstance(value, type):
        yield type(value)
        yield from _held(getattr(value, "__dict__", {}), depth + 1)
