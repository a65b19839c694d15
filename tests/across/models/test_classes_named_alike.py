"""Users' classes with the name of one of Keras'; clones of models whose calls keep arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import MissingObjectError
from tests.oracle.client import Oracle

WRITE = """
class Dense(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 2))
        self.bias = self.add_weight(name="bias", shape=(2,), initializer="ones")
    def call(self, x):
        return tf.sigmoid(x @ self.kernel) + self.bias
    def get_config(self):
        return {**super().get_config(), "units": 2}

inputs = keras.Input((3,))
named = keras.Model(inputs, keras.layers.Dense(1)(Dense(name="own")(inputs)))
named.compile("sgd", "mse")
named.save(f"{path}/named.keras")
out["named"] = named.predict(x, verbose=0)

inner = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
norm = keras.layers.BatchNormalization()
hidden = keras.layers.Dropout(0.5)(norm(norm(inputs, training=False)), training=False)
fixed = keras.Model(inputs, keras.layers.Dense(1)(inner(hidden, training=False)))
fixed.compile("sgd", "mse")
fixed.save(f"{path}/fixed.h5")
"""
X = np.arange(15, dtype="float32").reshape(5, 3) / 15


class Dense(keras.layers.Layer):
    """Another layer than Keras' own."""

    def __init__(self, units: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,))

    def call(self, x: Any) -> Any:
        return keras.ops.sigmoid(keras.ops.matmul(x, self.kernel)) + self.bias


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tf_keras wrote, and what it computes."""
    folder = tmp_path_factory.mktemp("alike")
    return {"folder": folder, **oracle.python(WRITE, path=str(folder), x=X)}


def test_an_archive_tells_a_users_class_from_keras_own(told: dict[str, Any]) -> None:
    model = hozon.load_model(told["folder"] / "named.keras", custom_objects={"Dense": Dense})
    np.testing.assert_allclose(model.predict(X, verbose=0), told["named"], atol=1e-6)
    assert isinstance(model.layers[-1], keras.layers.Dense)


def test_keras_own_is_not_taken_for_a_users_class(told: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match="Dense"):
        hozon.load_model(told["folder"] / "named.keras")


def test_keras_clones_keep_arguments_of_calls(told: dict[str, Any]) -> None:
    model = hozon.load_model(told["folder"] / "fixed.h5")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    kinds = [type(layer) for layer in model.layers]
    assert [type(layer) for layer in clone.layers] == kinds
    np.testing.assert_allclose(clone(X, training=True), model(X, training=True), atol=1e-6)
    taken: list[type] = []
    keras.models.clone_model(
        model, clone_function=lambda x: taken.append(type(x)) or type(x).from_config(x.get_config())
    )
    assert set(taken) <= set(kinds)
