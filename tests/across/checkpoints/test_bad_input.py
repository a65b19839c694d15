"""Saves that are refused or fail: errors that say why, and nothing on the disk has changed."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
import hozon.train
from hozon.errors import FormatError, MismatchError, SaveError, UnsupportedError
from hozon.raw import commit

L = keras.layers


def dense(units: int = 2) -> Any:
    return keras.Sequential([keras.Input((3,)), L.Dense(units)])


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }


class Twins(L.Layer):
    """Two weights of one name, of which only the second can be found."""

    def build(self, _: Any) -> None:
        for size in (1, 2):
            self.add_weight(name="same", shape=(size,))
        self.built = True


class Hidden(keras.Model):
    """A layer that no attribute, list or dictionary leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = {L.Dense(2)}

    def call(self, x: Any) -> Any:
        for layer in self.inside:
            x = layer(x)
        return x


class Covered(L.Layer):
    """A layer and a weight of one name."""

    def __init__(self) -> None:
        super().__init__()
        self.add_weight(name="thing", shape=(1,))
        self.thing = L.Dense(2)
        self.thing.build((None, 2))


def built(layer: Any) -> Any:
    layer(np.ones((1, 3), "float32"))
    return layer


def twins() -> Any:
    layer = Twins()
    layer.build((1,))
    return layer


Case = tuple[Callable[[], Any], str, type[Exception], str]
REFUSED: dict[str, Case] = {
    "never built": (lambda: keras.Sequential([L.Dense(2)]), "w", SaveError, "never built"),
    "a layer never built": (lambda: L.Dense(2), "w", SaveError, "never built"),
    "not trackable": (lambda: object(), "w", ValueError, "holds models, layers"),
    "two weights": (twins, "w", MismatchError, "variable 'same'"),
    "a hidden layer": (lambda: built(Hidden()), "w", MismatchError, "layer 'dense"),
    "a covered layer": (Covered, "w", MismatchError, "'thing'|layer 'dense"),
    "two keys": (lambda: {1: np.ones(1), "1": np.ones(2)}, "w", MismatchError, "'1'"),
    "below a file": (dense, "file/w", SaveError, "file"),
    "deep below a file": (dense, "file/a/b/w", SaveError, "file"),
    "a folder in the way": (dense, "taken", SaveError, "folder"),
    "no file system": (dense, "unheard://bucket/w", UnsupportedError, "cannot be opened"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_saves(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, path, error, text = REFUSED[name]
    (tmp_path / "file").write_text("a file")
    (tmp_path / "taken.index").mkdir()
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    target = path if "://" in path else tmp_path / path
    with pytest.raises(error, match=text):
        hozon.save_weights(make(), target)
    assert contents(tmp_path) == before


def test_formats_and_overwriting(tmp_path: Path) -> None:
    model, path = dense(), tmp_path / "w"
    with pytest.raises(UnsupportedError, match="'pickle'"):
        hozon.save_weights(model, path, format="pickle")
    hozon.save_weights(model, path)
    before = contents(tmp_path)
    with pytest.raises(SaveError, match="exists already"):
        hozon.save_weights(dense(), path, overwrite=False)
    assert contents(tmp_path) == before
    hozon.save_weights(dense(), path)
    assert contents(tmp_path) != before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SaveError, match="ermission"):
            hozon.save_weights(dense(), tmp_path / "w")
        with pytest.raises(SaveError, match="ermission"):
            hozon.save_weights(dense(), tmp_path / "new" / "w")
        assert contents(tmp_path) == {}
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("folder", [".", "new/deep"])
def test_disk_full_halfway(folder: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    checkpoint = hozon.train.Checkpoint(a=np.ones(10), w=np.ones(1 << 18))
    checkpoint.save(tmp_path / "w")
    before = contents(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(SaveError):
            checkpoint.save(tmp_path / folder / "w")
        with pytest.raises(SaveError):
            checkpoint.write(tmp_path / folder / "w-1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path) == before
    assert int(checkpoint.save_counter) == 1


@pytest.mark.parametrize("make", [lambda: L.Dense(2), dense, lambda: keras.metrics.Mean()])
def test_loads_that_find_nothing(make: Callable[[], Any], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="does not exist"):
        hozon.load_weights(make(), tmp_path / "missing")
    for name in ("notes.txt", "empty"):
        with pytest.raises(UnsupportedError, match="the prefix before"):
            hozon.load_weights(make(), tmp_path / name)


def test_root_and_argument_of_one_name(tmp_path: Path) -> None:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.head = L.Dense(2)

    model = Net()
    hozon.train.Checkpoint(model, head=model.head).write(tmp_path / "same")
    with pytest.raises(MismatchError, match="head"):
        hozon.train.Checkpoint(model, head=L.Dense(2)).write(tmp_path / "other")
    assert not list(tmp_path.glob("other*"))


def test_the_last_checkpoint_goes_only_when_the_next_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one to keep, a power cut between save and deletion must not take both."""
    events: list[str] = []
    unlink = Path.unlink

    def sync(path: str) -> None:
        events.append("sync state" if path.endswith("/checkpoint") else "sync")

    def logged(path: Path, missing_ok: bool = False) -> None:
        events.append(f"delete {path.name}")
        unlink(path, missing_ok)

    for module in (commit, hozon.formats.bundle.writer):
        monkeypatch.setattr(module, "sync", sync)
    monkeypatch.setattr(Path, "unlink", logged)
    manager = hozon.train.CheckpointManager(
        hozon.train.Checkpoint(value=np.ones(2)), tmp_path, max_to_keep=1
    )
    manager.save()
    assert events == []
    manager.save()
    deleted = events.index("delete ckpt-1.index")
    assert "sync state" in events[:deleted]
    assert events[: events.index("sync state")].count("sync") >= 3
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint",
        "ckpt-2.index",
        "ckpt-2.data-00000-of-00001",
    }


def test_a_state_file_that_cannot_be_replaced(tmp_path: Path) -> None:
    checkpoint = hozon.train.Checkpoint(value=np.ones(2))
    manager = hozon.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=1)
    (tmp_path / "checkpoint").mkdir()
    before = contents(tmp_path)
    for save in (
        lambda: checkpoint.save(tmp_path / "w"),
        manager.save,
        lambda: hozon.save_weights(dense(), tmp_path / "w"),
    ):
        with pytest.raises(SaveError, match="checkpoint cannot be saved"):
            save()
    assert contents(tmp_path) == before
    assert int(checkpoint.save_counter) == 0
