"""Masks reach the layers that they reached in Keras 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.config.serialization import serialize
from hozon.errors import UnsupportedError
from tests.oracle.client import Oracle
from tests.unit.config.truth import Case, faults_of_reading, write

pytestmark = pytest.mark.filterwarnings("ignore")

DATA = """
r = np.random.default_rng(0)
first, second = r.integers(0, 4, size=(12, 5)), r.integers(0, 3, size=(12, 5))
first[:, 0] = second[:, 0] = 1
x, y = [first, second], r.normal(size=(12, 2)).astype("float32")
i, j = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="int32")
e, f = (layers.Embedding(5, 6, mask_zero=True) for _ in range(2))
g = layers.Embedding(5, 6)
"""
COMPILED = """
model.compile("sgd", "mse")
"""


def case(source: str) -> Case:
    return Case(DATA + source + COMPILED, forms=("h5",))


CASES: Mapping[str, Case] = {
    "both of a sum": case(
        "model = keras.Model([i, j], layers.Dense(2)(layers.LSTM(3)(layers.Add()([e(i), f(j)]))))"
    ),
    "one of a sum": case("""
h = layers.GlobalAveragePooling1D()(layers.Add()([e(i), g(j)]))
model = keras.Model([i, j], layers.Dense(2)(h))
"""),
    "one after the other": case("""
h = layers.GRU(3)(layers.Concatenate(axis=1)([e(i), f(j)]))
model = keras.Model([i, j], layers.Dense(2)(h))
"""),
    "side by side": case("""
h = layers.GlobalAveragePooling1D()(layers.Concatenate()([e(i), f(j)]))
model = keras.Model([i, j], layers.Dense(2)(h))
"""),
    "one beside none": case("""
h = layers.LSTM(3)(layers.Concatenate()([e(i), g(j)]))
model = keras.Model([i, j], layers.Dense(2)(h))
"""),
    "with states": case("""
_, *states = layers.LSTM(4, return_state=True)(e(i))
h = layers.LSTM(4, return_sequences=True)(f(j), initial_state=states)
model = keras.Model([i, j], layers.Dense(2)(layers.GRU(3)(h)))
"""),
    "with states, inside of a model": case("""
a, b = keras.Input((5, 6)), keras.Input((4,))
decoder = keras.Model([a, b], layers.GRU(4, return_sequences=True)(a, initial_state=b))
_, state = layers.GRU(4, return_state=True)(e(i))
model = keras.Model([i, j], layers.Dense(2)(layers.LSTM(3)(decoder([f(j), state]))))
"""),
    "made over steps": case("""
x = r.integers(0, 3, size=(12, 3, 4))
x[:, :, 0], x[:4, 2] = 1, 0
w = keras.Input((3, 4), dtype="int32")
h = layers.TimeDistributed(layers.LSTM(4))(layers.TimeDistributed(e)(w))
model = keras.Model(w, layers.Dense(2)(layers.GRU(3)(h)))
"""),
}


@pytest.fixture(scope="module")
def files(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("masks")
    return folder, write(oracle, CASES, folder)


@pytest.mark.parametrize("name", CASES)
def test_masks_of_keras_2(files: tuple[Path, Any], name: str) -> None:
    folder, answers = files
    assert list(faults_of_reading(CASES[name], answers[name], folder / name)) == []


def test_masks_that_keras_2_would_merge_otherwise_are_refused() -> None:
    tokens, places = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="int32")
    masked, plain = layers.Embedding(5, 6, mask_zero=True), layers.Embedding(5, 6)
    merged = layers.Add()([masked(tokens), plain(places)])
    joined = layers.Concatenate()([masked(tokens), plain(places)])
    with pytest.raises(UnsupportedError, match="different masks"):
        serialize(keras.Model([tokens, places], layers.LSTM(3)(joined)), dialect="keras2")
    for read, refused in ((layers.LSTM(3), True), (layers.Flatten(), False)):
        model = keras.Model([tokens, places], layers.Dense(2)(read(merged)))
        if refused:
            with pytest.raises(UnsupportedError, match="different masks"):
                serialize(model, dialect="keras2")
        else:
            assert serialize(model, dialect="keras2")["class_name"] == "Functional"
    same = masked(tokens)
    model = keras.Model(tokens, layers.LSTM(3)(layers.Add()([same, layers.Dense(6)(same)])))
    assert serialize(model, dialect="keras2")["class_name"] == "Functional"


MERGED = """
layers = keras.layers
given = keras.Input((4,)), keras.Input((4,))
embedding = layers.Embedding(5, 3, mask_zero=True)
merged = getattr(layers, kind)()([embedding(ids) for ids in given])
model = keras.Model(given, merged * 0.5)
model.save(path)
ids = [np.array([[1, 2, 0, 0], [3, 0, 4, 0]]), np.array([[1, 0, 2, 0], [0, 0, 4, 3]])]
out["ids"], out["outputs"] = ids, model.predict(ids, verbose=0)
"""


@pytest.mark.parametrize("kind", ["Multiply", "Add", "Average", "Maximum", "Minimum", "Subtract"])
def test_what_is_masked_is_merged_as_it_is(oracle: Oracle, tmp_path: Path, kind: str) -> None:
    told = oracle.python(MERGED, path=str(tmp_path / "m.h5"), kind=kind)
    outputs = hozon.load_model(tmp_path / "m.h5").predict(told["ids"], verbose=0)
    np.testing.assert_allclose(outputs, told["outputs"], atol=1e-6)
