"""What is to be written is held against what its reader will look for, before it is written.

The reader's own rules are what is asked: the config is built, by the classes that the model has
now, and the record's weights are paired with the variables of what comes of it. Nothing is
initialized, no value is read, and nothing is left of it. What is of Keras' classes alone is known
to come back: of its models, only the users' layers are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from hozon.config.build import build_layer
from hozon.config.own_objects import REFUSALS, own_objects
from hozon.config.registry import builtin
from hozon.config.tagged import is_serialized
from hozon.config.text_layers.handed import text_layers_handed
from hozon.config.upgrade import MODELS
from hozon.errors import MismatchError, MissingObjectError, UnsupportedError
from hozon.keras_private.aside import made_aside
from hozon.keras_private.graph import call_alike, functional_of, symbolic_arguments
from hozon.keras_private.layers import layers_inside, layers_of
from hozon.keras_private.values import deferred_initializers
from hozon.models.assignment import Assignment
from hozon.models.text.vocabularies import lend_vocabularies
from hozon.record import ModelRecord, StateGroup
from hozon.typing import ConfigEntry

Part = tuple[Any, Mapping[str, Any]]


def require_readable(
    model: keras.Model,
    record: ModelRecord,
    state: Callable[[Any], Sequence[StateGroup]],
    pair: Callable[[Any, ModelRecord], Assignment],
    form: str,
) -> None:
    """Refuse a record that its reader could not make the model of again.

    Args:
        model: what is to be written.
        record: what is to be written of it, with a config.
        state: what the form's writer writes of a layer's weights.
        pair: what the form's reader pairs weights with variables by.
        form: what people call it, with its article.

    Raises:
        UnsupportedError: the model's classes do not take what their configs say, or make other
            variables of it.
    """
    own = own_objects(model)
    if not own:
        return
    for layer, entry in users_parts(model, record.config or {}):
        groups = record.state if layer is model else tuple(state(layer))
        try:
            _make_again(layer, replace(record, config=entry, state=groups), own, pair)
        except MissingObjectError:  # what else the user has to give cannot be known from the model
            return
        except REFUSALS as error:
            names = sorted({value.__name__ for value in own.values() if isinstance(value, type)})
            raise UnsupportedError(
                f"{form} would not be readable: made again from its config, the model is refused: "
                f"{error}",
                feature=", ".join(names) or type(model).__name__,
                instead="a get_config() that says all that a class is made with, and a "
                "from_config() that takes it; or a SavedModel, or hozon.save_weights and the "
                "model's own code",
            ) from error


def _make_again(
    layer: keras.Layer,
    record: ModelRecord,
    own: Mapping[str, Any],
    pair: Callable[[Any, ModelRecord], Assignment],
) -> None:
    with made_aside(), deferred_initializers(), text_layers_handed():
        again = build_layer(record.config or {}, custom_objects=own, dialect=record.dialect)
        if record.assets:
            lend_vocabularies(layer, again)
        if symbolic_arguments(layer) is not None:
            call_alike(again, layer)
        left = pair(again, record).report.unexpected
    if left:
        raise MismatchError("variables would find no place", mismatches=left)
    if len(again.weights) != len(layer.weights):
        raise MismatchError(
            f"{layer.name!r} has {len(layer.weights)} variables and would have "
            f"{len(again.weights)}: what it shares would come back several times"
        )


def users_parts(model: keras.Model, config: ConfigEntry) -> list[Part]:
    """The layers with users' classes or functions in a model of Keras', and their entries.

    The model itself where they cannot be looked at one by one: where it is of a class of its own,
    or they share layers with what is beside them.
    """
    try:
        parts = list(_parts(model, config))
    except LookupError:
        return [(model, config)]
    users = {id(layer) for layer, _ in parts}
    inside = [id(inner) for layer, _ in parts for inner in layers_inside(layer)]
    beside = {
        id(inner)
        for layer in _leaves(model)
        if id(layer) not in users
        for inner in layers_of(layer)
    }
    alone = len(users) == len(parts) and len(set(inside)) == len(inside)
    return parts if alone and not beside & set(inside) else [(model, config)]


def _parts(model: keras.Model, entry: ConfigEntry) -> Iterator[Part]:
    """Raises KeyError where a layer has no entry of its own, or was never called on symbols."""
    if not _is_of_layers(model):
        if own_objects(model):
            if symbolic_arguments(model) is None:
                raise KeyError(model.name)
            yield model, entry
        return
    entries = {item["config"]["name"]: item for item in entry["config"]["layers"]}
    for layer in model.layers:
        yield from _parts(layer, entries[layer.name])


def _leaves(model: keras.Model) -> Iterator[Any]:
    if not _is_of_layers(model):
        yield model
        return
    for layer in model.layers:
        yield from _leaves(layer)


def _is_of_layers(layer: keras.Layer) -> bool:
    """Whether a layer is a model of Keras' own classes, made of layers."""
    known = type(layer).__module__.startswith("keras.")
    return known and isinstance(layer, keras.Model) and functional_of(layer) is not None


def held_by_own(value: Any, owner: str | None = None) -> Iterator[tuple[str, str]]:
    """The layers and models of Keras in the configs of users' layers: class of both.

    Args:
        value: a config, or a part of it.
        owner: the user's class that it is a part of.
    """
    if is_serialized(value):
        name = str(value["class_name"])
        if name in MODELS or builtin("layer", name):
            if owner is not None and "name" in (value.get("config") or ()):
                yield owner, name
            owner = None
        elif "inbound_nodes" in value or "name" in (value.get("config") or ()):
            owner = name
    if isinstance(value, dict):
        for key, item in value.items():
            yield from held_by_own(item, None if key == "layers" else owner)
    elif isinstance(value, list):
        for item in value:
            yield from held_by_own(item, owner)
