"""Tests for `hozon.keras_private.slopes`: steps where losses and layers have kinks and ties."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
L = keras.layers
x = np.array([[0, 6, -1], [1, 0, 0.5], [2.5, -2.5, 1], [-3, 3, 0]], "float32")
near, zero = x + np.array([0, 0.5, -1], "float32"), np.zeros_like(x)
hot = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
ties = np.array([[2, 1, 1], [0, 1, 0], [1, 2, 2], [2, 1, 0]], "float32")
one = lambda layer: lambda h: layer(h)
two = lambda layer: lambda h: layer([h, L.Reshape((3,))(h)])
some = np.arange(12).reshape(4, 3).astype("float32") / 7
cases = {
    "mae": (x, near, "mae", None), "mae at zero": (x, zero, "mae", None),
    "mape": (x, near, "mape", None), "hinge": (x, np.sign(x), "hinge", None),
    "categorical hinge": (ties, hot, "categorical_hinge", None),
    "huber": (x, near, keras.losses.Huber(0.5), None), "log cosh": (x, near, "logcosh", None),
    "abs": (x, some, "mse", tf.abs), "max": (x, some, "mse", lambda h: tf.maximum(h, 0.0)),
    "min": (x, some, "mse", lambda h: tf.minimum(1.0, h)),
    "clip": (x, some, "mse", lambda h: tf.clip_by_value(h, 0.0, 1.0)),
    "maximum": (x, some, "mse", two(L.Maximum())), "minimum": (x, some, "mse", two(L.Minimum())),
    "selu": (x, some, "mse", one(L.Activation("selu"))),
    "leaky": (x, some, "mse", one(L.LeakyReLU())),
    "slope": (x, some, "mse", one(L.ReLU(negative_slope=0.1))),
    "all": (x, some, "mse", one(L.ReLU(max_value=3.0, negative_slope=0.2, threshold=0.5))),
    "l1": (zero, some, "mse", "l1"),
}
for name, (inputs, targets, loss, last) in cases.items():
    begin = L.Input((3,))
    regularizer = keras.regularizers.L1(0.1) if last == "l1" else None
    h = L.Dense(3, kernel_initializer="identity", kernel_regularizer=regularizer)(begin)
    model = keras.Model(begin, last(h) if callable(last) else h)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.save(f"{folder}/{name}.h5")
    logs = model.train_on_batch(inputs, targets)
    out[name] = inputs, targets, logs, model.get_weights()
"""
NAMES = ["mae", "mae at zero", "mape", "hinge", "categorical hinge", "huber", "log cosh", "abs"]
NAMES += ["max", "min", "clip", "maximum", "minimum", "selu", "leaky", "slope", "all", "l1"]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("slopes")
    return {"folder": folder, **oracle.python(WRITE, folder=str(folder))}


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_keras_2(told: dict[str, Any], name: str) -> None:
    x, y, loss, values = told[name]
    model = hozon.load_model(told["folder"] / f"{name}.h5")
    assert model.train_on_batch(x, y) == pytest.approx(loss, rel=1e-5)
    for value, expected in zip(model.get_weights(), values, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_what_is_made_here_is_of_keras_3() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(1.0), "mae")
    model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
    assert model.get_weights()[0] != 1.0
