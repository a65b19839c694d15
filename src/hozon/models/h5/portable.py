"""Keras 2 configs in the words that Keras 3's reader of H5 files knows too.

That reader (keras ``legacy_h5_format.py``) builds Keras 3's classes from Keras 2's configs as they
are. It takes no argument that Keras 3 dropped, and finds nested layers only with their module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hozon.config.registry import builtin
from hozon.config.tagged import is_serialized, is_tagged
from hozon.typing import ConfigEntry

#: Arguments that Keras 3 lacks or misreads -> the value that goes without saying in Keras 2.
UNSAID: Mapping[str, Any] = {"time_major": False, "score_mode": "dot"}
MODELS = frozenset({"Sequential", "Functional", "Model"})
POLICIES = frozenset({"Policy", "PolicyV1"})


def portable(entry: ConfigEntry) -> dict[str, Any]:
    """A layer or model entry in the dialect of Keras 2, said so that Keras 3 reads it too."""
    config = entry.get("config")
    if not isinstance(config, Mapping):
        return dict(entry)
    made = {
        key: [portable(item) for item in value]
        if key == "layers" and _is_model(entry)
        else _value(value)
        for key, value in config.items()
        if key not in UNSAID or value != UNSAID[key]
    }
    return {**entry, "config": made}


def _is_model(entry: ConfigEntry) -> bool:
    """Whether the layers in an entry are those of a model, which are told by their place."""
    config = entry["config"]
    return isinstance(config.get("layers"), list) and (
        entry.get("class_name") in MODELS or "input_layers" in config
    )


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(item) for item in value]
    if not isinstance(value, Mapping) or is_tagged(value):
        return value
    if value.get("class_name") in POLICIES:
        return value["config"]["name"]
    if is_serialized(value):
        return _nested(value)
    return {key: _value(item) for key, item in value.items()}


def _nested(entry: ConfigEntry) -> dict[str, Any]:
    """An object within a layer: one of Keras' layers with its module.

    Keras 2's own layers pay no heed to it in H5 files; what users' classes call asks for it.
    """
    made, name = portable(entry), str(entry["class_name"])
    if name in MODELS:
        # a model of tensors by its public name: `Functional` is none in Keras 2
        named = "Sequential" if name == "Sequential" else "Model"
        return {"module": "keras", "registered_name": None, **made, "class_name": named}
    config = made["config"]
    if isinstance(config, Mapping) and "name" in config and builtin("layer", name):
        return {"module": "keras.layers", "registered_name": None, **made}
    return made
