"""One of several processes: saves a model that is laid out over all, and loads it again.

``python -m tests.collective.worker ADDRESS COUNT INDEX FOLDER TASK`` prints what is wrong as JSON.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import hozon
from hozon.graphs._jax import coordination
from hozon.keras_private.values import give_value
from tests.collective.disk import FAR, register

Task = Callable[[Path], list[str]]
X = np.random.default_rng(1).normal(size=(8, 8)).astype("float32")


def mesh(*shape: int) -> keras.distribution.DeviceMesh:
    devices = np.array(jax.devices()).reshape(shape)
    return keras.distribution.DeviceMesh(shape, ["batch", "model"], devices)


def made(columns: int, rows: bool = False) -> keras.Model:
    """A compiled model; kernels are cut into columns, or rows, over all processes."""
    layout = keras.distribution.LayoutMap(mesh(4 // columns, columns))
    layout[".*kernel"] = ("model", None) if rows else (None, "model")
    distribution = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    with distribution.scope():
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [
                keras.Input((8,), name="x"),
                keras.layers.Dense(16, name="d1", activation="relu"),
                keras.layers.Dense(4, name="d2"),
            ]
        )
        model.compile(keras.optimizers.Adam(0.01), "mse")
        model.optimizer.build(model.trainable_variables)
    for number, variable in enumerate([*model.weights, *model.optimizer.variables[2:]]):
        give_value(variable, value_of(number, variable.shape))
    return model


def emptied(model: keras.Model) -> keras.Model:
    """The model with zeros for values."""
    for variable in [*model.weights, *model.optimizer.variables[2:]]:
        give_value(variable, np.zeros(variable.shape, "float32"))
    return model


def value_of(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """What variable `number` is to hold."""
    count = int(np.prod(shape))
    return (number + np.arange(count, dtype="float32") / 100).reshape(shape)


def wrongs(model: keras.Model, of: str, optimizer: bool) -> list[str]:
    """Which of this process' parts of variables do not hold what they should."""
    found = []
    slots = model.optimizer.variables[2:] if optimizer else []
    for number, variable in enumerate([*model.weights, *slots]):
        wanted = value_of(number, tuple(variable.shape))
        parts = variable.value.addressable_shards
        if not all(np.array_equal(part.data, wanted[part.index]) for part in parts):
            found.append(f"{of}: {variable.path}")
    return found


#: What is saved, and whether `load_weights` takes the optimizer from it.
MODELS = {"m": True, "m.keras": True, "m.h5": False}
WEIGHTS = {
    "w": True,
    "w.weights.h5": True,
    "w.h5": False,
    "w.safetensors": False,
    "w.weights.json": True,
}


def save(folder: Path) -> list[str]:
    """Everything, on the disk and far away, twice."""
    register(folder / "far")
    model = made(4)
    for _ in range(2):
        for base in (str(folder), FAR):
            for name in MODELS:
                hozon.save_model(model, f"{base}/{name}")
            for name in WEIGHTS:
                hozon.save_weights(model, f"{base}/{name}")
    manager = hozon.train.CheckpointManager(
        hozon.train.Checkpoint(model=model), folder / "run", max_to_keep=2
    )
    for _ in range(3):
        manager.save()
    left = coordination().key_value_dir_get_bytes("hozon/0")
    return trained(folder) + [f"words of the first save are kept: {len(left)}"] * bool(left)


def trained(folder: Path) -> list[str]:
    """A run in which both callbacks save, and one that goes on with it."""
    parallel = keras.distribution.DataParallel(devices=jax.devices(), auto_shard_dataset=False)
    with parallel.scope():
        model = keras.Sequential(
            [keras.Input((8,)), keras.layers.Dense(4, kernel_initializer="ones")]
        )
        model.compile("adam", "mse")
        begun: list[int] = []
        note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: begun.append(epoch))
        for epochs in (1, 2):
            callbacks = [
                hozon.callbacks.ModelCheckpoint(folder / "epochs" / "{epoch}.keras"),
                hozon.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False),
                note,
            ]
            model.fit(X, X[:, :4], batch_size=4, epochs=epochs, verbose=0, callbacks=callbacks)
    return [] if begun == [0, 1] else [f"epochs {begun}"]


def load(folder: Path) -> list[str]:
    """Everything again, onto other layouts."""
    register(folder / "far")
    found = []
    for base in (str(folder), FAR):
        for name, optimizer in {**MODELS, **WEIGHTS}.items():
            for model in (emptied(made(2, rows=True)), emptied(made(4))):
                hozon.load_weights(model, f"{base}/{name}")
                found += wrongs(model, f"{base}/{name}", optimizer)
    model = emptied(made(4))
    latest = hozon.train.latest_checkpoint(folder / "run")
    hozon.train.Checkpoint(model=model).restore(latest).assert_existing_objects_matched()
    return found + wrongs(model, "the manager's", optimizer=True)


def fail(folder: Path) -> list[str]:
    """What goes wrong in one process goes wrong in all, and the old stays."""
    register(folder / "far")
    model = made(4)
    found = []
    for base in (str(folder), FAR):
        for name in MODELS:
            found += refused(lambda p=f"{base}/{name}": full_disk(hozon.save_model, model, p))
        for name in WEIGHTS:
            found += refused(lambda p=f"{base}/{name}": full_disk(hozon.save_weights, model, p))
    return found + load(folder) + differ(folder, model)


def full_disk(save: Callable[..., Any], model: keras.Model, path: str) -> None:
    """A save while the disk of the last process is full."""
    with pytest.MonkeyPatch.context() as patch:
        if jax.process_index() == 1:
            patch.setattr(FULL[path.rpartition("/")[2] in {"m", "w"}], no_space)
        save(model, path)


#: What begins to write a form, and what writes the tensors of a checkpoint.
FULL = ("hozon.raw.staging.Staging.path", "hozon.formats.bundle.shards.Shards.add")


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refused(save: Callable[[], Any], text: str = "") -> list[str]:
    """What is wrong where a save should raise SaveError."""
    try:
        save()
    except hozon.SaveError as error:
        return [] if text in str(error) else [str(error)]
    return [f"saved, though {text or 'one process could not'}"]


def differ(folder: Path, model: keras.Model) -> list[str]:
    """Calls that do not go together."""
    path = folder / f"other{jax.process_index()}"
    found = refused(lambda: hozon.save_model(model, path), "different calls")
    with pytest.raises(hozon.UnsupportedError, match="several processes"):
        hozon.save_model(model, folder / "later", blocking=False)
    if jax.process_index() == 0:
        with hozon.limits.allowing(arrival_seconds=2):
            found += refused(lambda: hozon.save_model(model, folder / "alone"), "did not come")
    return found


TASKS: dict[str, Task] = {"save": save, "fail": fail}


def main(address: str, count: str, index: str, folder: str, task: str) -> None:
    warnings.filterwarnings("ignore")
    jax.distributed.initialize(address, int(count), int(index))
    found: Any
    try:
        found = TASKS[task](Path(folder))
    except BaseException as error:  # noqa: BLE001 - told
        import traceback

        found = [f"{type(error).__name__}: {error}", traceback.format_exc()]
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
