"""Tests for `hozon.keras_private.compiled`: lists of results are in the order of Keras 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

LISTS = """
start = keras.Input((3,))
layers = keras.layers
hidden = layers.Dense(4, activation="tanh")(start)
z, a = layers.Dense(1, name="z")(hidden), layers.Dense(2, name="a")(hidden)
rng = np.random.RandomState(0)
x, y = rng.rand(6, 3), [rng.rand(6, 1), rng.rand(6, 2)]
MODELS = {
    "two": (keras.Model(start, [z, a]), {
        "loss": ["mse", "mae"], "metrics": [["mse", "mae"], ["mse"]],
        "weighted_metrics": [["mape"], ["mape", "cosine_similarity"]]}, y),
    "one": (keras.Model(start, z), {"loss": "mse", "metrics": ["mse", "mae"],
        "weighted_metrics": ["mape", "mae"]}, y[0]),
    "some": (keras.Model(start, [z, a]), {
        "loss": {"z": "mse", "a": "mae"}, "metrics": {"a": ["mse", "mae"]}}, y),
}
out["x"] = x
for name, (model, options, target) in MODELS.items():
    model.compile("sgd", **options)
    model.evaluate(x, target, verbose=0)
    for form in forms:
        model.save(f"{folder}/{name}{form}")
    lists = model.evaluate(x, target, verbose=0), model.test_on_batch(x, target)
    out[name] = target, *lists, model.train_on_batch(x, target)
"""


@pytest.fixture(scope="module")
def lists(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lists")
    told = oracle.python(LISTS, folder=str(folder), forms=["", ".keras", ".h5"])
    return {"folder": folder, **told}


@pytest.mark.parametrize("form", ["", ".keras", ".h5"])
@pytest.mark.parametrize("name", ["two", "one", "some"])
def test_lists_of_results_are_in_the_order_of_outputs(
    lists: dict[str, Any], name: str, form: str
) -> None:
    target, evaluated, tested, trained = lists[name]
    model = hozon.load_model(lists["folder"] / f"{name}{form}")
    x = lists["x"]
    np.testing.assert_allclose(model.evaluate(x, target, verbose=0), evaluated, rtol=1e-4)
    np.testing.assert_allclose(model.test_on_batch(x, target), tested, rtol=1e-4)
    np.testing.assert_allclose(model.train_on_batch(x, target), trained, rtol=1e-4)
