"""Text layers made without TensorFlow: adapted, in models, saved, opened by tf_keras and Keras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon import layers
from tests.oracle.client import Oracle

pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # JAX

TEXTS = ["the cat sat", "a dog sat on the mat", "The end!"]
X = np.array([["the dog"], ["cat on zebra"]])


def vectorizer(**arguments: Any) -> layers.TextVectorization:
    made = layers.TextVectorization(max_tokens=20, output_sequence_length=4, **arguments)
    made.adapt(TEXTS)
    return made


def functional() -> tuple[keras.Model, Any]:
    inputs = keras.Input((1,), dtype="string")
    embedded = keras.layers.Embedding(20, 3)(vectorizer()(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(embedded))), X


def sequential() -> tuple[keras.Model, Any]:
    head = [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)]
    inputs = keras.Input((1,), dtype="string")
    return keras.Sequential([inputs, vectorizer(), keras.layers.Embedding(20, 3), *head]), X


def lookups() -> tuple[keras.Model, Any]:
    words = keras.Input((2,), dtype="string", name="words")
    numbers = keras.Input((1,), dtype="int64", name="numbers")
    strings, integers = layers.StringLookup(output_mode="multi_hot"), layers.IntegerLookup()
    strings.adapt(np.array([["a", "b"], ["c", "a"]]))
    integers.adapt([5, 7, 7, 9])
    looked = keras.layers.Embedding(9, 2)(integers(numbers))
    hashed = keras.layers.Embedding(4, 2)(layers.Hashing(4)(numbers))
    flat = [strings(words), keras.layers.Flatten()(looked), keras.layers.Flatten()(hashed)]
    model = keras.Model([words, numbers], keras.layers.Dense(2)(keras.layers.Concatenate()(flat)))
    return model, [np.array([["a", "z"], ["c", "b"]]), np.array([[5], [1]])]


def only_text() -> tuple[keras.Model, Any]:
    return keras.Sequential([vectorizer()]), X[:, 0]


MODELS = {make.__name__: make for make in (functional, sequential, lookups, only_text)}


def trained(make: Any) -> tuple[keras.Model, Any, np.ndarray]:
    keras.utils.set_random_seed(3)
    model, x = make()
    y = np.asarray(model.predict(x, verbose=0))
    if model.weights:
        model.compile("adam", "mse")
        model.fit(x, np.ones_like(y), verbose=0)
        y = np.asarray(model.predict(x, verbose=0))
    return model, x, y


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with each model in each form, and what the models predict."""
    folder, told = tmp_path_factory.mktemp("text"), {}
    for name, make in MODELS.items():
        model, x, y = trained(make)
        for form in ("sm", "keras", "h5"):
            hozon.save_model(model, folder / f"{name}.{form}", format=FORMATS[form])
        told[name] = (x, y)
    return folder, told


FORMATS = {"sm": "savedmodel", "keras": "keras", "h5": "h5"}
ASK = """
import tf_keras, keras as keras3, numpy as np
def given(x):
    return [tf.constant(a) for a in x] if isinstance(x, list) else tf.constant(x)
for name, x in inputs.items():
    for form, library in (("sm", tf_keras), ("h5", tf_keras), ("keras", keras3)):
        model = library.models.load_model(f"{folder}/{name}.{form}", compile=False)
        out[name + form] = np.asarray(model(given(x)))
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_comes_back(name: str, form: str, saved: tuple[Path, dict[str, Any]]) -> None:
    folder, told = saved
    x, y = told[name]
    again = hozon.load_model(folder / f"{name}.{form}", compile=name != "only_text")
    np.testing.assert_allclose(again.predict(x, verbose=0), y, rtol=1e-5)


def test_tensorflow_opens_them(saved: tuple[Path, dict[str, Any]], oracle: Oracle) -> None:
    folder, told = saved
    inputs = {name: x for name, (x, _) in told.items()}
    answers = oracle.python(ASK, folder=str(folder), inputs=inputs)
    for name, (_, y) in told.items():
        for form in FORMATS:
            np.testing.assert_allclose(answers[name + form], y, rtol=1e-4, atol=1e-5)


def batches() -> Iterator[np.ndarray]:
    yield np.array(TEXTS[:2])
    yield np.array(TEXTS[2:])
    raise AssertionError("more batches were taken than asked for")


def test_adapt_takes_lists_arrays_and_batches() -> None:
    expected = vectorizer().get_vocabulary()
    for data, options in ((np.array(TEXTS), {}), (tuple(TEXTS), {}), (batches(), {"steps": 2})):
        made = layers.TextVectorization(max_tokens=20)
        made.adapt(data, **options)
        assert made.get_vocabulary() == expected
    with pytest.raises(TypeError, match="an iterable of batches"):
        layers.TextVectorization().adapt(3)


def test_adapts_as_in_tensorflow(oracle: Oracle) -> None:
    code = """
import tf_keras
made = tf_keras.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
made.adapt(tf.constant(texts))
out["vocabulary"] = made.get_vocabulary()
"""
    told = oracle.python(code, texts=TEXTS)
    assert vectorizer().get_vocabulary() == told["vocabulary"]


def test_models_without_text_are_as_they_were() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    kind = type(model)
    model.predict(np.ones((1, 2)), verbose=0)
    assert type(model) is kind
