"""Tests for `hozon.keras_private.lengths`: tiny vectors and zeros, as Keras 2 scales them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
L = keras.layers
a = np.array([[3e-8, 4e-8, 0], [0, 0, 0], [3, 4, 5], [1e-20, 1e-21, 0]], "float32")
b = np.array([[1, 2, 3], [0, 0, 0], [1e-8, 1e-7, 0], [1, 1, 1]], "float32")
one, two = L.Input((3,)), L.Input((3,))
models = {
    "unit": (keras.Model(one, L.UnitNormalization(axis=[1])(one)), [a]),
    "dot": (keras.Model([one, two], L.Dot(1, normalize=True)([one, two])), [a, b]),
}
for name, (model, inputs) in models.items():
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs)
    gradients = [g.numpy() for g in tape.gradient(outputs, inputs)]
    model.compile("sgd", "mse")
    out[name] = [x.numpy() for x in inputs], outputs.numpy(), gradients
    for form in ("sm", "m.keras", "m.h5"):
        model.save(f"{folder}/{name}_{form}")
for name, loss in {"loss": "cosine_similarity", "object": keras.losses.CosineSimilarity()}.items():
    dense = L.Dense(3, use_bias=False, kernel_initializer="identity", name="d")
    model = keras.Sequential([L.Input((3,)), dense])
    model.compile("sgd", loss, metrics=[keras.metrics.CosineSimilarity(name="angle")])
    for form in ("sm", "m.keras", "m.h5"):
        model.save(f"{folder}/{name}_{form}")
    logs = model.train_on_batch(a, b, return_dict=True)
    out[name] = [a, b], logs, model.get_weights()[0]
"""
FORMS = ["sm", "m.keras", "m.h5"]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lengths")
    return {"folder": folder, **oracle.python(WRITE, folder=str(folder))}


def again(told: dict[str, Any], name: str, form: str, folder: Path) -> list[keras.Model]:
    """The model of a file, and what comes of it when it is saved as Keras 3 does."""
    model = hozon.load_model(told["folder"] / f"{name}_{form}")
    hozon.save_model(model, folder / "again.keras")
    return [model, hozon.load_model(folder / "again.keras")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["unit", "dot"])
def test_layers(told: dict[str, Any], name: str, form: str, tmp_path: Path) -> None:
    inputs, outputs, gradients = told[name]
    for model in again(told, name, form, tmp_path):

        def call(values: Any, model: keras.Model = model) -> Any:
            return model(values if len(values) > 1 else values[0])

        np.testing.assert_allclose(call(inputs), outputs, rtol=1e-5)
        found = jax.grad(lambda values, call=call: jnp.sum(call(values)))(inputs)
        for got, want in zip(found, gradients, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["loss", "object"])
def test_losses_and_metrics(told: dict[str, Any], name: str, form: str, tmp_path: Path) -> None:
    (x, y), logs, kernel = told[name]
    for model in again(told, name, form, tmp_path):
        found = model.train_on_batch(x, y, return_dict=True)
        assert found == pytest.approx(logs, rel=1e-5)
        np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-4, atol=1e-5)


def test_what_is_made_here_is_of_keras_3() -> None:
    tiny = np.array([[3e-8, 4e-8]], "float32")
    np.testing.assert_allclose(keras.layers.UnitNormalization()(tiny), [[0.6, 0.8]], rtol=1e-5)
