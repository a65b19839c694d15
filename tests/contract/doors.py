"""Every public call that takes a path, as a function of that path alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import keras
import numpy as np

import hozon
import hozon.train
from hozon.prediction import predict

Door = Callable[[Any], Any]


@cache
def model() -> keras.Model:
    """A small model, made once; no test changes it."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")], name="m")


@cache
def source() -> str:
    """A saved model to convert."""
    import tempfile

    path = f"{tempfile.mkdtemp()}/source.keras"
    hozon.save_model(model(), path)
    return path


def checkpoint() -> hozon.train.Checkpoint:
    return hozon.train.Checkpoint(w=np.ones(2, "float32"))


READ: Mapping[str, Door] = {
    "load_model": hozon.load_model,
    "load_weights": lambda path: hozon.load_weights(model(), path),
    "inspect": hozon.inspect,
    "tensors": hozon.tensors,
    "verify": hozon.verify,
    "diff": lambda path: hozon.diff(path, source()),
    "diff with": lambda path: hozon.diff(source(), path),
    "convert": lambda path: hozon.convert(path, "never.keras"),
    "saved_model.load": hozon.saved_model.load,
    "predict": lambda path: predict(path, {}),
    "train.load_weights": lambda path: hozon.train.load_weights(model(), path),
    "Checkpoint.restore": lambda path: checkpoint().restore(path),
    "Checkpoint.read": lambda path: checkpoint().read(path),
    "load_checkpoint": hozon.train.load_checkpoint,
    "list_variables": hozon.train.list_variables,
    "load_variable": lambda path: hozon.train.load_variable(path, "w"),
}
#: Those that answer None where nothing is, as TensorFlow's do.
ASK: Mapping[str, Door] = {
    "latest_checkpoint": hozon.train.latest_checkpoint,
    "get_checkpoint_state": hozon.train.get_checkpoint_state,
}
WRITE: Mapping[str, Door] = {
    "save_model": lambda path: hozon.save_model(model(), path),
    "save_weights": lambda path: hozon.save_weights(model(), path),
    "convert": lambda path: hozon.convert(source(), path),
    "saved_model.save": lambda path: hozon.saved_model.save({"w": np.ones(2)}, path),
    "train.save_weights": lambda path: hozon.train.save_weights(model(), path),
    "Checkpoint.save": lambda path: checkpoint().save(path),
    "Checkpoint.write": lambda path: checkpoint().write(path),
    "CheckpointManager": lambda path: hozon.train.CheckpointManager(checkpoint(), path, 1),
    "BackupAndRestore": hozon.callbacks.BackupAndRestore,
    "ModelCheckpoint": hozon.callbacks.ModelCheckpoint,
}
