"""Serialized objects of a Keras 3 config to live ones: initializers, activations, policies ..."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.dialects.values import SHORT_NAMES
from hozon.config.registry import Registry
from hozon.config.tagged import is_serialized, is_tagged, plain
from hozon.errors import HozonError, MissingObjectError, UnsafeError, UnsupportedError
from hozon.typing import Config, ConfigEntry

#: What stands in configs under keys that do not tell its kind.
KINDS_OF_VALUES = (
    "policy",
    "initializer",
    "regularizer",
    "constraint",
    "schedule",
    "quantization",
    "quantizer",
)
#: What Keras saves of every layer beside the arguments of its class.
OF_EVERY_LAYER = frozenset({"name", "trainable", "dtype", "batch_input_shape", "dynamic"})
FUNCTIONS = frozenset({"function", "Function"})


class ObjectReader:
    """Builds the small objects of configs through one registry.

    `layers` builds a layer that stands where an activation does.
    """

    def __init__(self, registry: Registry, layers: Callable[[Mapping[str, Any]], Any]) -> None:
        self.registry = registry
        self._layers = layers

    def read(self, kind: str, value: Any) -> Any:
        """A live object of a kind from its serialized form; None stays None."""
        if value is None or callable(value):
            return value
        if kind == "activation":
            return self.activation(value)
        if isinstance(value, str):
            value = {"class_name": value, "config": {}}
        if is_tagged(value):
            return plain(value)
        if not is_serialized(value):
            raise UnsupportedError(f"{value!r:.100} is no serialized {kind}")
        return self.build(kind, value)

    def activation(self, value: Any) -> Any:
        """An activation: a function by name, or a layer used as one."""
        if is_serialized(value) and value["class_name"] in FUNCTIONS:
            value = (
                value.get("registered_name")
                if value.get("registered_name") not in (None, "function")
                else value.get("config")
            )
        if isinstance(value, str):
            function = self.registry.function("activation", value)
            return missing(value) if function is None else function
        if is_serialized(value):
            if value["class_name"] in ("__lambda__", "Lambda"):
                raise UnsafeError("an activation is stored as Python bytecode, which is never run")
            return self._layers(value)
        raise UnsupportedError(f"{value!r:.100} is no serialized activation")

    def build(self, kind: str, value: Mapping[str, Any]) -> Any:
        """An object of a class of a kind."""
        name = SHORT_NAMES.get(kind, {}).get(value["class_name"], value["class_name"])
        if name in FUNCTIONS:
            function = self.registry.function("activation", str(value.get("config")))
            return missing(str(value.get("config"))) if function is None else function
        config = value.get("config")
        config = dict(config) if isinstance(config, Mapping) else {}
        custom = self.registry.custom_class(name, value.get("registered_name"))
        if custom is not None:
            return from_custom(custom, config, name)
        found = self.registry.find(kind, name)
        if found is None:
            return missing(name)
        if config.get("name", "") is None:
            del config["name"]
        return call_with(found, {key: self.value(item) for key, item in config.items()}, name)

    def value(self, value: Any) -> Any:
        """A value inside an object's config: plain data, a function of the caller, an object."""
        if is_serialized(value) and value["class_name"] in FUNCTIONS:
            for name in (value.get("registered_name"), value.get("config")):
                if isinstance(name, str) and name in self.registry.custom:
                    return self.registry.custom[name]
        if is_serialized(value) and value["class_name"] == "SeedGenerator":
            return call_with(keras.random.SeedGenerator, _seed(value), "SeedGenerator")
        if is_serialized(value) and not is_tagged(value):
            for kind in KINDS_OF_VALUES:
                if self.registry.find(kind, value["class_name"]) is not None:
                    return self.build(kind, value)
        return plain(value)

    def dtype(self, value: Any) -> Any:
        """A dtype policy: a name, a serialized policy, or a map of policies."""
        if not is_serialized(value):
            return value
        if value["class_name"] == "DTypePolicyMap":
            config = dict(value.get("config") or {})
            config["default_policy"] = self.dtype(config.get("default_policy"))
            parts = config.get("policy_map") or {}
            config["policy_map"] = {path: self.dtype(item) for path, item in parts.items()}
            return call_with(keras.dtype_policies.DTypePolicyMap, config, "DTypePolicyMap")
        return self.build("policy", value)


def no_layers(entry: ConfigEntry) -> Any:
    """For readers of what holds no layer: UnsafeError."""
    raise UnsafeError(f"what can hold none names a layer, {entry['class_name']}")


def _seed(value: Mapping[str, Any]) -> Mapping[str, Any]:
    config = value.get("config") or {}
    return {key: config[key] for key in ("seed", "name") if key in config}


def missing(name: str) -> Any:
    """Raise MissingObjectError for one name."""
    raise MissingObjectError(
        "the config uses a class or function that Keras does not have", names=[name]
    )


def from_custom(found: Any, config: Config, name: str) -> Any:
    """An object of the caller's class, made as the class says; or the caller's function."""
    if not hasattr(found, "from_config"):
        return found if not isinstance(found, type) else call_with(found, config, name)
    taken, rest = split(found, config)
    try:
        made = found.from_config(taken)
    except TypeError as error:
        raise UnsupportedError(
            f"{name}.from_config does not take the saved config: {error}", feature=name
        ) from error
    for key, value in rest.items():
        setattr(made, key, value)
    return made


def split(found: Any, config: ConfigEntry) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a layer class takes of a saved config, and what is said of the layer afterwards.

    Keras saves what it knows of every layer, and a constructor without ``**kwargs`` takes none of
    it.
    """
    layer = isinstance(found, type) and issubclass(found, keras.Layer)
    if not layer or not is_of_keras(found, "from_config"):
        return dict(config), {}
    parameters = inspect.signature(found).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return dict(config), {}
    taken = {k: v for k, v in config.items() if k not in OF_EVERY_LAYER or k in parameters}
    rest = {"trainable": False} if config.get("trainable") is False else {}
    return taken, {key: value for key, value in rest.items() if key not in taken}


def is_of_keras(found: type, method: str) -> bool:
    """Whether a method of a class is Keras' own."""
    defining = next(base for base in found.__mro__ if method in vars(base))
    return defining.__module__.startswith("keras.")


def call_with(function: Callable[..., Any], config: ConfigEntry, name: str) -> Any:
    """Call a class with a config; what it refuses becomes an UnsupportedError that names it."""
    try:
        return function(**config)
    except HozonError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise UnsupportedError(
            f"{name} refuses its saved arguments: {error}", feature=name
        ) from error
