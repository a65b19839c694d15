"""Saves with ``blocking=False`` from the midst of training, and at the end of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
WHOLE = ("m{}", "m{}.h5", "m{}.keras")


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(64), keras.layers.Dense(1)])
    made.compile("adam", "mse")
    return made


def values(one: keras.Model) -> list[np.ndarray]:
    return [np.array(v) for v in [*one.weights, *one.optimizer.variables]]


@pytest.mark.parametrize("name", WHOLE)
def test_each_batch_of_fit(name: str, tmp_path: Path) -> None:
    """Also by somebody who knows the model from outside, while `fit` has its variables."""
    one = model()
    seen: list[list[np.ndarray]] = []
    reports: list[Any] = []

    class Batches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            path = tmp_path / name.format(batch)
            reports.append(hozon.save_model(one, path, blocking=False))
            seen.append(values(one))

    one.fit(X, X[:, :1], batch_size=4, epochs=1, verbose=0, callbacks=[Batches()])
    for batch, report in enumerate(reports):
        again = hozon.load_model(report.wait(60).path)
        assert int(again.optimizer.iterations) == batch + 1
        for have, want in zip(values(again), seen[batch], strict=True):
            np.testing.assert_array_equal(have, want)


def test_weights_from_outside_while_fit_goes_on(tmp_path: Path) -> None:
    one, other = model(), model()

    class Step(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            hozon.save_weights(one, tmp_path / "ck")
            if batch == 1:
                hozon.load_weights(one, tmp_path / "ck")

    one.fit(X, X[:, :1], batch_size=4, verbose=0, callbacks=[Step()])
    hozon.load_weights(other, tmp_path / "ck")
    for have, want in zip(other.weights, one.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(have), np.asarray(want))


def test_the_later_of_two_saves_to_one_path_stays(tmp_path: Path) -> None:
    one = model()
    for number in range(4):
        one.layers[0].bias.assign(np.full(64, number, "float32"))
        report = hozon.save_model(one, tmp_path / "m.keras", blocking=False)
    report.wait(60)
    again = hozon.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(np.asarray(again.layers[0].bias), 3)


ENDS = """
import sys, keras, hozon
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2000), keras.layers.Dense(1000)])
for name in ("big.h5", "a", "b.h5", "c.keras", "d"):
    hozon.save_model(model, f"{sys.argv[1]}/{name}", blocking=False)
hozon.save_weights(model, f"{sys.argv[1]}/ck", blocking=False)
"""


def test_a_process_ends_after_its_saves(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDS, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    made = model_of(tmp_path / "d")
    for name in ("a", "b.h5", "c.keras"):
        for have, want in zip(model_of(tmp_path / name), made, strict=True):
            np.testing.assert_array_equal(have, want)
    assert len(hozon.train.list_variables(tmp_path / "ck")) >= len(made)


def model_of(path: Path) -> list[np.ndarray]:
    return hozon.load_model(path, compile=False).get_weights()
