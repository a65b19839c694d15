"""The saves that are tormented, and what a reader finds after each."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import save_file

import hozon
from hozon.models.resumption import GROUP
from tests.torture.injector import Ended, Fault, run

#: How a child ends that saved; whose save was refused, before or after the new took its place; or
#: met another error.
SAVED, REFUSED, IN_PLACE, OTHER = 0, 10, 11, 12
_PLACED = re.compile(r"\S+ is in place, but ")
Content = dict[str, str]


@dataclass(frozen=True)
class Save:
    """A way to save a model below a folder, by the name that it is saved under.

    `refusal` is what it raises where the disk refuses.
    """

    name: str
    door: Callable[[keras.Model, Path], object]
    refusal: type[Exception] = hozon.SaveError

    def __call__(self, model: keras.Model, folder: Path) -> None:
        """Save the model there."""
        self.door(model, folder / self.name)

    def content(self, folder: Path) -> Content:
        """What a reader finds: each tensor by name, as a digest. Errors of the reader pass."""
        path = folder / self.name
        assert hozon.verify(path).ok, f"{path} is damaged"
        tensors = hozon.tensors(path)
        return {name: _digest(np.asarray(tensors[name])) for name in tensors}


SAVES = [
    Save("m", hozon.save_model),
    Save("m.keras", hozon.save_model),
    Save("m.h5", hozon.save_model),
    Save("w.h5", hozon.save_weights),
    Save("w.weights.h5", hozon.save_weights),
    Save("w.weights.json", hozon.save_weights),
    Save("w.safetensors", hozon.save_weights),
    Save("ckpt", hozon.save_weights),
    Save("tfjs", partial(hozon.save_model, format="tfjs")),
]


class Backup(Save):
    """A backup of training; what a reader finds is what the next training begins with."""

    def content(self, folder: Path) -> Content:
        """The tensors of the last backup that has its name."""
        saved = sorted(path.name for path in (folder / self.name).glob("backup-*.h5"))
        for name in reversed(saved):
            try:
                found = Save(f"{self.name}/{name}", self.door).content(folder)
                return {name: each for name, each in found.items() if GROUP not in name}
            except hozon.HozonError:  # the next training takes the one before it
                if name == saved[0]:
                    raise
        raise AssertionError("there is no backup")


def _version(model: keras.Model) -> int:
    return int(np.ravel(model.weights[0])[0])


def _back_up(model: keras.Model, path: Path) -> None:
    callback = hozon.callbacks.BackupAndRestore(path)
    callback.set_model(model)
    callback._save(_version(model), 0)


class Managed(Save):
    """Checkpoints of which a manager keeps one."""

    def content(self, folder: Path) -> Content:
        """The tensors of the latest one."""
        latest = hozon.train.latest_checkpoint(folder / self.name)
        assert latest is not None, "no checkpoint is the latest"
        tensors = hozon.tensors(latest)
        return {name: _digest(np.asarray(tensors[name])) for name in tensors if "VALUE" in name}


def _managed(model: keras.Model, path: Path) -> None:
    checkpoint = hozon.train.Checkpoint(model=model)
    hozon.train.CheckpointManager(checkpoint, path, max_to_keep=1).save(_version(model))


#: Ways to save that remove what they saved before, once the new is there.
ROTATING = [Backup("backup", _back_up), Managed("managed", _managed)]


def _plain(model: keras.Model, path: Path) -> None:
    save_file({weight.path: np.asarray(weight) for weight in model.weights}, path)


#: Other libraries' ways. (Threads of orbax do not outlive the fork that makes a child.)
PEERS = [
    Save("keras3.keras", keras.Model.save, Exception),
    Save("keras3.h5", keras.Model.save, Exception),
    Save("keras3.weights.h5", keras.Model.save_weights, Exception),
    Save("plain.safetensors", _plain, Exception),
]


@dataclass(frozen=True)
class Point:
    """A fault at a call, how the save ended there and what is wrong with what it left."""

    save: str
    call: str
    fault: Fault
    status: int
    wrong: str


def model(version: int) -> keras.Model:
    """A compiled model all of whose numbers are `version`."""
    made = keras.Sequential([keras.Input((30,)), keras.layers.Dense(40), keras.layers.Dense(20)])
    made.compile(keras.optimizers.Adam(), "mse")
    made.optimizer.build(made.trainable_variables)
    for variable in [*made.weights, *made.optimizer.variables]:
        variable.assign(np.full(variable.shape, version, variable.dtype))
    return made


class Torture:
    """One way to save, tormented: version 2 over version 1, and version 3 over what is left."""

    def __init__(self, save: Save, folder: Path, models: list[keras.Model]) -> None:
        self.save = save
        self._folder = folder
        self._models = models
        self._contents: list[Content] = []
        for version, each in enumerate(models):
            place = folder / f"clean-{version}"
            place.mkdir(parents=True)
            save(each, place)
            self._contents.append(save.content(place))
        self.calls = self._attempt(folder / "counted").calls
        again = [set(os.listdir(folder / name)) for name in ("clean-0", "counted")]
        self._names = set.union(*again)  # shards have other names after each save

    def points(self) -> Iterator[tuple[Fault, int]]:
        """Each fault at each call that can have it."""
        for fault in Fault:
            for number, call in enumerate(self.calls):
                if fault in (Fault.KILL, Fault.REFUSE) or "write" in call:
                    yield fault, number

    def at(self, fault: Fault, number: int) -> Point:
        """What one fault does."""
        place = self._folder / "tormented"
        try:
            ended = self._attempt(place, fault, number)
            wrong = self._wrong(place, ended)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return Point(self.save.name, self.calls[number], fault, ended.status, wrong)

    def _attempt(self, place: Path, fault: Fault | None = None, number: int = -1) -> Ended:
        shutil.copytree(self._folder / "clean-0", place)

        def work() -> int:
            try:
                self.save(self._models[1], place)
            except self.save.refusal as error:
                return IN_PLACE if _PLACED.match(str(error)) else REFUSED
            except BaseException as error:  # noqa: BLE001 - it is told by the status
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return OTHER
            return SAVED

        return run(work, place, fault, number)

    def _wrong(self, place: Path, ended: Ended) -> str:
        """What is wrong with what a save left; nothing, if all is well."""
        allowed = {SAVED: [1], IN_PLACE: [1], REFUSED: [0], -9: [0, 1]}.get(ended.status)
        if allowed is None:
            return f"it ended with {ended.status}"
        try:
            found = self.save.content(place)
        except (hozon.HozonError, AssertionError) as error:
            return f"it left what cannot be read: {error}"
        if found not in [self._contents[version] for version in allowed]:
            known = [v + 1 for v, content in enumerate(self._contents) if content == found]
            return f"it left version {known[0]}" if known else "it left a mixture"
        self.save(self._models[2], place)
        if self.save.content(place) != self._contents[2]:
            return "the next save failed"
        left = sorted(set(os.listdir(place)) - self._names)
        return f"the next save left {', '.join(left)}" if left else ""


def _digest(array: np.ndarray) -> str:
    data = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    return hashlib.sha256(data).hexdigest()
