"""Tests for `hozon.keras_private.crossentropy`: sure and wrong, as in Keras 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
L = keras.layers
x = np.array([[50, -50, 0], [20, 0, -20], [-30, 30, 1], [1, 2, 3]], "float32")
some = np.array([[0, 1, 1], [0, 1, 1], [1, 0, 0], [0, 0, 1]], "float32")
one = np.array([1, 2, 0, 0])
hot = np.eye(3, dtype="float32")[one]
edge = np.array([[0, 1, 0], [1, 0, 0], [0.2, 0.3, 0.5], [1, 1, 1]], "float32")
class Own(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        super().compute_loss(x, y, y_pred, sample_weight)  # which the logs show
        return tf.reduce_mean(keras.losses.binary_crossentropy(y, y_pred))
METRICS = {
    "binary": ["binary_crossentropy", keras.metrics.BinaryCrossentropy(name="b")],
    "categorical": ["categorical_crossentropy"],
    "sparse": ["sparse_categorical_crossentropy"],
}
cases = {
    "sigmoid": ("sigmoid", "binary_crossentropy", x, some),
    "softmax": ("softmax", "categorical_crossentropy", x, hot),
    "sparse": ("softmax", keras.losses.SparseCategoricalCrossentropy(), x, one),
    "both": ("softmax", "binary_crossentropy", x, some),
    "smoothed": ("sigmoid", keras.losses.BinaryCrossentropy(label_smoothing=0.1), x, some),
    "focal": ("sigmoid", "binary_focal_crossentropy", x, some),
    "probable": (None, "binary_crossentropy", edge, some),
    "probable sparse": (None, "sparse_categorical_crossentropy", edge, one),
    "own": ("sigmoid", "binary_crossentropy", x, some),
    "logits": (None, keras.losses.BinaryCrossentropy(from_logits=True), x, some),
}
for name, (activation, loss, inputs, targets) in cases.items():
    dense = L.Dense(3, use_bias=False, kernel_initializer="identity", name="d")
    last = [] if activation is None else [L.Activation(activation)]
    model = keras.Sequential([L.Input((3,)), dense, *last])
    if name == "own":
        model = Own(model.inputs, model.outputs)
    kind = "sparse" if targets.ndim == 1 else "categorical" if targets is hot else "binary"
    metrics = [] if name.startswith("probable") else METRICS[kind]
    model.compile(keras.optimizers.SGD(0.01), loss, metrics=metrics)
    for form in forms:
        model.save(f"{folder}/{name}_{form}")
    loss = model.evaluate(inputs, targets, verbose=0)
    model.reset_metrics()
    first = model.train_on_batch(inputs, targets)
    out[name] = inputs, targets, loss, first, model.get_weights()[0]
"""
NAMES = ["sigmoid", "softmax", "sparse", "both", "smoothed", "focal", "probable"]
NAMES += ["probable sparse", "own", "logits"]
FORMS = ["sm", "m.keras", "m.h5"]


class Own(keras.Model):
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        return keras.ops.mean(keras.losses.binary_crossentropy(y, y_pred))


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("crossentropy")
    return {"folder": folder, **oracle.python(WRITE, folder=str(folder), forms=FORMS)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_losses_and_steps_are_those_of_keras_2(
    told: dict[str, Any], name: str, form: str, tmp_path: Path
) -> None:
    x, y, evaluated, first, kernel = told[name]
    own = {"Own": Own}
    model = hozon.load_model(told["folder"] / f"{name}_{form}", custom_objects=own)
    hozon.save_model(model, tmp_path / "again.keras")
    for live in (model, hozon.load_model(tmp_path / "again.keras", custom_objects=own)):
        assert live.evaluate(x, y, verbose=0) == pytest.approx(evaluated, rel=1e-5)
        live.reset_metrics()
        assert live.train_on_batch(x, y) == pytest.approx(first, rel=1e-5)
        np.testing.assert_allclose(live.get_weights()[0], kernel, rtol=1e-5, atol=1e-6)


def test_what_is_made_here_is_of_keras_3() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Activation("sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    cut = -np.log(keras.config.epsilon())
    assert model.evaluate(np.array([[50.0]]), np.array([[0.0]]), verbose=0) <= cut + 1
