"""Keras 2 configs in the words that Keras 3's reader of H5 files knows too.

That reader (keras ``legacy_h5_format.py``) builds Keras 3's classes from Keras 2's configs as they
are. It takes no argument that Keras 3 dropped, and finds nested layers only with their module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Arguments that Keras 3 lacks or misreads -> the value that goes without saying in Keras 2.
UNSAID: Mapping[str, Any] = {"time_major": False, "score_mode": "dot"}
#: Keys whose value is a layer or a list of layers.
LAYERS = frozenset({"layer", "backward_layer", "cell", "cells"})
MODELS = frozenset({"Sequential", "Functional", "Model"})
POLICIES = frozenset({"Policy", "PolicyV1"})


def portable(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A layer or model entry in the dialect of Keras 2, said so that Keras 3 reads it too."""
    config = entry.get("config")
    if not isinstance(config, Mapping):
        return dict(entry)
    made = {
        key: _value(key, value)
        for key, value in config.items()
        if key not in UNSAID or value != UNSAID[key]
    }
    return {**entry, "config": made}


def _value(key: str, value: Any) -> Any:
    if key == "layers" and isinstance(value, list):
        return [portable(item) for item in value]
    if key in LAYERS and isinstance(value, list):
        return [_nested(item) for item in value]
    if key in LAYERS and isinstance(value, Mapping):
        return _nested(value)
    if isinstance(value, Mapping) and value.get("class_name") in POLICIES:
        return value["config"]["name"]
    return value


def _nested(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A layer within another one, with its module, to which Keras 2 pays no heed in H5 files."""
    made, name = portable(entry), str(entry.get("class_name"))
    if ">" in name:
        return made
    module = "keras" if name in MODELS else "keras.layers"
    return {"module": module, "registered_name": None, **made}
