"""The state of optimizers in Keras 3's files, whose backend decides how wide steps are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

BUILD = """
def built(keras, rate):
    keras.utils.set_random_seed(5)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    optimizers = {
        "fixed": lambda: keras.optimizers.Adam(0.05),
        "schedule": lambda: keras.optimizers.RMSprop(schedule, momentum=0.5),
        "nadam": lambda: keras.optimizers.Nadam(0.05),
    }
    model.compile(optimizers[rate](), "mse")
    return model
"""
WRITE = (
    BUILD
    + """
import keras as keras3
rng = np.random.RandomState(0)
x, y = rng.rand(8, 3).astype("float32"), rng.rand(8, 1).astype("float32")
out["x"], out["y"] = x, y
for rate in ("fixed", "schedule", "nadam"):
    model = built(keras3, rate)
    model.fit(x, y, epochs=3, verbose=0, shuffle=False)
    model.save(f"{path}/{rate}.keras")
    model.save_weights(f"{path}/{rate}.weights.h5")
    out[rate] = model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"]
"""
)


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Keras 3 wrote on TensorFlow, and how it goes on."""
    folder = tmp_path_factory.mktemp("keras3")
    return {"folder": folder, **oracle.python(WRITE, path=str(folder))}


def fresh(rate: str) -> Any:
    """The same model, compiled anew."""
    found: dict[str, Any] = {}
    exec(BUILD, found)
    return found["built"](keras, rate)


@pytest.mark.parametrize("rate", ["fixed", "schedule", "nadam"])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_written_on_tensorflow(rate: str, suffix: str, told: dict[str, Any]) -> None:
    path: Path = told["folder"] / f"{rate}{suffix}"
    if suffix == ".keras":
        model = hozon.load_model(path)
    else:
        model = fresh(rate)
        hozon.load_weights(model, path)
    history = model.fit(told["x"], told["y"], epochs=3, verbose=0, shuffle=False)
    np.testing.assert_allclose(history.history["loss"], told[rate], rtol=1e-4)


def test_state_without_sums_of_gradients_in_the_archive_of_keras2(tmp_path: Path) -> None:
    """The class of Keras 2 has no accumulation, so nothing of it may stand among its slots."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05, gradient_accumulation_steps=2), "mse")
    model.fit(np.ones((8, 3)), np.zeros((8, 1)), batch_size=2, verbose=0)
    hozon.save_model(model, tmp_path / "m.keras", dialect="keras2")
    back = hozon.load_model(tmp_path / "m.keras")
    assert back.load_report.lost == []
    for slot, kept in zip(model.optimizer._momentums, back.optimizer._momentums, strict=True):
        np.testing.assert_array_equal(slot, kept)
