"""One layer's config to a live layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.dialects.layers import COMMON, LAYERS
from hozon.config.dtypes import policy_name
from hozon.config.names import ALIASES
from hozon.config.objects import ObjectReader, call_with, is_serialized, kind_of_key
from hozon.config.registry import UNSAFE, Registry, missing
from hozon.errors import HozonError, UnsafeError

#: Keys whose value is a layer, or a list of layers.
LAYER_KEYS = ("layer", "backward_layer", "forward_layer", "cell", "cells")
Factory = Callable[[dict[str, Any]], Any]


class LayerReader:
    """Builds layers from configs.

    `factories` maps layer names to functions of the config that make the layer instead; a model
    inside a model is built by `model_builder`.
    """

    def __init__(
        self,
        registry: Registry,
        factories: Mapping[str, Factory] | None,
        model_builder: Callable[[dict[str, Any]], Any],
        changes: list[str],
    ) -> None:
        self.registry = registry
        self.factories = dict(factories or {})
        self.objects = ObjectReader(registry)
        self.model_builder = model_builder
        self.changes = changes

    def read(self, entry: Mapping[str, Any]) -> Any:
        """The layer of ``{"class_name": ..., "config": ...}``.

        Raises MissingObjectError for an unknown class, UnsafeError for one that would run code
        of the file, UnsupportedError for what Keras 3 cannot say.
        """
        class_name = str(entry["class_name"])
        config = dict(entry.get("config") or {})
        name = str(config.get("name") or entry.get("name") or "")
        if name in self.factories:
            return self.factories[name](config)
        if self.registry.is_custom(class_name):
            return self.registry.find("layer", class_name).from_config(config)
        if class_name in ("Sequential", "Functional", "Model"):
            return self.model_builder({"class_name": class_name, "config": config})
        return self._builtin(class_name, name, config)

    def _builtin(self, class_name: str, name: str, config: dict[str, Any]) -> Any:
        if class_name.rsplit(">", 1)[-1] in UNSAFE:
            raise UnsafeError(
                f"layer {name!r} is a {class_name}, which runs code or opens paths of the file; "
                "pass a layer of yours in custom_objects instead"
            )
        found = self.registry.find("layer", class_name)
        if found is None:
            raise missing(class_name)
        return call_with(found, self.arguments(class_name, name, config), f"layer {name!r}")

    def arguments(self, class_name: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
        """Constructor arguments: keys of the dialect translated, nested objects built."""
        short = class_name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]
        for rule in (*COMMON, *LAYERS.get(ALIASES.get(short, short), ())):
            rule(name, config, self.changes)
        trainable = config.pop("trainable", True)
        arguments = {key: self._value(key, value) for key, value in config.items()}
        arguments["dtype"] = policy_name(arguments.get("dtype"))
        if "name" in arguments:
            arguments["name"] = valid_name(arguments["name"], self.changes)
        if not trainable and short not in LAYERS_WITHOUT_TRAINABLE:
            arguments["trainable"] = False
        return arguments

    def _value(self, key: str, value: Any) -> Any:
        if key in LAYER_KEYS:
            if isinstance(value, list):
                return [self.read(item) for item in value]
            return self.read(value) if is_serialized(value) else value
        kind = kind_of_key(key)
        if kind is not None and (is_serialized(value) or isinstance(value, str)):
            return self.objects.read(kind, value)
        return value


#: Layers whose constructor in Keras 3 refuses ``trainable``.
LAYERS_WITHOUT_TRAINABLE = frozenset({"Discretization", "SpatialDropout1D", "SpatialDropout2D",
                                      "SpatialDropout3D", "InputLayer"})  # fmt: skip


def valid_name(name: Any, changes: list[str]) -> Any:
    """A layer name that Keras 3 takes: it refuses "/"."""
    if isinstance(name, str) and "/" in name:
        renamed = name.replace("/", "_")
        changes.append(f"layer {name!r} is named {renamed!r}: Keras 3 refuses '/' in names")
        return renamed
    return name


def why_not(reader: LayerReader, entry: Mapping[str, Any]) -> str | None:
    """Why a layer cannot be built from its config, None if it can."""
    try:
        reader.read(entry)
    except (HozonError, ValueError, TypeError):
        return str(entry["class_name"])
    return None


def input_tensor(config: Mapping[str, Any], changes: list[str]) -> Any:
    """A ``keras.Input`` of an InputLayer's config."""
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    return keras.Input(
        batch_shape=tuple(shape) if shape is not None else None,
        dtype=policy_name(config.get("dtype")),
        sparse=bool(config.get("sparse", False)) or None,
        name=valid_name(config.get("name"), changes),
    )
