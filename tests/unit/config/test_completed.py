"""Graphs of Keras 2 come back as they were: arguments that calls fix, layers that levels share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon import UnsupportedError
from hozon.config.build import build_model
from hozon.config.serialization import model_to_json
from tests.oracle.client import Oracle
from tests.unit.config.truth import Case, faults_of_reading, faults_of_writing, write

pytestmark = pytest.mark.filterwarnings("ignore")

DATA = """
r = np.random.default_rng(0)
x = r.normal(size=(12, 6)).astype("float32") * 3 + 1
y = r.normal(size=(12, 2)).astype("float32")
i = keras.Input((6,))
"""
COMPILED = """
model.compile("sgd", "mse", metrics=["mae"])
"""


def case(source: str, **options: Any) -> Case:
    return Case(DATA + source + COMPILED, **{"forms": ("h5",), **options})


CASES: Mapping[str, Case] = {
    # Fine-tuning as the guides say: a base with BatchNormalization, run for inference.
    "base": case(
        """
base = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.BatchNormalization()])
model = keras.Model(i, layers.Dense(2)(layers.BatchNormalization()(base(i, training=False))))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
    "one layer called in three ways": case(
        """
bn = layers.BatchNormalization()
calls = [bn(i, training=False), bn(layers.ReLU()(i), training=True), bn(layers.Dense(6)(i))]
model = keras.Model(i, layers.Dense(2)(layers.Concatenate()(calls)))
"""
    ),
    "dropout that stays": case(
        "model = keras.Model(i, layers.Dense(2)(layers.Dropout(0.5)(i, training=True)))",
        forms=("h5", "keras", "savedmodel"),
        random=True,
    ),
    "inside of a model inside": case(
        """
a = keras.Input((6,))
inner = keras.Model(a, layers.BatchNormalization()(a, training=True), name="inner")
b = keras.Input((6,))
middle = keras.Model(b, layers.Dense(6)(inner(b, training=False)), name="middle")
sequential = keras.Sequential([middle, layers.BatchNormalization()])
model = keras.Model(i, layers.Dense(2)(sequential(i)))
"""
    ),
    "over steps": case(
        """
b = keras.Input((3,))
base = keras.Model(b, layers.BatchNormalization()(layers.Dense(3)(b)), name="base")
h = layers.TimeDistributed(base)(layers.Reshape((2, 3))(i), training=False)
model = keras.Model(i, layers.Dense(2)(layers.Flatten()(h)))
"""
    ),
    # A model inside of another and beside it is one model.
    "shared": case(
        """
core = keras.Sequential([keras.Input((6,)), layers.Dense(6, activation="tanh")], name="core")
b = keras.Input((6,))
outer = keras.Model(b, layers.Dense(6)(core(b)), name="outer")
model = keras.Model(i, layers.Dense(2)(layers.Multiply()([outer(i), core(i)])))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
    # A layer inside of others and beside them is one layer.
    "wrapped twice": case(
        """
d, steps = layers.Dense(3, activation="tanh"), layers.Reshape((2, 3))(i)
h = layers.TimeDistributed(d)(steps) + layers.TimeDistributed(d)(steps * 2) + d(steps)
model = keras.Model(i, layers.Dense(2)(layers.Flatten()(h)))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
    "model wrapped twice": case(
        """
b = keras.Input((3,))
core = keras.Model(b, layers.Dense(3, activation="tanh")(b))
steps = layers.Reshape((2, 3))(i)
h = layers.TimeDistributed(core)(steps) + layers.TimeDistributed(core)(steps * 2)
model = keras.Model(i, layers.Dense(2)(layers.Flatten()(h)))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
    "cell of two": case(
        """
cell, steps = layers.LSTMCell(3), layers.Reshape((2, 3))(i)
h = layers.RNN(cell)(steps) + layers.RNN([layers.GRUCell(3), cell])(steps)
model = keras.Model(i, layers.Dense(2)(h))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
    "both ways, and one way beside": case(
        """
rnn, steps = layers.GRU(3), layers.Reshape((2, 3))(i)
both, one = layers.Bidirectional(rnn)(steps), rnn(steps)
model = keras.Model(i, layers.Dense(2)(both) + layers.Dense(2)(one))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
    "inside of a later model": case(
        """
d = layers.Dense(6, activation="tanh")
first = d(i)
b = keras.Input((6,))
later = keras.Model(b, layers.Dense(6)(d(b)))
model = keras.Model(i, layers.Dense(2)(later(first)))
""",
        forms=("h5", "keras", "savedmodel"),
    ),
}
WRITTEN = ("h5/keras2", "keras/keras3")


@pytest.fixture(scope="module")
def files(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("graphs")
    return folder, write(oracle, CASES, folder)


@pytest.mark.parametrize("name", CASES)
def test_a_graph_computes_and_trains_as_it_did(files: tuple[Path, Any], name: str) -> None:
    folder, answers = files
    assert list(faults_of_reading(CASES[name], answers[name], folder / name)) == []


@pytest.mark.parametrize("name", ["base", "dropout that stays", "one layer called in three ways"])
def test_and_so_it_does_when_written_again(
    oracle: Oracle, files: tuple[Path, Any], name: str
) -> None:
    folder, answers = files
    written = Case(**{**vars_of(CASES[name]), "written": WRITTEN})
    assert list(faults_of_writing(oracle, written, answers[name], folder / name)) == []


def vars_of(one: Case) -> dict[str, Any]:
    return {key: getattr(one, key) for key in Case.__dataclass_fields__}


def test_a_model_of_its_tensors_keeps_the_argument(files: tuple[Path, Any]) -> None:
    folder, answers = files
    x = answers["dropout that stays"]["x"]
    model = hozon.load_model(folder / "dropout that stays" / "m.h5")
    part = keras.Model(model.input, model.layers[-2].output)
    assert np.any(np.asarray(part(x, training=False)) == 0)


def test_a_clone_keeps_the_argument(files: tuple[Path, Any]) -> None:
    folder, answers = files
    x = answers["dropout that stays"]["x"]
    clone = hozon.clone_model(hozon.load_model(folder / "dropout that stays" / "m.h5"))
    assert not np.allclose(clone(x, training=False), clone(x, training=False))


@pytest.mark.parametrize("name", ["shared", "wrapped twice", "model wrapped twice", "cell of two"])
def test_a_clone_shares_the_same_layers(files: tuple[Path, Any], name: str) -> None:
    folder, answers = files
    model = hozon.load_model(folder / name / "m.h5")
    clone = hozon.clone_model(model)
    clone.set_weights(model.get_weights())
    x = answers[name]["x"]
    assert np.allclose(clone(x), model(x), atol=1e-5)


def test_calls_beside_a_fixed_one_are_keras_own(files: tuple[Path, Any]) -> None:
    folder, _ = files
    hozon.load_model(folder / "dropout that stays" / "m.h5")
    x = keras.Input((6,))
    model = keras.Model(x, keras.layers.Dropout(0.5)(x, training=True))
    ones = np.ones((4, 6), "float32")
    assert np.array_equal(model.predict(ones, verbose=0), ones)


def test_what_keras_3_makes_otherwise_is_told(files: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = files
    model = hozon.load_model(folder / "dropout that stays" / "m.h5")
    told = hozon.save_model(model, tmp_path / "m.keras").lost
    assert any("training argument" in line for line in told)
    model = hozon.load_model(folder / "shared" / "m.h5")
    assert any("share core" in line for line in hozon.save_model(model, tmp_path / "s.keras").lost)
    assert len(hozon.load_model(tmp_path / "s.keras").weights) == len(model.weights)
    with pytest.raises(UnsupportedError, match="share"):
        hozon.save_model(model, tmp_path / "s2.keras", dialect="keras2")


def test_json_keeps_both(files: tuple[Path, Any]) -> None:
    folder, answers = files
    for name in ("base", "shared", "wrapped twice", "model wrapped twice", "cell of two"):
        model = hozon.load_model(folder / name / "m.h5")
        for dialect in ("keras2", "keras3"):
            made = hozon.model_from_json(model_to_json(model, dialect=dialect))
            assert len(made.weights) == len(model.weights)
            made.set_weights(model.get_weights())
            x = answers[name]["x"]
            for training in (False, True):
                assert np.allclose(
                    made(x, training=training), model(x, training=training), atol=1e-5
                )


@pytest.mark.parametrize("end", [".keras", ".h5"])
def test_a_threshold_is_in_words_that_keras_has(end: str, tmp_path: Path) -> None:
    entry = {
        "class_name": "Sequential",
        "config": [
            {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x"}},
            {"class_name": "ThresholdedReLU", "config": {"name": "t", "theta": 0.5}},
        ],
    }
    model = build_model(entry)
    report = hozon.save_model(model, tmp_path / f"m{end}", dialect="keras3")
    assert not any("imported" in line for line in report.lost)
    read = hozon.load_model(tmp_path / f"m{end}")
    assert type(read.layers[0]) is keras.layers.ReLU
    x = np.array([[0.4, 0.5, 0.6]], "float32")
    np.testing.assert_array_equal(read(x), model(x))


def test_a_class_that_keras_lacks_is_told(tmp_path: Path) -> None:
    entry = {
        "class_name": "Sequential",
        "config": [
            {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x"}},
            {"class_name": "ThresholdedReLU", "config": {"name": "t", "theta": -0.5}},
        ],
    }
    report = hozon.save_model(build_model(entry), tmp_path / "m.keras")
    assert any("Keras 3 has no ThresholdedReLU" in line for line in report.lost)


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        ([keras.Input((4,)), keras.layers.Dense(2)], False),
        ([keras.Input((4,)), keras.layers.Dense(2, kernel_constraint="non_neg")], True),
        ([keras.Input((4,)), keras.layers.Dense(2, bias_regularizer="l1")], True),
        ([keras.Input((4, 3)), keras.layers.Dense(2)], True),
        ([keras.Input((4, 3)), keras.layers.Masking(), keras.layers.LSTM(2)], True),
    ],
    ids=["plain", "constraint", "regularizer", "steps", "masks"],
)
def test_a_model_of_keras_2_says_so_where_it_trains_otherwise(stack: list[Any], told: bool) -> None:
    model = hozon.deserialize(hozon.serialize(keras.Sequential(stack), dialect="keras2"))
    assert ("trains_as" in hozon.serialize(model)) == told


@pytest.mark.parametrize("form", ["m.h5", "m.keras", "json"])
def test_a_model_of_keras_3_in_keras_2s_dialect_trains_on_as_it_was(
    form: str, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype("float32")
    norm = keras.layers.BatchNormalization(momentum=0.5)
    stack = [keras.Input((3, 3, 2)), norm, keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential(stack)
    if form == "json":
        again = hozon.model_from_json(model_to_json(model, dialect="keras2"))
        again.set_weights(model.get_weights())
    else:
        hozon.save_model(model, tmp_path / form, dialect="keras2")
        again = hozon.load_model(tmp_path / form, compile=False)
    for one in (model, again):
        one.compile("sgd", "mse")
        one.train_on_batch(x, np.ones((4, 1), "float32"))
    for got, want in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_operations_that_are_no_layers_stand_in_a_graph() -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, inputs + keras.layers.Dense(2)(inputs))
    again = hozon.model_from_json(model_to_json(model))
    again.set_weights(model.get_weights())
    x = np.ones((3, 2), "float32")
    np.testing.assert_array_equal(again(x), model(x))
