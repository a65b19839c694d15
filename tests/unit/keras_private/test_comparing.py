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


ROWS = """
class Doubled(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(2.0 * tf.square(y_true - y_pred), axis=-1)

class Distance(keras.metrics.Metric):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        apart = tf.abs(tf.cast(y_true, "float32") - y_pred)
        weight = 1.0 if sample_weight is None else sample_weight
        self.total.assign_add(tf.reduce_sum(weight * apart))

    def result(self):
        return self.total

def root(y_true, y_pred):
    return tf.sqrt(tf.reduce_mean(tf.square(tf.cast(y_true, "float32") - y_pred)))

rng = np.random.RandomState(0)
x, y, weights = rng.rand(6, 3), rng.rand(6), rng.rand(6) + 0.5
classes = (3 * y).astype("int32")
start = keras.Input((3,))
value, kind = keras.layers.Dense(1, name="value"), keras.layers.Dense(3, "softmax", name="kind")
keras.utils.set_random_seed(1)
one = keras.Model(start, value(start))
one.compile("sgd", Doubled(), metrics=[Distance(name="far"), root], weighted_metrics=[Distance()])
two = keras.Model(start, [value(start), kind(start)])
crossentropy = "sparse_categorical_crossentropy"
metrics = {"value": [Distance(), "mae"], "kind": ["mse", "cosine_similarity"]}
two.compile("sgd", {"value": Doubled(), "kind": crossentropy}, metrics=metrics)
given = {"one": (one, y), "two": (two, [y, classes])}
out["data"] = x, {name: target for name, (_, target) in given.items()}, weights
for name, (model, target) in given.items():
    for form in forms:
        model.save(f"{folder}/{name}{form}")
    plain = model.evaluate(x, target, verbose=0, return_dict=True)
    options = {"sample_weight": weights} if name == "one" else {}
    history = model.fit(x, target, verbose=0, shuffle=False, epochs=2, **options).history
    out[name] = plain, {key: list(map(float, values)) for key, values in history.items()}
"""


class Doubled(keras.losses.Loss):  # type: ignore[misc]
    """A loss that, like many, trusts its targets to have the shape of the outputs."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(2.0 * keras.ops.square(y_true - y_pred), axis=-1)


class Distance(keras.metrics.Metric):  # type: ignore[misc]
    """A metric that does so with its weights too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        apart = keras.ops.abs(keras.ops.cast(y_true, "float32") - y_pred)
        weight = 1.0 if sample_weight is None else sample_weight
        self.total.assign_add(keras.ops.sum(weight * apart))

    def result(self) -> Any:
        return keras.ops.convert_to_tensor(self.total)


def root(y_true: Any, y_pred: Any) -> Any:
    apart = keras.ops.cast(y_true, "float32") - y_pred
    return keras.ops.sqrt(keras.ops.mean(keras.ops.square(apart)))


OWN = {"Doubled": Doubled, "Distance": Distance, "root": root}


@pytest.fixture(scope="module")
def rows(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rows")
    return {
        "folder": folder,
        **oracle.python(ROWS, folder=str(folder), forms=["", ".keras", ".h5"]),
    }


@pytest.mark.parametrize("form", ["", ".keras", ".h5"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_one_target_for_each_sample_is_a_column(rows: dict[str, Any], name: str, form: str) -> None:
    x, targets, weights = rows["data"]
    model = hozon.load_model(rows["folder"] / f"{name}{form}", custom_objects=OWN)
    plain = model.evaluate(x, targets[name], verbose=0, return_dict=True)
    same(plain, rows[name][0])
    options = {"sample_weight": weights} if name == "one" else {}
    history = model.fit(x, targets[name], verbose=0, shuffle=False, epochs=2, **options).history
    for epoch in range(2):
        expected = {k: v[epoch] for k, v in rows[name][1].items()}
        same({k: v[epoch] for k, v in history.items()}, expected)
