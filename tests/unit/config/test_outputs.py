"""Several outputs: losses and metrics of every form give the logs that tf_keras gave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.config.outputs import Outputs, by_output
from tests.oracle.client import Oracle
from tests.unit.config.truth import Case, faults_of_reading, write

pytestmark = pytest.mark.filterwarnings("ignore")

DATA = """
r = np.random.default_rng(0)
x = r.normal(size=(12, 6)).astype("float32")
y1, y2 = r.normal(size=(12, 2)).astype("float32"), r.normal(size=(12, 1)).astype("float32")
y = [y1, y2]
weights = [r.uniform(.5, 2, 12).astype("float32"), r.uniform(.5, 2, 12).astype("float32")]
i = keras.Input((6,))
a, b = layers.Dense(2, name="a")(i), layers.Dense(1, name="b_mse")(i)
"""


def two(compiled: str, *forms: str) -> Case:
    source = f"model = keras.Model(i, [a, b])\nmodel.compile('sgd', {compiled})\n"
    return Case(DATA + source, forms=forms or ("h5", "keras"))


def one(source: str, *forms: str) -> Case:
    return Case(DATA + source, forms=forms or ("h5", "keras"))


CASES: Mapping[str, Case] = {
    "one for all": two("'mse', metrics=['mae', 'mse']", "h5", "keras", "savedmodel"),
    "one output without a loss": two("['mse', None], metrics=['mae', ['mse']]"),
    "dictionaries": one("""
model = keras.Model(i, [a, b])
model.compile("sgd", {"a": "mse", "b_mse": keras.losses.Huber(.3)}, metrics={"b_mse": "mae"},
              loss_weights={"a": 2.}, weighted_metrics={"a": ["mse"]})
kw = {"sample_weight": weights}
"""),
    "a dictionary of some": two("{'b_mse': 'mse'}, metrics={'a': ['mae']}"),
    "weights for one loss": two("'mse', loss_weights=[.3, 2.]", "keras"),
    "one layer twice": one("""
d = layers.Dense(2, name="s")
model, y = keras.Model(i, [d(i), d(layers.ReLU()(i))]), [y1, y1 * 2]
model.compile("sgd", {"s": "mse", "s_1": "mae"}, metrics=["mae"], loss_weights={"s_1": .2})
"""),
    "one layer of three": one(
        """
lstm = layers.LSTM(2, return_state=True, name="l")
model, y = keras.Model(i, lstm(layers.Reshape((3, 2))(i))), [y1, y1 * 2, y1 - 1]
model.compile("sgd", "mse", metrics=[["mae"], None, ["mse"]])
""",
        "h5",
    ),
    "a dictionary of outputs": one("""
model, y = keras.Model(i, {"z": a, "c": b}), {"z": y1, "c": y2}
model.compile("sgd", {"z": "mse", "c": "mae"}, metrics={"z": ["mae"]}, loss_weights={"z": .2})
"""),
    "names with slashes": one("""
model = keras.Model(i, [layers.Dense(2, name="head/a")(i), layers.Dense(1, name="head/b")(i)])
model.compile("sgd", {"head/a": "mse", "head/b": "mae"}, metrics={"head/a": "mae"})
y = {"head/a": y1, "head/b": y2}
"""),
    "a dictionary for a Sequential": one("""
model, y = keras.Sequential([keras.Input((6,)), layers.Dense(2, name="only")]), y1
model.compile("sgd", {"only": "mse"}, metrics={"only": ["mae"]})
"""),
    "lists of one": one(
        """
model, y = keras.Model(i, a), y1
model.compile("sgd", ["mse"], metrics=[["mae", "mse"]], loss_weights=[.5])
""",
        "keras",
    ),
    "accuracy by output": one(
        """
p, q = layers.Dense(3, activation="softmax", name="p")(i), layers.Dense(1, name="q")(i)
model = keras.Model(i, [p, layers.Activation("sigmoid", name="s")(q)])
y = [r.integers(0, 3, (12, 1)), r.integers(0, 2, (12, 1)).astype("float32")]
model.compile("sgd", ["sparse_categorical_crossentropy", "binary_crossentropy"],
              metrics=["accuracy"])
""",
        "h5",
    ),
    "metrics by name": one("""
model = keras.Model(i, layers.Dense(3, activation="softmax")(i))
y = np.eye(3)[r.integers(0, 3, 12)].astype("float32")
model.compile("sgd", "categorical_crossentropy", metrics=[
    "acc", "categorical_accuracy", "crossentropy", "cosine_similarity", "AUC", "Precision",
    "mae", "logcosh", "poisson", "hinge", "RootMeanSquaredError"])
"""),
    # It is its mean that is shown and its sum that is minimized.
    "an added loss of each sample": one(
        """
model, y = keras.Model(i, a), y1
model.add_loss(tf.reduce_sum(tf.square(a), axis=1))
model.compile("sgd")
""",
        "h5",
    ),
}


@pytest.fixture(scope="module")
def files(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("outputs")
    return folder, write(oracle, CASES, folder)


@pytest.mark.parametrize("name", CASES)
def test_logs_have_the_names_and_numbers_of_the_writer(files: tuple[Path, Any], name: str) -> None:
    folder, answers = files
    assert list(faults_of_reading(CASES[name], answers[name], folder / name)) == []


LOGS = """
out["logs"] = {}
for name, path in paths.items():
    keras.backend.clear_session()
    model = keras.models.load_model(path)
    targets = y if len(model.outputs) > 1 else y[0]
    out["logs"][name] = model.evaluate(x, targets, verbose=0, return_dict=True)
"""
#: Models of Keras 3: names of metrics for each output.
NAMED: Mapping[str, list[list[str]]] = {
    "one": [["mae", "MSE", "AUC", "MeanAbsoluteError", "LogCoshError", "bce", "acc"]],
    "two": [["mae", "KLDivergence"], ["msle", "RootMeanSquaredError"]],
}
WRITTEN = {
    "m.h5": "keras2",
    "3.h5": "keras3",
    "d.h5": None,
    "m": None,
    "m.keras": "keras2",
    "3.keras": None,
}


@pytest.mark.oracle
def test_logs_of_metrics_by_name_are_those_of_keras(oracle: Oracle, tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(8, 3)), [r.uniform(size=(8, 1)) for _ in NAMED]
    paths, wanted = {}, {}
    for case, metrics in NAMED.items():
        inputs = keras.Input((3,))
        names = [f"h{i}" for i in range(len(metrics))]
        heads = [keras.layers.Dense(1, "sigmoid", name=name)(inputs) for name in names]
        model = keras.Model(inputs, heads)
        model.compile("sgd", "mse", metrics=metrics[0] if len(heads) == 1 else metrics)
        told = {"x": x, "y": y if len(heads) > 1 else y[0], "verbose": 0, "return_dict": True}
        wanted[case] = model.evaluate(**told)
        for form, dialect in WRITTEN.items():
            path = tmp_path / f"{case}-{form}"
            hozon.save_model(model, path, dialect=dialect)
            assert hozon.load_model(path).evaluate(**told) == pytest.approx(wanted[case], rel=1e-4)
            if dialect != "keras2" and form != "m":
                back = keras.models.load_model(path)
                assert back.evaluate(**told) == pytest.approx(wanted[case], rel=1e-4)
            if form in ("m", "m.h5", "m.keras"):
                paths[f"{case}-{form}"] = str(path)
    logs = oracle.python(LOGS, paths=paths, x=x, y=y)["logs"]
    for name, have in logs.items():
        assert have == pytest.approx(wanted[name.partition("-")[0]], rel=1e-4)


def test_what_is_not_known_of_the_outputs_is_left_as_it_is() -> None:
    told = {"loss": {"a": "mse"}, "metrics": ["mae"], "loss_weights": None}
    assert by_output(told, Outputs()) == {**told, "weighted_metrics": None}
