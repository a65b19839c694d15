"""Hozon saves and loads Keras models in every format of the Keras guide, without TensorFlow.

Importing it loads neither Keras nor JAX; each public name loads what it needs when first used.
Where nobody chose a backend for Keras, it chooses JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hozon.backend import choose
from hozon.errors import (
    ArgumentError,
    ForeignFileError,
    FormatError,
    HozonError,
    MismatchError,
    MissingBackendError,
    MissingFileError,
    MissingObjectError,
    MissingSignatureError,
    SaveError,
    UnknownFormatError,
    UnsafeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from hozon import callbacks as callbacks
    from hozon import keras as keras
    from hozon import layers as layers
    from hozon import limits as limits
    from hozon import saved_model as saved_model
    from hozon import tf as tf
    from hozon import train as train
    from hozon.api import fast_on_cpu as fast_on_cpu
    from hozon.api import load_model as load_model
    from hozon.api import load_weights as load_weights
    from hozon.api import save_model as save_model
    from hozon.api import save_weights as save_weights
    from hozon.comparison import diff as diff
    from hozon.config.serialization import custom_object_scope as custom_object_scope
    from hozon.config.serialization import deserialize as deserialize
    from hozon.config.serialization import model_to_json as model_to_json
    from hozon.config.serialization import register_serializable as register_serializable
    from hozon.config.serialization import serialize as serialize
    from hozon.conversion import convert as convert
    from hozon.inspection import inspect as inspect
    from hozon.models.architectures import clone_model as clone_model
    from hozon.models.architectures import model_from_json as model_from_json
    from hozon.page import report as report
    from hozon.stored_tensors import tensors as tensors
    from hozon.verification import verify as verify

__version__ = "0.1.0"

#: Where each lazy public name lives; a module stands for itself.
_LAZY = {
    "callbacks": "hozon.callbacks",
    "clone_model": "hozon.models.architectures",
    "convert": "hozon.conversion",
    "custom_object_scope": "hozon.config.serialization",
    "deserialize": "hozon.config.serialization",
    "diff": "hozon.comparison",
    "fast_on_cpu": "hozon.api",
    "inspect": "hozon.inspection",
    "keras": "hozon.keras",
    "layers": "hozon.layers",
    "limits": "hozon.limits",
    "load_model": "hozon.api",
    "load_weights": "hozon.api",
    "model_from_json": "hozon.models.architectures",
    "model_to_json": "hozon.config.serialization",
    "register_serializable": "hozon.config.serialization",
    "report": "hozon.page",
    "save_model": "hozon.api",
    "save_weights": "hozon.api",
    "saved_model": "hozon.saved_model",
    "serialize": "hozon.config.serialization",
    "tensors": "hozon.stored_tensors",
    "tf": "hozon.tf",
    "train": "hozon.train",
    "verify": "hozon.verification",
}

__all__ = [
    "ArgumentError",
    "ForeignFileError",
    "FormatError",
    "HozonError",
    "MismatchError",
    "MissingBackendError",
    "MissingFileError",
    "MissingObjectError",
    "MissingSignatureError",
    "SaveError",
    "UnknownFormatError",
    "UnsafeError",
    "UnsupportedError",
    "callbacks",
    "clone_model",
    "convert",
    "custom_object_scope",
    "deserialize",
    "diff",
    "fast_on_cpu",
    "inspect",
    "keras",
    "layers",
    "limits",
    "load_model",
    "load_weights",
    "model_from_json",
    "model_to_json",
    "register_serializable",
    "report",
    "save_model",
    "save_weights",
    "saved_model",
    "serialize",
    "tensors",
    "tf",
    "train",
    "verify",
]

choose()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        from hozon.errors import did_you_mean

        near = "" if name.startswith("_") else did_you_mean(name, __all__)
        raise AttributeError(f"module 'hozon' has no attribute {name!r}{near}")
    module = import_module(_LAZY[name])
    value = module if _LAZY[name] == f"hozon.{name}" else getattr(module, name)
    globals()[name] = value
    if name == "keras" and not _is_imported():
        module.opt_in(lasting=False)  # `hozon.keras`, which may begin `hozon.keras.opted_in()`
    return value


def _is_imported() -> bool:
    """Whether ``from hozon import name`` asks for a name, rather than ``hozon.name``."""
    from inspect import currentframe

    frame = currentframe()
    for _ in range(2):
        frame = frame and frame.f_back
    return frame is not None and frame.f_globals.get("__name__") == "importlib._bootstrap"


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
