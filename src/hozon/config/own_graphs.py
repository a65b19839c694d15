"""Configs of models of the user's classes: whether they say what makes the model again.

Keras' own config of a functional model whose constructor is not that of `keras.Model` has no graph.
And where a class has no ``get_config``, what Keras writes in its place are the defaults of the
constructor, whatever the model was made with.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from hozon.config.layers import has_own, is_made_of_tensors
from hozon.keras_private.graph import Functional, plain_twin
from hozon.keras_private.layers import layers_of
from hozon.typing import Config

LOOSE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: What every model takes, or says in its graph.
COMMON = frozenset({"name", "dtype", "trainable", "autocast", "inputs", "outputs", "layers"})


def complete_graph(layer: keras.Layer, config: Config) -> None:
    """Put its graph into the config of a functional model that is made of inputs and outputs.

    Raises NotImplementedError for a model whose config would make another one.
    """
    kind = type(layer)
    other = [name for name, said in _untold(layer) if said is False]
    if other:
        raise NotImplementedError(
            f"{kind.__name__} has no get_config that tells {', '.join(other)}"
        )
    own = isinstance(layer, Functional) and has_own(kind, "__init__")
    if own and "layers" not in config and not has_own(kind, "from_config") and _was_given(kind):
        config.update({**plain_twin(layer).get_config(), **config})


def defaults_only(model: keras.Layer) -> list[str]:
    """A line for each model inside of one, itself included, that configs tell by its defaults."""
    lines = []
    for layer in layers_of(model):
        names = [name for name, said in _untold(layer) if said is None]
        if names:
            lines.append(
                f"{layer.name}: {type(layer).__name__} has no get_config, so it is made again with "
                f"the defaults of {', '.join(names)}"
            )
    return lines


def arguments_by_default(model: keras.Layer) -> list[str]:
    """The optional arguments that nothing tells of classes in a model that was made by its config.

    With each the model inside, itself included, whose constructor took the default.
    """
    return [f"{name} of {layer.name}" for layer in layers_of(model) for name, _ in _own(layer)]


def _untold(layer: keras.Layer) -> Iterator[tuple[str, bool | None]]:
    """The arguments of a model's constructor that no ``get_config`` tells.

    With each whether the model has it at its default, as far as an attribute of the name tells.
    """
    for name, default in _own(layer):
        if default is inspect.Parameter.empty:
            yield name, False
        elif name not in vars(layer):
            yield name, None
        elif not is_equal(vars(layer)[name], default):
            yield name, False


def _own(layer: keras.Layer) -> Iterator[tuple[str, Any]]:
    """The arguments that a model's class takes beside every model's, if it has no `get_config`."""
    kind = type(layer)
    if not isinstance(layer, keras.Model) or not has_own(kind, "__init__"):
        return
    if has_own(kind, "get_config") or has_own(kind, "from_config"):
        return
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind not in LOOSE and name not in COMMON:
            yield name, parameter.default


def is_equal(value: Any, default: Any) -> bool:
    """Whether an argument is surely at its default."""
    plain = (str, int, float, bool, type(None))
    return value is default or (isinstance(value, plain) and value == default)


def _was_given(kind: type) -> bool:
    """Whether inputs and outputs come from outside and not from the constructor itself."""
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(kind).parameters
    loose = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values())
    return is_made_of_tensors(kind) and (loose or "inputs" in parameters)
