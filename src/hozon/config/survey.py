"""All that a config needs and nobody has, found before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hozon.config.dialects.values import SHORT_NAMES, kind_of_key
from hozon.config.entries import is_functional, is_of_keras
from hozon.config.registry import Registry
from hozon.config.tagged import TAGS, is_serialized
from hozon.config.upgrade import LAYER_KEYS, MODELS, short_name
from hozon.errors import UnsupportedError
from hozon.typing import ConfigEntry

#: How KerasHub's registered names begin, and those of the libraries that it has taken in.
HUB = ("keras_hub>", "keras_nlp>", "keras_cv>")
#: Class names that are no objects to look up.
STRUCTURE = (
    TAGS
    | {
        "__keras_tensor__",
        "function",
        "Function",
        "SeedGenerator",
        "InputLayer",
        "DTypePolicy",
        "Lambda",
    }
    | MODELS
)


def missing_names(config: ConfigEntry, registry: Registry, made: Collection[str]) -> list[str]:
    """Names in a Keras 3 config that the registry does not know, each once, in order.

    Layers named in `made` are made elsewhere and not looked into; neither are custom classes,
    which read their own configs, unless they are models that are made of layers.
    """
    return list(dict.fromkeys(_missing(config, registry, made)))


def hub_names(value: Any) -> dict[str, str]:
    """The classes of KerasHub that a config names, and how Python calls each."""
    if isinstance(value, Mapping):
        found = {key: name for item in value.values() for key, name in hub_names(item).items()}
        registered = str(value.get("registered_name", ""))
        if registered.startswith(HUB) and "class_name" in value:
            room = "models" if ".models." in str(value.get("module", "")) else "layers"
            found[str(value["class_name"])] = f"keras_hub.{room}.{short_name(registered)}"
        return found
    if isinstance(value, list):
        return {key: name for item in value for key, name in hub_names(item).items()}
    return {}


def _missing(entry: Any, registry: Registry, made: Collection[str]) -> Iterator[str]:
    """The missing names of one layer entry."""
    if not is_serialized(entry) or _name(entry) in made:
        return
    class_name, config = entry["class_name"], entry.get("config")
    registered = entry.get("registered_name")
    if not is_of_keras(entry) and registry.custom_class(class_name, registered) is not None:
        inside = config["layers"] if is_functional(entry) else ()
        for layer in inside:
            yield from _missing(layer, registry, made)
        return
    found = registry.of_entry(entry)
    if short_name(class_name) not in STRUCTURE and found is None:
        yield class_name
        return
    layers = config if isinstance(config, list) else (config or {}).get("layers", ())
    for layer in layers if isinstance(layers, list) else ():
        yield from _missing(layer, registry, made)
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from _missing_value(key, value, registry, made)


def _missing_value(
    key: str, value: Any, registry: Registry, made: Collection[str]
) -> Iterator[str]:
    if key in LAYER_KEYS:
        for item in value if isinstance(value, list) else [value]:
            yield from _missing(item, registry, made)
        return
    kind = kind_of_key(key)
    if kind is None or value is None:
        return
    if kind == "activation":
        yield from _missing_activation(value, registry, made)
        return
    name = value["class_name"] if is_serialized(value) else value
    if not isinstance(name, str) or name in TAGS:
        return
    registered = value.get("registered_name") if is_serialized(value) else None
    known = SHORT_NAMES.get(kind, {}).get(name, name)
    if name not in ("function", "Function") and registry.find(kind, known, registered) is None:
        yield name


def _missing_activation(value: Any, registry: Registry, made: Collection[str]) -> Iterator[str]:
    if is_serialized(value) and value["class_name"] not in ("function", "Function"):
        yield from _missing(value, registry, made)
        return
    name = value.get("config") if is_serialized(value) else value
    if not isinstance(name, str):
        raise UnsupportedError(f"{value!r:.100} is no serialized activation")
    if registry.function("activation", name) is None:
        yield name


def _name(entry: ConfigEntry) -> str:
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, Mapping) else None
    return str(entry.get("name") or inner or "")
