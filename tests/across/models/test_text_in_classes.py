"""Layers of text in classes of users come back from tf_keras, are written again, and train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

#: A layer that reads text, a model with one, and a model that reads text beside numbers by itself.
CLASSES = """
class Tokens(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.read = keras.layers.TextVectorization(max_tokens=10, output_sequence_length=4)
        self.table = keras.layers.Embedding(10, 3)
    def call(self, texts):
        return self.table(self.read(texts))

class Outer(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokens, self.last = Tokens(), keras.layers.Dense(2)
    def call(self, texts, training=None):
        return self.last(mean(self.tokens(texts)))
    def get_config(self):
        return {}

class Beside(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.read = keras.layers.StringLookup(output_mode="count")
        self.hidden, self.last = keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)
    def call(self, inputs):
        number, text = inputs
        return self.last(self.hidden(self.read(text)) + number)
    def get_config(self):
        return {}

def functional():
    texts = keras.Input((1,), dtype="string")
    hidden = keras.layers.GlobalAveragePooling1D()(Tokens()(texts))
    return keras.Model(texts, keras.layers.Dense(2)(hidden))
"""
WRITE = (
    """
def mean(x):
    return tf.reduce_mean(x, 1)
"""
    + CLASSES
    + """
def truth(model, read, x, y, name):
    read.adapt(tf.constant([["a b c"], ["b c"], ["c"]]))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(f"{path}/{name}", save_format="tf")
    model.save(f"{path}/{name}.keras")
    before = model.predict(x, verbose=0)
    model.fit(x, y, verbose=0, shuffle=False)
    out[name] = {"before": before, "after": model.predict(x, verbose=0)}

keras.utils.set_random_seed(3)
texts = tf.constant([["a b"], ["c"], ["a d b"], ["b"]])
outer, beside, graph = Outer(), Beside(), functional()
truth(outer, outer.tokens.read, texts, y, "outer")
truth(beside, beside.read, [x, texts], y[:, :1], "beside")
truth(graph, graph.layers[1].read, texts, y, "functional")
"""
)
READ = """
model = keras.models.load_model(path)
texts = tf.constant([["a b"], ["c"], ["a d b"], ["b"]])
out["outputs"] = np.asarray(model([tf.constant(x), texts] if two else texts))
"""
TEXTS = np.array([["a b"], ["c"], ["a d b"], ["b"]], object)
NUMBERS = np.arange(12, dtype="float32").reshape(4, 3) / 12
Y = np.arange(8, dtype="float32").reshape(4, 2) / 8
NAMES = ["outer", "beside", "functional"]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tf_keras wrote, and what it goes on to compute."""
    folder = tmp_path_factory.mktemp("texts")
    return {"folder": folder, **oracle.python(WRITE, path=str(folder), x=NUMBERS, y=Y)}


def classes() -> dict[str, Any]:
    """The same classes in Keras 3, which has no such layers without TensorFlow."""
    found: dict[str, Any] = {
        "__name__": "users",
        "keras": keras,
        "mean": lambda x: keras.ops.mean(x, 1),
    }
    exec(CLASSES, found)
    return {name: found[name] for name in ("Tokens", "Outer", "Beside")}


def given(name: str) -> Any:
    return [NUMBERS, TEXTS] if name == "beside" else TEXTS


@pytest.mark.parametrize("form", ["", ".keras"])
@pytest.mark.parametrize("name", NAMES)
def test_by_the_class(told: dict[str, Any], oracle: Oracle, name: str, form: str) -> None:
    x, y = given(name), Y[:, :1] if name == "beside" else Y
    model = hozon.load_model(f"{told['folder']}/{name}{form}", custom_objects=classes())
    np.testing.assert_allclose(model.predict(x, verbose=0), told[name]["before"], atol=1e-5)
    model.fit(x, y, verbose=0, shuffle=False)
    np.testing.assert_allclose(model.predict(x, verbose=0), told[name]["after"], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_written_again(told: dict[str, Any], oracle: Oracle, tmp_path: Path, name: str) -> None:
    model = hozon.load_model(f"{told['folder']}/{name}.keras", custom_objects=classes())
    expected = told[name]["before"]
    for path in (tmp_path / "saved", tmp_path / "model.keras"):
        hozon.save_model(model, path)
        again = hozon.load_model(path, custom_objects=classes())
        np.testing.assert_allclose(again.predict(given(name), verbose=0), expected, atol=1e-5)
        assert not again.load_report.converted
    read = oracle.python(READ, path=str(tmp_path / "saved"), x=NUMBERS, two=name == "beside")
    np.testing.assert_allclose(read["outputs"], expected, atol=1e-5)


def test_a_class_learns_another_vocabulary_than_its_constructor_says(tmp_path: Path) -> None:
    from hozon.layers import StringLookup

    @keras.saving.register_keras_serializable(package="texts")
    class Words(keras.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.read = StringLookup(vocabulary=["zero"], output_mode="count", max_tokens=4)

        def call(self, texts: Any) -> Any:
            return self.read(texts)

    texts = keras.Input((1,), dtype="string")
    words = Words()
    model = keras.Model(texts, words(texts))
    words.read.set_vocabulary(["a", "b"])
    hozon.save_model(model, tmp_path / "saved")
    again = hozon.load_model(tmp_path / "saved", compile=False)
    x = np.array([["a"], ["b"], ["zero"]], object)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
