"""Tests for `hozon.keras_private.comparing`: metrics weigh samples by the mask, as in Keras 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
L, M = keras.layers, keras.metrics
ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 1, 2, 3]])
targets = np.array([[[1], [0], [1], [1]], [[0], [1], [1], [0]], [[1], [1], [0], [1]]], "float32")
model = keras.Sequential([
    L.Input((4,)), L.Embedding(4, 3, mask_zero=True), L.LSTM(3, return_sequences=True),
    L.Dense(1, activation="sigmoid")])
metrics = ["mae", "accuracy", M.RootMeanSquaredError(name="rmse"), M.Precision(name="precision"),
           M.Recall(name="recall"), M.AUC(name="auc"), M.TruePositives(name="positives"),
           M.CosineSimilarity(name="cosine")]
model.compile(keras.optimizers.SGD(0.1), "mse", metrics=metrics,
              weighted_metrics=[M.RootMeanSquaredError(name="weighted")])
for form in forms:
    model.save(f"{folder}/{form}")
weights = np.array([1.0, 2.0, 0.5])
out["data"] = ids, targets, weights
out["evaluated"] = model.evaluate(ids, targets, verbose=0, return_dict=True)
out["weighted"] = model.evaluate(ids, targets, sample_weight=weights, verbose=0, return_dict=True)
out["trained"] = model.fit(ids, targets, verbose=0, shuffle=False).history
"""
FORMS = ["sm", "m.keras", "m.h5"]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("comparing")
    return {"folder": folder, **oracle.python(WRITE, folder=str(folder), forms=FORMS)}


@pytest.mark.parametrize("form", FORMS)
def test_logs_are_those_of_keras_2(told: dict[str, Any], form: str, tmp_path: Path) -> None:
    ids, targets, weights = told["data"]
    model = hozon.load_model(told["folder"] / form)
    hozon.save_model(model, tmp_path / "again.keras")
    for live in (model, hozon.load_model(tmp_path / "again.keras")):
        plain = live.evaluate(ids, targets, verbose=0, return_dict=True)
        same(plain, told["evaluated"])
        given = live.evaluate(ids, targets, sample_weight=weights, verbose=0, return_dict=True)
        same(given, told["weighted"])
        history = live.fit(ids, targets, verbose=0, shuffle=False).history
        same({k: v[0] for k, v in history.items()}, {k: v[0] for k, v in told["trained"].items()})


def same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=1e-4), name


def test_what_is_made_here_is_of_keras_3() -> None:
    steps = keras.Input((2, 1))
    model = keras.Model(steps, keras.layers.Masking()(steps))
    model.compile("sgd", "mse", metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
    x = np.array([[[3.0], [0.0]]])
    found = model.evaluate(x, np.array([[[0.0], [0.0]]]), verbose=0, return_dict=True)
    assert found["rmse"] == pytest.approx(np.sqrt(4.5))
