"""Layers that are frozen inside of layers of users' classes, which no config of Keras tells.

The entry of such a layer names them under ``frozen``, by the attributes that lead to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from hozon.config.own_objects import REFUSALS, is_own
from hozon.config.shared import held_layers
from hozon.config.upgrade import FROZEN
from hozon.keras_private.aside import made_aside
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import layers_inside, layers_of, trainable_of
from hozon.keras_private.paths import saveables

#: Layers made of an entry, and the paths of those in them that are to be frozen.
Frozen = tuple[Any, Sequence[str]]


def frozen_inside(layer: Any) -> dict[str, Any]:
    """The frozen layers in one of a user's class that it and its config do not tell, by path."""
    if not isinstance(layer, keras.Layer) or not is_own(type(layer)):
        return {}
    # A class that never calls Keras' constructor, as one of the guide's, has no state to ask.
    if not hasattr(layer, "trainable"):
        return {}
    if all(inner.trainable for inner in layers_inside(layer)):
        return {}
    found: dict[str, Any] = {}
    for path, target in untold_inside(layer).items():
        below = any(path.startswith(f"{other}/") for other in found)
        if not target.trainable and not below:
            found[path] = target
    own = _frozen_by_class(layer) if found else frozenset()
    return {path: target for path, target in found.items() if path not in own}


def untold_inside(layer: keras.Layer) -> dict[str, keras.Layer]:
    """The layers in one of a user's class of which its config has no entry, by path."""
    if functional_of(layer) is not None:
        return {}
    told = {
        id(inner)
        for key, said in layer.get_config().items()
        for held, _ in held_layers(getattr(layer, key, None), said)
        for inner in layers_of(held)
    }
    return {
        path: target
        for path, target in saveables(layer)
        if path and isinstance(target, keras.Layer) and id(target) not in told
    }


def _frozen_by_class(layer: keras.Layer) -> frozenset[str]:
    """The layers in one of a user's class that this freezes itself where it makes them, by path."""
    try:
        with made_aside():
            again = type(layer).from_config(layer.get_config())
    except REFUSALS:  # it cannot be made so, which is told where it is to be written
        return frozenset()
    made = saveables(again)
    return frozenset(p for p, t in made if isinstance(t, keras.Layer) and not t.trainable)


def thawed_by_reading(layer: keras.Layer) -> set[int]:
    """The variables, by id, that are frozen in a layer and that Keras trains when it reads it."""
    return {
        id(variable)
        for own in layers_of(layer)
        for frozen in frozen_inside(own).values()
        for inner in layers_of(frozen)
        for variable in trainable_of(inner)
    }


def freeze(frozen: Sequence[Frozen], changes: list[str]) -> None:
    """Freeze what entries name; `changes` receives a line for what cannot be found."""
    for layer, paths in frozen:
        objects = dict(saveables(layer))
        for path in paths:
            target = objects.get(path)
            if isinstance(target, keras.Layer):
                target.trainable = False
            else:
                changes.append(f"{path} of {layer.name!r} was frozen; it does not exist yet")


class Holder(NamedTuple):
    """A layer that holds frozen ones, by their paths; and whether it trains itself."""

    name: str
    frozen: Sequence[str]
    trains: bool


def frozen_layers(config: Any) -> Iterator[Holder]:
    """The layers in a config that name frozen ones, and what they name."""
    if isinstance(config, Mapping):
        if FROZEN in config and isinstance(config.get("config"), Mapping):
            inner = config["config"]
            name = str(inner.get("name") or config.get("class_name"))
            yield Holder(name, config[FROZEN], inner.get("trainable") is not False)
        for value in config.values():
            yield from frozen_layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from frozen_layers(value)
