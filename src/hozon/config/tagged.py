"""Values that JSON has no form for, which Keras wrote as tagged dictionaries.

Keras 2 wrote ``{"class_name": "__tuple__", "items": [...]}``, ``TensorShape``, ``TypeSpec``;
Keras 3 ``__tuple__``, ``__numpy__``, ``__tensor__``, ``__bytes__``, ``__slice__`` and others
(keras/src/saving/serialization_lib.py). Only plain data is made of them; a tag that means code
is refused in `safety`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hozon.errors import FormatError
from hozon.typing import ConfigEntry

SEQUENCES = frozenset({"__tuple__", "tuple", "TensorShape"})
ARRAYS = frozenset({"__numpy__", "__tensor__", "ndarray"})
TAGS = SEQUENCES | ARRAYS | {"__bytes__", "__ellipsis__", "__slice__", "__typespec__", "TypeSpec"}


def is_serialized(value: Any) -> bool:
    """Whether a value is an object, ``{"class_name": ..., ...}``."""
    return isinstance(value, Mapping) and isinstance(value.get("class_name"), str)


def is_tagged(value: Any) -> bool:
    """Whether a value is a tagged one."""
    return is_serialized(value) and value["class_name"] in TAGS


def plain(value: Any) -> Any:
    """A config value with its tagged parts as plain values, at any depth."""
    if is_tagged(value):
        return _untag(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _untag(value: Mapping[str, Any]) -> Any:
    tag, config = value["class_name"], value.get("config")
    if tag in SEQUENCES:
        items = value.get("items", config)
        return tuple(plain(item) for item in (items or ()))
    if tag == "__ellipsis__":
        return ...
    if tag == "__bytes__":
        return str(_config(value).get("value", "")).encode("latin-1")
    if tag == "__slice__":
        parts = _config(value)
        return slice(*(plain(parts.get(key)) for key in ("start", "stop", "step")))
    if tag in ARRAYS:
        return _array(value)
    return None


def _config(value: Mapping[str, Any]) -> ConfigEntry:
    config = value.get("config")
    if not isinstance(config, Mapping):
        raise FormatError(f"{value['class_name']} holds no config: {value!r:.100}")
    return config


def _array(value: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    config = value.get("config")
    holder = config if isinstance(config, Mapping) else value
    try:
        return np.asarray(holder["value"], dtype=holder.get("dtype") or "float32")
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"a serialized array is damaged: {error}") from error
