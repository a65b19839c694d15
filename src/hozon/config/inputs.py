"""The input of a Sequential model that was saved without an InputLayer (Keras 1 to 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INTEGER_INPUT = frozenset({"Embedding"})


def first_input(entry: Mapping[str, Any], build_shape: Any = None) -> dict[str, Any] | None:
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


def _declared(entry: Mapping[str, Any]) -> tuple[Any, Any, str]:
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


def _dtype(config: Mapping[str, Any]) -> Any:
    """An input dtype: not the policy of a mixed-precision layer."""
    dtype = config.get("input_dtype") or config.get("dtype")
    return dtype if isinstance(dtype, str) and not dtype.startswith("mixed") else None
