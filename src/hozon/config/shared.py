"""Layers that stand in several places of a saved model, found in its config.

Keras marks the entry of an object that it serializes again by a ``shared_object_id``, but mostly
loses the mark of the first place, which was copied by then, and of models whose layers it marks.
So a number that stands alone is that of the one earlier entry that says the very same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import keras

from hozon.config.entries import is_model, name_of
from hozon.config.nodes import SHARED
from hozon.config.tagged import is_serialized
from hozon.config.upgrade import LAYER_KEYS
from hozon.typing import ConfigEntry

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A layer, its entry, and the model that it is directly or by other layers in."""

    layer: Any
    entry: Entry
    within: Any


def with_shared(config: ConfigEntry, changes: list[str]) -> Entry:
    """A Keras 3 entry in which all places of a shared layer have its number.

    `changes` receives a line for each layer whose other place cannot be told.
    """
    if f'"{SHARED}"' not in json.dumps(config, default=str):
        return dict(config)
    made = deepcopy(dict(config))
    earlier: list[Entry] = []
    for entry in _layers(made):
        number = entry.get(SHARED)
        if number is not None and all(e.get(SHARED) != number for e in earlier):
            _find(entry, number, earlier, changes)
        elif number is None and is_model(entry):
            _join(entry, earlier)
        earlier.append(entry)
    return made


def with_all_shared(config: ConfigEntry) -> Entry | None:
    """An entry in which all places that say the same of a layer have one number; None without any.

    tf_keras marks few of them in its archives, but keeps the weights of a layer at one place only.
    """
    made = deepcopy(dict(config))
    places: dict[str, list[Entry]] = {}
    for entry in _layers(made):
        places.setdefault(_said(entry), []).append(entry)
    shared = [entries for entries in places.values() if len(entries) > 1]
    for number, entries in enumerate(shared, 1):
        for entry in entries:
            entry[SHARED] = number
    return made if shared else None


def say_the_same(config: Mapping[str, Any]) -> bool:
    """Whether two places of a config say the very same of a layer, and are not marked as one."""
    said = Counter(_said(entry) for entry in _layers(dict(config)) if entry.get(SHARED) is None)
    return any(count > 1 for count in said.values())


def places_by_what_is_said(layer: Any, config: Entry) -> list[list[Place]]:
    """The places of a live model and its config that say the very same of a layer."""
    found: dict[str, list[Place]] = {}
    for place in _places(layer, config, None):
        found.setdefault(_said(place.entry), []).append(place)
    return [places for places in found.values() if len(places) > 1]


def _places(layer: Any, entry: Entry, within: Any) -> Iterator[Place]:
    config = entry.get("config")
    if not isinstance(config, dict):
        return
    if isinstance(layer, keras.Model) and isinstance(config.get("layers"), list):
        entries = {name_of(item): item for item in config["layers"] if is_serialized(item)}
        inside = [(inner, entries[inner.name]) for inner in layer.layers if inner.name in entries]
        within = layer
    else:
        attributes = ((getattr(layer, key, None), value) for key, value in config.items())
        inside = [pair for held, said in attributes for pair in held_layers(held, said)]
    for inner, said in inside:
        yield Place(inner, said, within)
        yield from _places(inner, said, within)


def _find(entry: Entry, number: Any, earlier: list[Entry], changes: list[str]) -> None:
    said = _said(entry)
    same = [e for e in earlier if e.get(SHARED) is None and _said(e) == said]
    if len(same) == 1:
        same[0][SHARED] = number
    elif same:
        changes.append(
            f"layer {name_of(entry)!r} is shared with one of {len(same)} that say the same; it "
            "comes back as one of its own"
        )


def _join(entry: Entry, earlier: list[Entry]) -> None:
    """A model all of whose layers are those of an earlier one is that one."""
    numbers = _numbers(entry)
    if None in numbers or not numbers:
        return
    said = _said(entry)
    for other in earlier:
        if is_model(other) and _numbers(other) == numbers and _said(other) == said:
            entry[SHARED] = other.setdefault(SHARED, f"{SHARED}/{numbers}")
            return


def _numbers(entry: Entry) -> list[Any]:
    layers = entry["config"]["layers"]
    return [item.get(SHARED) for item in layers if item.get("class_name") != "InputLayer"]


def _layers(entry: Entry) -> Iterator[Entry]:
    """Every layer entry below one, those inside of others before them, as Keras writes them."""
    config = entry.get("config")
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        if key == "layers" or key in LAYER_KEYS:
            for item in value if isinstance(value, list) else [value]:
                if is_serialized(item):
                    yield from _layers(item)
                    if item["class_name"] != "InputLayer":
                        yield item


def _said(entry: Entry) -> str:
    """What an entry says of its layer, whatever it is called on."""
    kept = [entry["class_name"], name_of(entry), _unmarked(entry.get("config"))]
    return json.dumps(kept, sort_keys=True, default=str)


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items() if key != SHARED}
    return [_unmarked(item) for item in value] if isinstance(value, (list, tuple)) else value


def held_layers(held: Any, said: Any) -> Iterator[tuple[Any, Entry]]:
    """The layers in the attribute of a layer that its config says under the same name."""
    if isinstance(held, (list, tuple)) and isinstance(said, list) and len(held) == len(said):
        for inner, entry in zip(held, said, strict=True):
            yield from held_layers(inner, entry)
    elif isinstance(held, Mapping) and isinstance(said, dict) and not is_serialized(said):
        for key in held.keys() & said.keys():
            yield from held_layers(held[key], said[key])
    elif isinstance(held, keras.Layer) and isinstance(said, dict) and is_serialized(said):
        yield held, said
