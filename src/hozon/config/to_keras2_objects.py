"""The small objects of Keras 3 configs in Keras 2's dialect, and the two forms it has of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hozon.config.dialects.rules import Config
from hozon.config.dialects.to_keras2 import (
    ACTIVATION_LAYERS,
    ACTIVATIONS,
    INITIALIZER_NEWER,
    INTERNAL,
    LAYERS,
    NEW_ACTIVATIONS,
    NEW_INITIALIZERS,
)
from hozon.config.dialects.values import MODULES, kind_of_key
from hozon.config.tagged import ARRAYS, SEQUENCES, is_serialized
from hozon.errors import FormatError, UnsupportedError
from hozon.typing import ConfigEntry

FUNCTIONS = frozenset({"function", "Function"})
POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy", "Policy"})
MIXED = "mixed_"


@dataclass(frozen=True, slots=True)
class Form:
    """How objects are written: with ``module`` and ``registered_name``, or without."""

    tags: bool = False

    def entry(self, module: str, class_name: str, config: Any) -> Config:
        """An object of a class of Keras 2."""
        if not self.tags:
            return {"class_name": class_name, "config": config}
        registered = class_name if class_name in INTERNAL else None
        return {
            "module": INTERNAL.get(class_name, module),
            "class_name": class_name,
            "config": config,
            "registered_name": registered,
        }

    def custom(self, source: ConfigEntry, config: Any) -> Config:
        """An object of the user's class, which its registered name finds."""
        registered, name = source.get("registered_name"), str(source["class_name"])
        if not self.tags:
            return {"class_name": registered or name, "config": config}
        return {
            "module": source.get("module"),
            "class_name": name.rsplit(">", 1)[-1],
            "config": config,
            "registered_name": registered or name,
        }

    def function(self, name: str, module: Any = None) -> Any:
        """A function of the user's."""
        if not self.tags:
            return name
        return {
            "module": module or "builtins",
            "class_name": "function",
            "config": name.rsplit(">", 1)[-1],
            "registered_name": name,
        }


class ObjectWriter:
    """Writes what layers hold; `layers` writes a layer that stands where an activation does."""

    def __init__(
        self, form: Form, layers: Callable[[Mapping[str, Any]], Config], changes: list[str]
    ) -> None:
        self.form = form
        self._layers = layers
        self._changes = changes

    def of_key(self, key: str, value: Any) -> Any:
        """The value of a key of a layer's config."""
        if key == "dtype":
            return self.write("policy", value)
        kind = kind_of_key(key)
        if kind is not None and (is_serialized(value) or isinstance(value, str)):
            return self.write(kind, value)
        return self.value(value)

    def of_custom_key(self, key: str, value: Any) -> Any:
        """The value of a key of a user's config: only what is Keras' own is translated."""
        return self.write("policy", value) if key == "dtype" else self.value(value)

    def write(self, kind: str, value: Any) -> Any:
        """An object of a kind; None stays None."""
        if value is None:
            return None
        if kind == "policy":
            return self._policy(value)
        if kind == "activation":
            return self._activation(value)
        if not is_serialized(value):
            return self.plain(value)
        return self._object(kind, value)

    def value(self, value: Any) -> Any:
        """Any value, objects in it by what their module says they are."""
        if is_serialized(value):
            kind = _kind(value)
            if kind == "layer":
                return self._layers(value)
            return self.plain(value) if kind is None else self.write(kind, value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def plain(self, value: Any) -> Any:
        """A value with tuples and arrays as lists, and seed generators as their seed."""
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        if not is_serialized(value):
            return value
        tag, config = value["class_name"], value.get("config")
        if tag in SEQUENCES:
            return self.plain(value.get("items", config) or [])
        if tag in ARRAYS and isinstance(config, Mapping):
            return config.get("value")
        if tag == "SeedGenerator" and isinstance(config, Mapping):
            return config.get("seed")
        return dict(value)

    def dtype_name(self, value: Any) -> Any:
        """A dtype by name, also where Keras 3 wrote a policy."""
        return value["config"].get("name") if is_serialized(value) else value

    def _object(self, kind: str, value: Mapping[str, Any]) -> Any:
        if value["class_name"] in FUNCTIONS:
            return self._function(value)
        config = value.get("config")
        if not isinstance(config, Mapping):
            raise FormatError(f"{value['class_name']} has no config: {value!r:.100}")
        made = {key: self.value(item) for key, item in config.items()}
        if not _is_keras(value):
            return self.form.custom(value, made)
        name = str(value["class_name"])
        if name in NEW_INITIALIZERS:
            raise UnsupportedError(f"Keras 2 has no initializer {name}", feature=name)
        for key in INITIALIZER_NEWER if kind == "initializer" else ():
            if made.pop(key, None) is not None:
                raise UnsupportedError(f"{name} has no {key} in Keras 2", feature=f"{name}({key})")
        return self.form.entry(MODULES[kind], name, made)

    def _function(self, value: Mapping[str, Any]) -> Any:
        registered, name = value.get("registered_name"), value.get("config")
        known = registered if isinstance(registered, str) and ">" in registered else name
        if not isinstance(known, str):
            raise FormatError(f"a function has no name: {value!r:.100}")
        if known in ACTIVATIONS or known in NEW_ACTIVATIONS:
            return self._activation(known)
        return self.form.function(known, value.get("module"))

    def _activation(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._activation_name(value)
        if not is_serialized(value):
            raise FormatError(f"{value!r:.100} is no serialized activation")
        if value["class_name"] in FUNCTIONS:
            return self._function(value)
        if value["class_name"] == "__lambda__":
            raise UnsupportedError(
                "an activation is a lambda; Keras 2 would need its bytecode",
                feature="lambda",
                instead="a named function",
            )
        return self._layers(value)

    def _activation_name(self, name: str) -> Any:
        if name in NEW_ACTIVATIONS:
            raise UnsupportedError(f"activation {name!r}: {NEW_ACTIVATIONS[name]}", feature=name)
        if name in ACTIVATION_LAYERS:
            layer, config = ACTIVATION_LAYERS[name]
            self._changes.append(f"activation {name!r} is written as the layer {layer}")
            return self.form.entry("keras.layers", layer, {"name": name, **config})
        return ACTIVATIONS.get(name, name)

    def _policy(self, value: Any) -> Any:
        name = value
        if is_serialized(value):
            if value["class_name"] not in POLICIES:
                raise UnsupportedError(
                    f"Keras 2 has no dtype policy {value['class_name']}",
                    feature=value["class_name"],
                )
            name = (value.get("config") or {}).get("name")
        if not isinstance(name, str):
            return name
        if not name.startswith(MIXED):
            return name
        return self.form.entry("keras.mixed_precision", "Policy", {"name": name})


def _is_keras(value: Mapping[str, Any]) -> bool:
    """Whether an object's class is Keras' own."""
    module = value.get("module")
    if isinstance(module, str):
        return module == "keras" or module.startswith("keras.")
    registered = value.get("registered_name")
    return ">" not in value["class_name"] and registered in (None, value["class_name"])


def _is_layer(value: Mapping[str, Any]) -> bool:
    """Whether an entry is a model's or a layer's, of whatever class, by what its config says."""
    config = value.get("config")
    told = config if isinstance(config, Mapping) else {}
    return isinstance(told.get("layers"), list) or {"name", "trainable", "dtype"} <= told.keys()


def _kind(value: Mapping[str, Any]) -> str | None:
    """The kind of an object that stands under any key, None for tagged values."""
    module = value.get("module")
    if isinstance(module, str):
        if value["class_name"] in POLICIES:
            return "policy"
        if _is_layer(value):
            return "layer"
        return next((kind for kind, home in MODULES.items() if module == home), None)
    return "layer" if value["class_name"] in LAYERS and "config" in value else None
