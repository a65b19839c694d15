"""Saved configs made ready to build: what the rest of the file knows better is put right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hozon.config.text_layers import TEXT_LAYERS
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects


def config_of(objects: KerasObjects, node: KerasNode) -> dict[str, Any]:
    """``{"class_name": ..., "config": ...}`` of an object that was saved with a config."""
    named = _with_names(objects, node, node.config or {})
    return {"class_name": node.class_name, "config": _without_files(named)}


def _with_names(
    objects: KerasObjects, node: KerasNode, config: Mapping[str, Any]
) -> dict[str, Any]:
    """A model's config in which layers that were saved without a config have their names."""
    entries = config.get("layers")
    if not isinstance(entries, list):
        return dict(config)
    nodes = [n for n in objects.layers(node.node) if n.identifier != "_tf_keras_input_layer"]
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
