"""Saved configs made ready to build: what the rest of the file knows better is put right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from hozon.config.nodes import SHARED
from hozon.config.text_layers import TEXT_LAYERS
from hozon.config.upgrade import MODELS, is_model_config, short_name
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects
from hozon.typing import Config, ConfigEntry


def config_of(objects: KerasObjects, node: KerasNode) -> Config:
    """``{"class_name": ..., "config": ...}`` of an object that was saved with a config."""
    named = _with_names(objects, node, node.config or {})
    return {"class_name": node.class_name, "config": _without_files(named)}


def with_shared_nodes(objects: KerasObjects, node: KerasNode, config: Config) -> Config | None:
    """The config of a chain of layers in which the places of one object have its number.

    Keras' own numbers count anew in each functional model, so they tell nothing of what such models
    share with the chain around them. None where nothing is shared, where the file does not tell
    which object each entry is, or for a functional model, whose own numbers hold throughout.
    """
    entries = config["config"].get("layers")
    if "input_layers" in config["config"] or not isinstance(entries, list):
        return None
    made: Config = _without_numbers(config)
    pairs = _pairs(objects, node, made["config"])
    counts = Counter(other.node for _, other in pairs or ())
    if all(count == 1 for count in counts.values()):
        return None
    for entry, other in pairs or ():
        if counts[other.node] > 1:
            entry[SHARED] = other.node + 1
    return made


def _without_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_numbers(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _without_numbers(item) for key, item in value.items() if key != SHARED}


def _pairs(
    objects: KerasObjects, node: KerasNode, config: Config
) -> list[tuple[Config, KerasNode]] | None:
    """The entries of a model's layers with their objects, those of models in it too."""
    entries = [e for e in config["layers"] if e.get("class_name") != "InputLayer"]
    nodes = [n for n in objects.layers(node.node) if not n.is_input]
    if [e.get("class_name") for e in entries] != [n.class_name for n in nodes]:
        return None
    found: list[tuple[Config, KerasNode]] = []
    for entry, other in zip(entries, nodes, strict=True):
        found.append((entry, other))
        if "layers" in entry["config"]:
            inside = _pairs(objects, other, entry["config"])
            if inside is None:
                return None
            found += inside
    return found


def without_classes(
    config: ConfigEntry, is_known: Callable[[str], bool]
) -> tuple[dict[str, Any], list[str]]:
    """A model's config in which classes of models that nobody has are Keras' own; their names.

    Such a class was made of inputs and outputs, or by adding layers, as its config says.
    """
    inner = config.get("config")
    if not is_model_config(inner):
        return dict(config), []
    assert isinstance(inner, Mapping)
    parts = [
        without_classes(entry, is_known) if isinstance(entry, Mapping) else (entry, [])
        for entry in inner["layers"]
    ]
    absent = [name for _, names in parts for name in names]
    made = {**config, "config": {**inner, "layers": [entry for entry, _ in parts]}}
    name = str(config["class_name"])
    if short_name(name) not in MODELS and not is_known(name):
        absent.append(name)
        made["class_name"] = "Functional" if "input_layers" in inner else "Sequential"
    return made, absent


def _with_names(objects: KerasObjects, node: KerasNode, config: ConfigEntry) -> dict[str, Any]:
    """A model's config in which layers that were saved without a config have their names."""
    entries = config.get("layers")
    if not isinstance(entries, list):
        return dict(config)
    nodes = [n for n in objects.layers(node.node) if not n.is_input]
    layers = [e for e in entries if isinstance(e, dict) and e.get("class_name") != "InputLayer"]
    found = dict(zip(map(id, layers), nodes, strict=False)) if len(layers) == len(nodes) else {}
    return {**config, "layers": [_with_name(objects, e, found.get(id(e))) for e in entries]}


def _with_name(objects: KerasObjects, entry: Any, node: KerasNode | None) -> Any:
    inner = entry.get("config") if isinstance(entry, dict) else None
    if node is None or not isinstance(inner, dict) or node.class_name != entry["class_name"]:
        return entry
    if "layers" in inner:
        return {**entry, "config": _with_names(objects, node, inner)}
    return {**entry, "config": {"name": node.name, **inner}}


def _without_files(config: Any) -> Any:
    """A config in which lookup layers name no file for their vocabulary, which is in a table."""
    if isinstance(config, (list, tuple)):
        return [_without_files(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    plain = {key: _without_files(value) for key, value in config.items()}
    inner = plain.get("config")
    if isinstance(inner, dict) and plain.get("class_name") in TEXT_LAYERS:
        plain["config"] = {k: v for k, v in inner.items() if not _names_file(k, v)}
    return plain


def _names_file(key: str, value: Any) -> bool:
    return key == "vocabulary" and isinstance(value, str)
