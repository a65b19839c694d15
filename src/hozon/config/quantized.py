"""Layers that are quantized inside of layers of users' classes, which no config of Keras tells.

The entry of such a layer says under ``quantized``, by the attributes that lead to them, what their
own configs would say of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config import safety
from hozon.config.frozen import untold_inside
from hozon.config.objects import ObjectReader, no_layers
from hozon.config.own_objects import is_own
from hozon.config.registry import Registry
from hozon.errors import UnsupportedError
from hozon.keras_private.layers import layers_inside
from hozon.keras_private.paths import saveables

POLICY, CONFIG = "dtype", "quantization_config"


def quantized_inside(layer: Any) -> dict[str, Any]:
    """What the configs of quantized layers would say that a layer of a user's class holds."""
    if not isinstance(layer, keras.Layer) or not is_own(type(layer)):
        return {}
    if not any(map(_mode, layers_inside(layer))):
        return {}
    return {
        path: {
            POLICY: keras.saving.serialize_keras_object(inner.dtype_policy),
            CONFIG: keras.saving.serialize_keras_object(getattr(inner, CONFIG, None)),
        }
        for path, inner in untold_inside(layer).items()
        if _mode(inner)
    }


def _mode(layer: keras.Layer) -> str | None:
    """How a layer itself is quantized."""
    mode: str | None = getattr(layer, "quantization_mode", None)
    return mode if getattr(layer, "_is_quantized", False) else None


def quantize_as_told(layer: keras.Layer, told: Mapping[str, Any], registry: Registry) -> None:
    """`quantize_inside` for a layer that was made without an entry."""
    safety.check(told, safety.Policy(frozenset(registry.custom)))
    require_all(layer, quantize_inside(layer, told, ObjectReader(registry, no_layers)))


def require_all(layer: Any, left: Mapping[str, Any]) -> None:
    """Raise UnsupportedError for layers that do not exist yet."""
    if left:
        raise UnsupportedError(
            f"{', '.join(left)} of {layer.name!r} is quantized, and does not exist yet",
            feature="quantized layers that a class makes when it is called",
            record=layer.name,
            instead="make the model by its own code, quantize it, and load the weights",
        )


def quantize_inside(
    layer: Any, told: Mapping[str, Any], objects: ObjectReader
) -> Mapping[str, Any]:
    """Quantize what an entry says, or let it be made so when it is built.

    Returns what it says of layers that do not exist yet.
    """
    held = dict(saveables(layer))
    left = {path: said for path, said in told.items() if path not in held}
    for path, said in told.items():
        inner = held.get(path)
        if not isinstance(inner, keras.Layer) or not isinstance(said, Mapping):
            continue
        policy, config = objects.dtype(said.get(POLICY)), objects.value(said.get(CONFIG))
        if inner.built:
            inner.quantize(policy.quantization_mode, config=config)
        else:
            inner.quantization_config = config
            inner.dtype_policy = policy
    return left
