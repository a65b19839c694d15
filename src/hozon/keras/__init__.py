"""Keras 3's namespace with the save-and-load behaviour of the Keras guide.

``from hozon import keras`` is the explicit opt-in: it replaces the few methods that `hooks` lists,
for existing objects too, and `restore` puts Keras' own back; `opted_in` does both around a block.
``import hozon`` alone changes nothing. Everything that is not replaced is Keras' own.

Example:
    >>> from hozon import keras
    >>> model.save("my_model")                    # a directory: a SavedModel
    >>> keras.models.load_model("my_model")
    >>> model.save_weights("ckpt").format
    'tf'
"""

from __future__ import annotations

from typing import Any

from hozon import callbacks as _callbacks
from hozon import layers as _text
from hozon.config import serialization as _config
from hozon.keras.hooks import load_model as _load
from hozon.keras.hooks import load_weights as _load_weights
from hozon.keras.hooks import save as _save
from hozon.keras.hooks import save_weights as _save_weights
from hozon.keras.namespace import Namespace, register
from hozon.keras.opting import opt_in, opted_in, restore
from hozon.keras_private import keras as _keras
from hozon.models import architectures as _architectures

__all__ = ["opted_in", "restore"]

_deserializers = {"serialize": _config.serialize, "deserialize": _config.deserialize}
_registry = {
    "custom_object_scope": _config.custom_object_scope,
    "CustomObjectScope": _config.custom_object_scope,
    "register_keras_serializable": _config.register_serializable,
}

models = Namespace(
    _keras.models,
    load_model=_load,
    save_model=_save,
    model_from_json=_architectures.model_from_json,
    clone_model=_architectures.clone_model,
)
saving = Namespace(
    _keras.saving,
    load_model=_load,
    save_model=_save,
    load_weights=_load_weights,
    save_weights=_save_weights,
    **_registry,
)
utils = Namespace(_keras.utils, **_registry)
callbacks = Namespace(
    _keras.callbacks,
    ModelCheckpoint=_callbacks.ModelCheckpoint,
    BackupAndRestore=_callbacks.BackupAndRestore,
)
layers = Namespace(
    _keras.layers,
    **_deserializers,
    **{name: getattr(_text, name) for name in _text.__all__},
)
losses, metrics, optimizers, initializers, regularizers, constraints = (
    Namespace(getattr(_keras, name), **_deserializers)
    for name in (
        "losses",
        "metrics",
        "optimizers",
        "initializers",
        "regularizers",
        "constraints",
    )
)

register(
    models,
    saving,
    utils,
    callbacks,
    layers,
    losses,
    metrics,
    optimizers,
    initializers,
    regularizers,
    constraints,
)
opt_in(lasting=True)


def __getattr__(name: str) -> Any:
    return getattr(_keras, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_keras)})
