"""Training that Keras' own callback backed up goes on as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hozon.callbacks import BackupAndRestore
from hozon.errors import FormatError
from hozon.models.keras_backups import KerasBackup, keras_backups
from tests.oracle.client import Oracle
from tests.unit.test_callbacks import Cut

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
Y = X[:, :1] ** 2
STEPS = 5

INTERRUPTED = """

def made():
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(8, activation="tanh", name="a"),
        keras.layers.BatchNormalization(name="b"),
        keras.layers.Dense(1, name="c"),
    ])
    model.set_weights(start)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model

class Cut(keras.callbacks.Callback):
    left = after
    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

options = dict(batch_size=4, epochs=3, shuffle=False, verbose=0)
whole = made()
whole.fit(x, y, **options)
backup = keras.callbacks.BackupAndRestore(folder, save_freq=freq)
try:
    made().fit(x, y, callbacks=[backup, Cut()], **options)
except KeyboardInterrupt:
    pass
out["weights"] = whole.get_weights()
"""


class Seen(keras.callbacks.Callback):
    """The epochs that are trained on."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.epochs: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)


def made(dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh", name="a"),
            *([keras.layers.Dropout(dropout)] if dropout else []),
            keras.layers.BatchNormalization(name="b"),
            keras.layers.Dense(1, name="c"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def fit(model: keras.Model, *callbacks: Any) -> None:
    options = {"batch_size": 4, "epochs": 3, "shuffle": False, "verbose": 0}
    model.fit(X, Y, callbacks=list(callbacks), **options)


@pytest.mark.parametrize(("freq", "after"), [("epoch", 13), (1, 7), (2, 9), (1, 10)])
@pytest.mark.parametrize("double", [False, True])
def test_of_keras_3(freq: Any, after: int, double: bool, tmp_path: Path) -> None:
    """To the bit, in the epoch and at the batch where it was."""
    whole = made()
    fit(whole)
    theirs = keras.callbacks.BackupAndRestore(tmp_path, save_freq=freq, double_checkpoint=double)
    with pytest.raises(KeyboardInterrupt):
        fit(made(), theirs, Cut(after))
    if double:
        (tmp_path / "latest.weights.h5").write_bytes(b"cut short")
    resumed, seen = made(), Seen()
    fit(resumed, BackupAndRestore(tmp_path, save_freq=freq), seen)
    assert seen.epochs[0] > 0
    for one, other in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not tmp_path.exists()


def test_random_numbers_that_keras_does_not_keep_are_told(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(made(0.3), keras.callbacks.BackupAndRestore(tmp_path), Cut(8))
    with pytest.warns(UserWarning, match="random numbers of layers.*dropout"):
        fit(made(0.3), BackupAndRestore(tmp_path))


@pytest.mark.parametrize(("freq", "after"), [("epoch", 8), (2, 7), (5, 8)])
def test_of_tf_keras(freq: Any, after: int, oracle: Oracle, tmp_path: Path) -> None:
    start = made().get_weights()
    expected = oracle.python(
        INTERRUPTED, start=start, x=X, y=Y, folder=str(tmp_path), freq=freq, after=after
    )["weights"]
    resumed, seen = made(), Seen()
    fit(resumed, BackupAndRestore(tmp_path, save_freq=freq), seen)
    assert seen.epochs == [1, 2]
    for one, other in zip(resumed.get_weights(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert not tmp_path.exists()


def write(folder: Path, text: str) -> None:
    (folder / "latest.weights.h5").write_bytes(b"")
    (folder / "training_metadata.json").write_text(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"epoch": -1, "batch": 0}', '{"epoch": 1}'])
def test_one_that_does_not_say_where_training_stood(text: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    with pytest.raises(FormatError, match="where training stood"):
        fit(made(), BackupAndRestore(tmp_path))


@pytest.mark.parametrize(
    ("by_batch", "steps", "stored", "expected"),
    [
        (False, 5, (2, 0), (2, 0)),
        (True, 5, (1, 0), (1, 1)),
        (True, 5, (1, 4), (2, 0)),
        (True, None, (1, 4), (1, 5)),
    ],
)
def test_what_comes_next(
    by_batch: bool, steps: Any, stored: Any, expected: Any, tmp_path: Path
) -> None:
    write(tmp_path, json.dumps({"epoch": stored[0], "batch": stored[1]}))
    found = keras_backups(str(tmp_path), by_batch=by_batch, steps=steps)
    assert found == [KerasBackup(str(tmp_path / "latest.weights.h5"), *expected)]
