"""Classes of users that Keras' own readers make otherwise than Hozon, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from hozon.config.layers import has_own
from hozon.config.own_graphs import COMMON, LOOSE, is_equal
from hozon.config.own_objects import is_own
from hozon.keras_private.graph import Functional
from hozon.keras_private.layers import layers_of

READERS: Mapping[str, str] = {"keras2": "TensorFlow's Keras", "keras3": "Keras 3's own reader"}
#: The arguments of a functional model, by which Keras tells classes that it may make as one.
FUNCTIONAL: Mapping[str, Sequence[str]] = {
    "keras2": ("inputs", "outputs", "name", "trainable"),
    "keras3": ("inputs", "outputs", "name"),
}


def made_by_keras(model: keras.Layer, dialect: str) -> list[str]:
    """A line for each class of the user's that the dialect's own reader makes otherwise."""
    lines = []
    for layer in layers_of(model):
        kind = type(layer)
        if is_own(kind) and has_own(kind, "__init__") and not has_own(kind, "from_config"):
            rule = _of_tensors if isinstance(layer, Functional) else _of_config
            lines += [f"{READERS[dialect]} {line}" for line in rule(layer, dialect)]
    return list(dict.fromkeys(lines))


def _of_tensors(model: Any, dialect: str) -> Iterator[str]:
    """Keras makes a functional model of a class of inputs and outputs, without its arguments."""
    kind = type(model)
    spec = inspect.getfullargspec(kind.__init__)
    any_ = spec.varargs == "args" and spec.varkw == "kwargs"
    if not any_ and tuple(spec.args[1:]) != FUNCTIONAL[dialect]:
        yield (
            f"cannot open {kind.__name__}, which takes more than inputs and outputs; it can where "
            "the constructor is __init__(self, *args, own=..., **kwargs), or with a from_config()"
        )
    elif dialect == "keras2":
        names = ", ".join(_not_at_default(model))
        if names:
            yield f"makes {kind.__name__} with the default of {names}; a from_config() tells it"


def _not_at_default(model: Any) -> Iterator[str]:
    config = model.get_config()
    for name, parameter in inspect.signature(type(model)).parameters.items():
        if parameter.kind in LOOSE or name in COMMON:
            continue
        value = config.get(name, getattr(model, name, parameter.default))
        if not is_equal(value, parameter.default):
            yield name


def _of_config(layer: Any, dialect: str) -> Iterator[str]:
    """Keras hands a class all that its config says."""
    kind = type(layer)
    known = inspect.signature(kind).parameters
    if isinstance(layer, keras.Model) or any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()
    ):
        return
    rest = ", ".join(sorted(layer.get_config().keys() - known.keys()))
    if rest:
        yield (
            f"cannot open {kind.__name__}, whose constructor takes no {rest}, which Keras hands to "
            "it; it can with **kwargs, which go to the constructor above"
        )
