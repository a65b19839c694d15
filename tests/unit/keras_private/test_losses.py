"""Losses of what layers give count once for each call, as tf_keras has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.training import losses_of

#: Saves each model in each form, then takes two steps more.
WRITE = """
layers = keras.layers

class Scaled(layers.Layer):
    "A layer whose class the reader does not have."
    def call(self, x):
        return 2.0 * x

class Charged(layers.Layer):
    "Adds a loss in its call."
    def call(self, x):
        self.add_loss(0.1 * tf.reduce_mean(tf.square(x)))
        return x + 1.0

def twice(layer, shape=(4,)):
    x = layers.Input(shape)
    return keras.Model(x, layer(layer(x)))

def nested(layer):
    x = layers.Input((4,))
    inner = keras.Model(x, layer(x))
    y = layers.Input((4,))
    return keras.Model(y, layers.Dense(3)(inner(inner(y))))

def l2():
    return keras.regularizers.L2(0.1)

BUILDS = {
    "dense": lambda: twice(layers.Dense(4, activity_regularizer=l2())),
    "conv": lambda: twice(
        layers.Conv1D(3, 2, padding="same", activity_regularizer=l2()), (5, 3)),
    "lstm": lambda: twice(
        layers.LSTM(3, return_sequences=True, activity_regularizer=l2()), (5, 3)),
    "layer": lambda: nested(layers.ActivityRegularization(l2=0.1)),
    "model": lambda: nested(layers.Dense(4, activity_regularizer=l2())),
    "steps": lambda: twice(
        layers.TimeDistributed(layers.Dense(3, activity_regularizer=l2())), (5, 3)),
    "bidirectional": lambda: keras.Sequential([layers.Input((5, 3)), layers.Bidirectional(
        layers.LSTM(3, activity_regularizer=l2()))]),
    "no class": lambda: keras.Sequential([
        layers.Input((4,)), layers.Dense(4), Scaled(activity_regularizer="l2")]),
    "no class, add_loss": lambda: twice(Charged()),
}
for name, build in BUILDS.items():
    keras.utils.set_random_seed(3)
    model = build()
    rng = np.random.RandomState(0)
    x = rng.rand(8, *model.input_shape[1:]).astype("float32")
    y = rng.rand(8, *model.output_shape[1:]).astype("float32")
    model.compile(keras.optimizers.SGD(0.05), "mse")
    for suffix in ("", ".h5", ".keras"):
        if suffix and name.startswith("no class"):
            continue
        model.save(f"{path}/{name}{suffix}", **({} if suffix else {"save_format": "tf"}))
    out[name] = {"x": x, "y": y, "losses": model.fit(
        x, y, epochs=2, verbose=0, shuffle=False).history["loss"]}
"""
BUILT_IN = ["dense", "conv", "lstm", "layer", "model", "steps", "bidirectional"]
FILES = [(name, end) for name in BUILT_IN for end in ("", ".h5", ".keras")]
FILES += [("no class", ""), ("no class, add_loss", "")]
READ = """
model = keras.models.load_model(path)
out["losses"] = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
"""


@pytest.fixture(scope="module")
def written(
    oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("activity_losses")
    return path, oracle.python(WRITE, path=str(path))


@pytest.mark.parametrize(("name", "end"), FILES)
def test_two_steps_are_those_of_tf_keras(
    written: tuple[Path, dict[str, Any]], name: str, end: str
) -> None:
    path, told = written[0], written[1][name]
    model = hozon.load_model(path / f"{name}{end}")
    np.testing.assert_allclose(losses_of(model, told), told["losses"], rtol=2e-5)


@pytest.mark.parametrize("end", ["", ".h5", ".keras"])
@pytest.mark.parametrize("name", ["dense", "model", "steps", "no class"])
def test_saved_again_it_trains_so(
    written: tuple[Path, dict[str, Any]], name: str, end: str, tmp_path: Path
) -> None:
    path, told = written[0], written[1][name]
    if name == "no class" and end:
        pytest.skip("this form needs the class")
    report = hozon.save_model(hozon.load_model(path / name), tmp_path / f"again{end}")
    assert any("activity loss" in line for line in report.lost) == (
        end == ".keras" and name in ("dense", "model", "steps")
    )
    again = hozon.load_model(tmp_path / f"again{end}")
    np.testing.assert_allclose(losses_of(again, told), told["losses"], rtol=2e-5)


@pytest.mark.parametrize("name", ["dense", "steps", "no class"])
def test_saved_again_it_trains_so_in_tensorflow(
    written: tuple[Path, dict[str, Any]], oracle: Oracle, name: str, tmp_path: Path
) -> None:
    path, told = written[0], written[1][name]
    hozon.save_model(hozon.load_model(path / name), tmp_path / "again")
    answer = oracle.python(READ, path=str(tmp_path / "again"), x=told["x"], y=told["y"])
    np.testing.assert_allclose(answer["losses"], told["losses"], rtol=2e-5)


def test_a_model_of_keras_3_trains_as_keras_3_has_it() -> None:
    layer = keras.layers.Dense(3, kernel_initializer="ones", activity_regularizer="l2")
    x = keras.Input((3,))
    model = keras.Model(x, layer(layer(x)))
    weights = [v.value for v in model.trainable_variables]
    _, _, losses = model.stateless_call(weights, [], np.ones((2, 3)), return_losses=True)
    assert len(losses) == 1
