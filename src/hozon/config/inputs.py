"""The input of a Sequential model: saved without an InputLayer, or with one of another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hozon.typing import ConfigEntry

INTEGER_INPUT = frozenset({"Embedding"})


def first_input(entry: ConfigEntry, build_shape: Any = None) -> dict[str, Any] | None:
    """An InputLayer entry for what the first layer says of its input, None if it says nothing."""
    shape, dtype, name = _declared(entry)
    if shape is None:
        shape = build_shape
    if not isinstance(shape, (list, tuple)):
        return None
    config = {
        "batch_shape": list(shape),
        "dtype": dtype,
        "sparse": False,
        "name": f"{name}_input".replace("/", "_"),
    }
    return {"class_name": "InputLayer", "config": config}


def with_text_input(
    layers: Sequence[Mapping[str, Any]], build_shape: Any = None
) -> list[Mapping[str, Any]]:
    """The layers of a Keras 3 config; where the first one reads text, its input is of strings.

    The input that Keras makes of itself has the type of what the layer gives.
    """
    first = _first(layers)
    if first is None or not _reads_text(first):
        return list(layers)
    if layers[0]["class_name"] == "InputLayer":
        config = {**layers[0]["config"], "dtype": "string"}
        return [{**layers[0], "config": config}, *layers[1:]]
    if not isinstance(build_shape, (list, tuple)):
        return list(layers)
    config = {"batch_shape": list(build_shape), "dtype": "string", "name": None}
    return [{"class_name": "InputLayer", "config": config}, *layers]


def _first(layers: Any) -> Mapping[str, Any] | None:
    """The first layer that is no input, in nested Sequential models too."""
    for entry in layers if isinstance(layers, list) else ():
        if entry.get("class_name") == "InputLayer":
            continue
        config = entry.get("config")
        inner = config.get("layers") if isinstance(config, Mapping) else None
        nested = str(entry.get("class_name")) == "Sequential"
        found: Mapping[str, Any] | None = _first(inner) if nested else entry
        return found
    return None


def _reads_text(entry: ConfigEntry) -> bool:
    """Whether a layer takes nothing but strings."""
    name = str(entry.get("class_name"))
    return name == "TextVectorization" or (
        name == "StringLookup" and not (entry.get("config") or {}).get("invert")
    )


def _declared(entry: ConfigEntry) -> tuple[Any, Any, str]:
    """Shape and dtype of the input, from the first layer or the first layer inside it."""
    config = entry.get("config")
    layers = config if isinstance(config, list) else None
    if isinstance(config, Mapping):
        name = str(config.get("name") or entry.get("name") or "sequential")
        shape = config.get("batch_input_shape") or config.get("batch_shape")
        if shape is not None:
            dtype = "int32" if entry.get("class_name") in INTEGER_INPUT else _dtype(config)
            return shape, dtype, name
        layers = config.get("layers")
    if isinstance(layers, list) and layers and isinstance(layers[0], Mapping):
        return _declared(layers[0])
    return None, None, "sequential"


def _dtype(config: ConfigEntry) -> Any:
    """An input dtype: not the policy of a mixed-precision layer."""
    dtype = config.get("input_dtype") or config.get("dtype")
    return dtype if isinstance(dtype, str) and not dtype.startswith("mixed") else None
