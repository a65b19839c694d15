"""Each form saved, loaded, looked into and trained on; no TensorFlow, no recorded files.

`make versions` runs this with the lowest and the newest versions of the dependencies.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import hozon
from hozon import train

X = np.linspace(-1, 1, 4 * 8 * 8 * 3, dtype="float32").reshape(4, 8, 8, 3)
Y = np.ones((4, 2), "float32")


def trained() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Reshape((6, 24))(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3))(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.2)(x)))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    return model


def outputs(model: Any) -> Any:
    return np.asarray(model.predict(X, verbose=0))


def test_every_module_is_importable() -> None:
    for _, name, _ in pkgutil.walk_packages(hozon.__path__, "hozon."):
        if not name.endswith("__main__"):
            import_module(name)


@pytest.mark.parametrize("suffix", ["", ".h5", ".keras"])
def test_models(suffix: str, tmp_path: Path) -> None:
    model, path = trained(), tmp_path / f"m{suffix}"
    hozon.save_model(model, path)
    assert hozon.inspect(path).variables
    again = hozon.load_model(path)
    np.testing.assert_allclose(outputs(again), outputs(model), atol=1e-5)
    again.fit(X, Y, verbose=0)


@pytest.mark.parametrize("suffix", ["", ".h5", ".weights.h5", ".weights.json", ".safetensors"])
def test_weights(suffix: str, tmp_path: Path) -> None:
    model, path = trained(), tmp_path / f"w{suffix}"
    hozon.save_weights(model, path)
    other = keras.models.clone_model(model)
    hozon.load_weights(other, path)
    np.testing.assert_allclose(outputs(other), outputs(model), atol=1e-5)


def test_functions_with_their_gradient(tmp_path: Path) -> None:
    model = trained()
    hozon.save_model(model, tmp_path / "m")
    function = hozon.saved_model.load(tmp_path / "m").signatures["serving_default"]
    (name,) = function.inputs

    def total(x: Any) -> Any:
        return sum(value.sum() for value in function(**{name: x}).values())

    np.testing.assert_allclose(total(X), outputs(model).sum(), rtol=1e-4)
    assert np.isfinite(jax.grad(total)(X)).all()


def test_a_function_that_only_stablehlo_can_express(tmp_path: Path) -> None:
    class Rounded(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return jax.lax.reduce_precision(x, 5, 10)

    inputs = keras.Input((3,))
    hozon.save_model(keras.Model(inputs, Rounded()(inputs)), tmp_path / "m")
    function = hozon.saved_model.load(tmp_path / "m").signatures["serving_default"]
    (name,) = function.inputs
    (found,) = function(**{name: X[0, 0]}).values()
    np.testing.assert_allclose(found, X[0, 0], rtol=1e-3)


def test_checkpoints_and_conversion(tmp_path: Path) -> None:
    model = trained()
    path = train.Checkpoint(model=model).save(str(tmp_path / "c"))
    other = keras.models.clone_model(model)
    train.Checkpoint(model=other).restore(path).assert_existing_objects_matched()
    np.testing.assert_allclose(outputs(other), outputs(model), atol=1e-5)
    hozon.save_model(model, tmp_path / "m.h5")
    hozon.convert(tmp_path / "m.h5", tmp_path / "m.keras")
    np.testing.assert_allclose(
        outputs(hozon.load_model(tmp_path / "m.keras")), outputs(model), atol=1e-5
    )
