"""Layers that stand in several places of an H5 file, told by the weights of each place.

Neither Keras marks all of them in an H5 file's config, but both write the weights of a layer at
each of its places, under the names of its variables. So places that say the very same of a layer,
and whose weights have the same names and the same values, are places of one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import count
from typing import Any

import keras
import numpy as np

from hozon.config.build import build_model
from hozon.config.nodes import SHARED
from hozon.config.shared import Place, places_by_what_is_said, say_the_same
from hozon.keras_private.aside import made_aside
from hozon.keras_private.values import deferred_initializers
from hozon.models.assignment import Assignment
from hozon.models.assignment.layers import weights_of
from hozon.record import ModelRecord

#: A tensor's names in the groups of the file, and its value.
Stored = tuple[tuple[str, ...], np.ndarray[Any, Any]]


def with_shared_layers(
    record: ModelRecord,
    custom_objects: Mapping[str, Any] | None,
    pair: Callable[[Any, ModelRecord], Assignment],
) -> tuple[ModelRecord, list[str]]:
    """A record whose config marks the places of one layer, and what the file leaves open.

    Args:
        record: of an H5 file, with a config.
        custom_objects: classes and functions by name.
        pair: what pairs the weights with the variables of a model made of the record's config.
    """
    if not say_the_same(record.config or {}):
        return record, []
    config = deepcopy(dict(record.config or {}))
    with made_aside(), deferred_initializers():
        model = build_model(config, custom_objects=custom_objects, dialect=record.dialect)
        assignment = pair(model, record)
    lines: list[str] = []
    numbers = count(1)
    stored = _Stored(record, assignment)
    for places in places_by_what_is_said(model, config):
        for layers in _one_each(places, stored, lines):
            number = f"{SHARED}/{next(numbers)}"
            for place in layers:
                place.entry[SHARED] = number
    if is_chain(config):
        _drop_counted(config)
    return replace(record, config=config), list(dict.fromkeys(lines))


def is_chain(config: Mapping[str, Any]) -> bool:
    """Whether a model is a chain of layers, where Keras' own numbers count anew in each graph."""
    inner = config.get("config")
    return isinstance(inner, list) or (isinstance(inner, Mapping) and "input_layers" not in inner)


def _drop_counted(value: Any) -> None:
    """Take out the numbers that Keras gave: of places that are no others' as well."""
    if isinstance(value, dict):
        if isinstance(value.get(SHARED), int):
            del value[SHARED]
        for item in value.values():
            _drop_counted(item)
    elif isinstance(value, list):
        for item in value:
            _drop_counted(item)


class _Stored:
    """What a file holds of layers."""

    def __init__(self, record: ModelRecord, assignment: Assignment) -> None:
        plain = {f"{g.name}/{name}": name for g in record.state for name in g.tensors}
        self._found = {
            id(leaf.variable): (tuple(plain.get(name, name) for name in pair.stored), pair.tensor)
            for pair in assignment.pairs
            if (leaf := pair.leaf) and hasattr(leaf, "variable")
        }

    def of(self, layer: Any) -> list[Stored]:
        """Names and values of a layer's variables."""
        found = [self._found.get(id(variable)) for variable in weights_of(layer)]
        return [(names, tensor.read()) for names, tensor in filter(None, found)]


def _one_each(places: Sequence[Place], stored: _Stored, lines: list[str]) -> list[list[Place]]:
    """Places that say the same, by the layer that they are places of."""
    found: list[list[Place]] = []
    for place in places:
        one = next((group for group in found if _are_one(group[0], place, stored, lines)), None)
        if one is None:
            found.append([place])
        else:
            one.append(place)
    return found


def _are_one(first: Place, second: Place, stored: _Stored, lines: list[str]) -> bool:
    if first.layer is second.layer:
        return True
    pairs = list(zip(stored.of(first.layer), stored.of(second.layer), strict=False))
    if not pairs or any(names != others or not _same(a, b) for (names, a), (others, b) in pairs):
        return False
    told = any(np.ptp(value) > 0 for (_, value), _ in pairs if value.size)
    if told and not _are_copies(first.within, second.within):
        return True
    lines.append(
        f"layer {first.layer.name!r} stands in {first.within.name!r} and {second.within.name!r} "
        "with the same weights, and the file does not tell whether it is one layer: it comes back "
        "as two, which train by themselves"
    )
    return False


def _same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def _are_copies(one: keras.Model, other: keras.Model) -> bool:
    """Whether models under two names have layers of the same names throughout."""
    return one.name != other.name and _weighted(one) == _weighted(other)


def _weighted(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers if weights_of(layer)}
