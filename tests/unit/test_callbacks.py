"""Callbacks: every format, saves in the background, training that goes on after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.callbacks import BackupAndRestore, ModelCheckpoint
from hozon.errors import FormatError, HozonError, MismatchError, SaveError

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = X[:, :1] ** 2


def model(units: int = 8) -> keras.Model:
    keras.utils.set_random_seed(3)
    x = keras.Input((4,))
    y = keras.layers.Dropout(0.3)(keras.layers.Dense(units, activation="relu")(x))
    made = keras.Model(x, keras.layers.Dense(1)(keras.layers.BatchNormalization()(y)))
    made.compile("adam", "mse")
    return made


def fit(one: keras.Model, epochs: int, *callbacks: Any) -> None:
    one.fit(X, Y, epochs=epochs, batch_size=4, shuffle=False, verbose=0, callbacks=list(callbacks))


def weights(one: keras.Model) -> list[np.ndarray]:
    return [np.asarray(w) for w in one.weights]


def state(one: keras.Model) -> list[np.ndarray]:
    return [np.asarray(v) for v in [*one.variables, *one.optimizer.variables]]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


class Watch(keras.callbacks.Callback):
    """Keeps the state after each epoch, or stops training by an error after some."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__()
        self.stop = stop
        self.weights: dict[int, list[np.ndarray]] = {}
        self.epochs: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.weights[epoch + 1] = weights(self.model)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.stop is not None and len(self.epochs) > self.stop and batch == 1:
            raise KeyboardInterrupt


# Checkpoints

NAMES = ("e{epoch:02d}", "e{epoch:02d}.h5", "e{epoch:02d}.keras")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_each_epoch_in_each_format(name: str, asynchronous: bool, tmp_path: Path) -> None:
    one, watch = model(), Watch()
    fit(one, 3, ModelCheckpoint(tmp_path / name, asynchronous=asynchronous), watch)
    for epoch in (1, 2, 3):
        again = hozon.load_model(tmp_path / name.format(epoch=epoch))
        same(weights(again), watch.weights[epoch])
        assert int(again.optimizer.iterations) == 3 * epoch


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("suffix", ["", ".h5", ".weights.h5", ".safetensors"])
def test_weights_of_each_batch(suffix: str, asynchronous: bool, tmp_path: Path) -> None:
    class Batches(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[list[np.ndarray]] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.append(weights(self.model))

    one, seen = model(), Batches()
    fit(
        one,
        1,
        ModelCheckpoint(
            tmp_path / f"b{{batch}}{suffix}",
            save_weights_only=True,
            save_freq=1,
            asynchronous=asynchronous,
        ),
        seen,
    )
    for batch, expected in enumerate(seen.seen, 1):
        again = model()
        hozon.load_weights(again, tmp_path / f"b{batch}{suffix}")
        same(weights(again), expected)


def test_only_the_best_is_kept(tmp_path: Path) -> None:
    one, watch = model(), Watch()
    best = ModelCheckpoint(tmp_path / "best.keras", monitor="loss", save_best_only=True)
    history: list[float] = []
    fit(
        one,
        4,
        best,
        watch,
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: history.append(logs["loss"])
        ),
    )
    again = hozon.load_model(tmp_path / "best.keras")
    expected = watch.weights[int(np.argmin(history)) + 1]
    same(weights(again), expected)


def test_what_fails_in_the_background_is_raised_in_training(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious").write_text("mine")
    with pytest.raises(SaveError):
        fit(model(), 2, ModelCheckpoint(tmp_path / "taken", asynchronous=True))
    assert (tmp_path / "taken" / "precious").read_text() == "mine"


# Backups


@pytest.mark.parametrize("double", [False, True])
def test_an_interrupted_fit_goes_on_as_if_nothing_had_been(double: bool, tmp_path: Path) -> None:
    uninterrupted = model()
    fit(uninterrupted, 4)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), 4, BackupAndRestore(tmp_path / "b", double_checkpoint=double), Watch(stop=2))
    assert len(list((tmp_path / "b").iterdir())) == 1 + double
    resumed, watch = model(), Watch()
    fit(resumed, 4, BackupAndRestore(tmp_path / "b"), watch)
    assert watch.epochs == [2, 3]
    same(state(resumed), state(uninterrupted))
    assert not (tmp_path / "b").exists()
    again = Watch()
    fit(resumed, 1, again)
    assert again.epochs == [0]


def test_batches(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model(), 4, BackupAndRestore(tmp_path, save_freq=2), Watch(stop=1))
    (backup,) = tmp_path.iterdir()
    assert backup.name == "backup-000001-00000001.weights.h5"
    resumed, watch = model(), Watch()
    fit(resumed, 3, BackupAndRestore(tmp_path, delete_checkpoint=False), watch)
    assert watch.epochs == [1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["backup-000003-00000000.weights.h5"]


def test_damage_and_another_model(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model(), 4, BackupAndRestore(tmp_path, double_checkpoint=True), Watch(stop=2))
    with pytest.raises(MismatchError):
        fit(model(units=9), 4, BackupAndRestore(tmp_path, double_checkpoint=True))
    _, last = sorted(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:2000])
    resumed, watch = model(), Watch()
    fit(resumed, 4, BackupAndRestore(tmp_path, delete_checkpoint=False), watch)
    assert watch.epochs == [1, 2, 3]
    for path in tmp_path.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises((FormatError, HozonError)):
        fit(model(), 4, BackupAndRestore(tmp_path))


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="backup_dir"):
        BackupAndRestore("")
    for wrong in (0, "batch", 1.5):
        with pytest.raises(ValueError, match="save_freq="):
            BackupAndRestore(tmp_path, save_freq=wrong)


class Cut(keras.callbacks.Callback):
    """The end of a process after so many batches in all."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")


def drawing(**options: Any) -> keras.Model:
    """A model with dropout and moving statistics; its data are shuffled from the same seed."""
    keras.utils.set_random_seed(3)
    made = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    made.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"], **options)
    return made


def trained(model: keras.Model, freq: Any, folder: Path, *more: Any, **options: Any) -> Any:
    early = keras.callbacks.EarlyStopping(
        "loss", patience=2, min_delta=0.5, restore_best_weights=True
    )
    slower = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9.0, factor=0.5)
    watching = [BackupAndRestore(folder, save_freq=freq), early, slower, *more]
    options = {"batch_size": 8, "epochs": 5, "verbose": 0, **options}
    return model.fit(ROWS, ROWS[:, :1] ** 2, callbacks=watching, **options)


@pytest.mark.parametrize("freq", ["epoch", 1, 3])
@pytest.mark.parametrize("after", [4, 7, 15])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_killed_run_ends_as_one_that_was_not(
    freq: Any, after: int, shuffle: bool, tmp_path: Path
) -> None:
    """To the bit: weights, optimizer, logs of the last epoch, and when it stops."""
    whole = drawing()
    expected = trained(whole, freq, tmp_path / "a", shuffle=shuffle)
    with pytest.raises(KeyboardInterrupt):
        trained(drawing(), freq, tmp_path / "b", Cut(after), shuffle=shuffle)
    resumed = drawing()
    if freq == 1 or after > 5:
        np.random.rand(5)  # noqa: NPY002 - another process has drawn other numbers
    found = trained(resumed, freq, tmp_path / "b", shuffle=shuffle)
    same(state(resumed), state(whole))
    assert found.epoch[-1] == expected.epoch[-1]
    last = [{name: values[-1] for name, values in x.history.items()} for x in (found, expected)]
    assert last[0] == last[1]


def test_several_batches_a_step(tmp_path: Path) -> None:
    whole = drawing(steps_per_execution=2)
    trained(whole, 2, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        trained(drawing(steps_per_execution=2), 2, tmp_path / "b", Cut(5))
    resumed = drawing(steps_per_execution=2)
    np.random.rand(5)  # noqa: NPY002
    trained(resumed, 2, tmp_path / "b")
    same(state(resumed), state(whole))


def test_what_nobody_goes_on_with_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(drawing(), 1, tmp_path, Cut(4))
    told = pytest.warns(UserWarning, match="the state of a (EarlyStopping|ReduceLROnPlateau)")
    with told:
        drawing().fit(ROWS, ROWS[:, :1], verbose=0, callbacks=[BackupAndRestore(tmp_path)])
