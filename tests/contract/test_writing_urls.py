"""What is written to a disk is written to a URL too, at every door, and is old or new there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import keras
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import hozon
from hozon.cli import main
from tests.contract.numbered import X, made
from tests.oracle.client import Oracle


class Store(MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory, of which a request can be made to fail."""

    protocol = "store"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    asked = 0
    fails_at: int | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("store://")))

    @classmethod
    def count(cls) -> None:
        cls.asked += 1
        if cls.asked == cls.fails_at:
            raise RuntimeError("the store says no")  # an error of its own, as many have

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self.count()
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def rm_file(self, path: str) -> None:
        self.count()
        super().rm_file(path)


@pytest.fixture
def store() -> Iterator[type[Store]]:
    fsspec.register_implementation("store", Store, clobber=True)
    Store.store.clear()
    Store.asked, Store.fails_at = 0, None
    yield Store
    Store.fails_at = None


@pytest.fixture(scope="module")
def models() -> tuple[keras.Model, keras.Model]:
    return made(1), made(2)


def of_model(path: str) -> float:
    model = hozon.load_model(path, compile=False)
    return float(np.unique([np.unique(weight) for weight in model.weights]).item())


def of_weights(path: str) -> float:
    model = made(0)
    hozon.load_weights(model, path)
    return float(np.unique([np.unique(weight) for weight in model.weights]).item())


def as_tfjs(model: keras.Model, path: str) -> Any:
    return hozon.save_model(model, path, format="tfjs")


#: By name: what writes, and what reads the number back.
DOORS: dict[str, tuple[Callable[[keras.Model, str], Any], Callable[[str], float]]] = {
    "m": (hozon.save_model, of_model),
    "m.keras": (hozon.save_model, of_model),
    "m.h5": (hozon.save_model, of_model),
    "t": (as_tfjs, of_model),
    "w": (hozon.save_weights, of_weights),
    "w.h5": (hozon.save_weights, of_weights),
    "w.weights.h5": (hozon.save_weights, of_weights),
    "w.safetensors": (hozon.save_weights, of_weights),
    "w.weights.json": (hozon.save_weights, of_weights),
    "w.safetensors.index.json": (hozon.save_weights, of_weights),
    "c": (lambda model, path: hozon.train.Checkpoint(model).write(path), of_weights),
}
#: Its shards keep their names, so that one that is replaced is neither old nor new for a moment.
NOT_AT_ONCE = {"t"}


@pytest.mark.parametrize("door", DOORS)
def test_written_and_written_over(
    door: str, store: type[Store], models: tuple[keras.Model, keras.Model]
) -> None:
    write, read = DOORS[door]
    url = f"store://b/{door}"
    counts = []
    for model, value in [(models[0], 1), (models[1], 2), (models[0], 1)]:
        write(model, url)
        assert read(url) == value
        counts.append(len(store.store))
    assert max(counts) <= counts[0] + 1  # nothing of the old stays, but for Keras' first shard


@pytest.mark.parametrize("door", [door for door in DOORS if door not in NOT_AT_ONCE])
def test_each_request_fails_in_turn(
    door: str, store: type[Store], models: tuple[keras.Model, keras.Model]
) -> None:
    """The old is there, or the new, and SaveError says that something went wrong."""
    write, read = DOORS[door]
    url = f"store://b/{door}"
    write(models[0], url)
    whole = dict(store.store)
    store.asked = 0
    write(models[1], url)
    requests = store.asked
    assert requests
    refused = 0
    for at in range(1, requests + 1):
        store.store.clear()
        store.store.update(whole)
        store.asked, store.fails_at = 0, at
        try:
            write(models[1], url)
        except hozon.SaveError as error:
            refused += 1
            assert "the store says no" in str(error)  # noqa: PT017
            assert url in str(error) or "is in place" in str(error)  # noqa: PT017
        store.fails_at = None
        assert read(url) in {1, 2}
    assert refused
    write(models[1], url)
    assert read(url) == 2


def test_the_first_request_fails(store: type[Store], models: tuple[keras.Model, Any]) -> None:
    """Nothing was there, and nothing is."""
    for door, (write, _) in DOORS.items():
        store.asked, store.fails_at = 0, 1
        with pytest.raises(hozon.SaveError, match=f"store://b/{door} cannot be saved"):
            write(models[0], f"store://b/{door}")
        store.fails_at = None
        assert not store.store


def test_tensorflow_opens_what_was_put_over_another(
    oracle: Oracle, store: type[Store], models: tuple[keras.Model, keras.Model], tmp_path: Path
) -> None:
    for model in models:
        hozon.save_model(model, "store://b/m")
        hozon.save_weights(model, "store://b/w")
    fsspec.filesystem("store").get("b", str(tmp_path / "b"), recursive=True)
    told = oracle.python(
        "m = keras.models.load_model(folder + '/m')\n"
        "out['w'] = m.get_weights()\n"
        "m.set_weights([0 * w for w in m.get_weights()])\n"
        "m.load_weights(folder + '/w').expect_partial()\n"
        "out['again'] = m.get_weights()",
        folder=str(tmp_path / "b"),
    )
    assert {float(n) for w in [*told["w"], *told["again"]] for n in w.flat} == {2}


def test_not_over_something_else(store: type[Store], models: tuple[keras.Model, Any]) -> None:
    fsspec.filesystem("store").pipe_file("b/m/notes.txt", b"mine")
    with pytest.raises(hozon.SaveError, match="something else"):
        hozon.save_model(models[0], "store://b/m")
    with pytest.raises(hozon.SaveError, match="directory"):
        hozon.save_model(models[0], "store://b/m", format="keras")
    hozon.save_model(models[0], "store://b/x.keras")
    with pytest.raises(hozon.SaveError, match="exists already"):
        hozon.save_model(models[0], "store://b/x.keras", overwrite=False)
    with pytest.raises(hozon.SaveError, match="is a file"):
        hozon.save_model(models[0], "store://b/x.keras", format="savedmodel")


def test_a_run_far_away(store: type[Store], models: tuple[keras.Model, Any]) -> None:
    """The manager, both callbacks, and saves in the background."""
    checkpoint = hozon.train.Checkpoint(model=models[0])
    manager = hozon.train.CheckpointManager(checkpoint, "store://run", max_to_keep=2)
    for _ in range(3):
        manager.save()
    assert manager.latest_checkpoint == "store://run/ckpt-3"
    assert hozon.train.latest_checkpoint("store://run") == "store://run/ckpt-3"
    again = hozon.train.CheckpointManager(checkpoint, "store://run", max_to_keep=2)
    assert again.checkpoints == ["store://run/ckpt-2", "store://run/ckpt-3"]
    assert again.restore_or_initialize() == "store://run/ckpt-3"
    assert not any("ckpt-1" in name for name in store.store)
    model = made(1)
    backup = hozon.callbacks.BackupAndRestore("store://backup", delete_checkpoint=False)
    each = hozon.callbacks.ModelCheckpoint("store://each/{epoch}.keras", asynchronous=True)
    model.fit(X, np.ones((2, 3)), epochs=2, verbose=0, callbacks=[backup, each])
    assert of_model("store://each/2.keras") == 1
    seen: list[int] = []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    backup = hozon.callbacks.BackupAndRestore("store://backup")
    model.fit(X, np.ones((2, 3)), epochs=3, verbose=0, callbacks=[backup, each, note])
    assert seen == [2]
    assert not any("backup" in name for name in store.store)


def test_the_commands(store: type[Store], models: tuple[keras.Model, Any], tmp_path: Path) -> None:
    hozon.save_model(models[0], "store://b/m.keras")
    np.save(tmp_path / "x.npy", X)
    assert main(["convert", "store://b/m.keras", "store://b/m"]) == 0
    assert of_model("store://b/m") == 1
    given = ["--input", str(tmp_path / "x.npy")]
    assert main(["predict", "store://b/m", *given, "--output", "store://b/y.npz"]) == 0
    assert main(["predict", "store://b/m", *given, "--output", "store://b/out"]) == 0
    assert main(["report", "store://b/m", "-o", "store://b/page.html"]) == 0
    assert {"/b/y.npz", "/b/page.html"} < set(store.store)
    assert any(name.startswith("/b/out/") for name in store.store)


def test_graph_level(store: type[Store]) -> None:
    hozon.saved_model.save({"w": np.ones(2, np.float32)}, "store://b/g")
    loaded = hozon.saved_model.load("store://b/g")
    np.testing.assert_array_equal(np.asarray(loaded.w), np.ones(2))
    assert store.store


def test_what_is_there_besides_is_kept(
    models: tuple[keras.Model, keras.Model], store: type[Store]
) -> None:
    hozon.save_model(models[0], "store://b/repo", card=True)
    assert b"hozon.load_model" in store.store["/b/repo/README.md"].getvalue()
    held = fsspec.filesystem("store")
    held.pipe_file("/b/repo/README.md", b"mine")
    held.pipe_file("/b/repo/.gitattributes", b"mine too")
    hozon.save_model(models[1], "store://b/repo", card=True)
    assert held.cat_file("/b/repo/README.md") == b"mine"
    assert held.cat_file("/b/repo/.gitattributes") == b"mine too"
    assert hozon.verify("store://b/repo").ok
