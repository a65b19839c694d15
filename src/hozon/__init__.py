"""Hozon saves and loads Keras models in every format of the Keras guide, without TensorFlow.

Importing it loads neither Keras nor JAX; each public name loads what it needs when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hozon.errors import (
    FormatError,
    HozonError,
    MismatchError,
    MissingObjectError,
    UnsafeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from hozon import saved_model as saved_model
    from hozon.api import load_model as load_model
    from hozon.inspection import inspect as inspect

__version__ = "0.1.0"

#: Where each lazy public name lives; a module stands for itself.
_LAZY = {
    "inspect": "hozon.inspection",
    "load_model": "hozon.api",
    "saved_model": "hozon.saved_model",
}

__all__ = [
    "FormatError",
    "HozonError",
    "MismatchError",
    "MissingObjectError",
    "UnsafeError",
    "UnsupportedError",
    "inspect",
    "load_model",
    "saved_model",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hozon' has no attribute {name!r}")
    module = import_module(_LAZY[name])
    value = module if _LAZY[name] == f"hozon.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
