"""Functional models with string inputs, and vocabularies made by `adapt`."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.text_layers import TEXT_LAYERS
from hozon.config.text_layers.functional import accept_strings
from tests.oracle.client import Oracle

WORDS = np.array([["x"], ["q"]], object)
NUMBERS = np.ones((2, 2), np.float32)


def mixed(as_dict: bool) -> keras.Model:
    words, numbers = keras.Input((1,), dtype="string", name="w"), keras.Input((2,), name="n")
    vectors = TEXT_LAYERS["StringLookup"](vocabulary=["x", "y"], output_mode="one_hot")(words)
    outputs = keras.layers.Concatenate()([vectors, numbers])
    return keras.Model({"w": words, "n": numbers} if as_dict else [words, numbers], outputs)


@pytest.mark.parametrize("words", [WORDS, WORDS[:, 0]], ids=["as declared", "without last axis"])
@pytest.mark.parametrize("as_dict", [False, True], ids=["list", "dictionary"])
def test_strings_reach_their_layers(as_dict: bool, words: Any) -> None:
    model = accept_strings(mixed(as_dict))
    outputs = np.asarray(model({"w": words, "n": NUMBERS} if as_dict else [words, NUMBERS]))
    assert outputs.tolist() == [[0, 1, 0, 1, 1], [1, 0, 0, 1, 1]]


def test_sequential_and_nested_models_take_strings() -> None:
    inner = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            TEXT_LAYERS["TextVectorization"](vocabulary=["a", "b"], output_sequence_length=3),
        ]
    )
    text = keras.Input((1,), dtype="string")
    model = accept_strings(keras.Model(text, inner(text)))
    assert np.asarray(model(np.array([["b a"], ["c"]], object))).tolist() == [[3, 2, 0], [1, 0, 0]]


def test_models_without_strings_stay_as_they_are() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert type(accept_strings(model)) is keras.Sequential


ADAPT = """
layer = getattr(keras.layers, name)(**config)
layer.adapt(tf.constant(data))
out["vocabulary"] = json.dumps(layer.get_vocabulary(), default=int)
out["y"] = layer(tf.constant(data))
"""
TEXTS = np.array(["b a b", "c a", "b d e", ""], object)
INTEGERS = np.array([[1, 5, 5], [2, 1, 1]], np.int64)


@pytest.mark.parametrize(
    ("name", "config", "data"),
    [
        ("TextVectorization", {"max_tokens": 5}, TEXTS),
        ("TextVectorization", {"output_mode": "tf_idf"}, TEXTS),
        ("StringLookup", {"mask_token": "a"}, np.array([["b", "a"], ["b", "c"]], object)),
        ("IntegerLookup", {"num_oov_indices": 2}, INTEGERS),
    ],
)
def test_adapt(oracle: Oracle, name: str, config: dict[str, Any], data: Any) -> None:
    answer = oracle.python("import json\n" + ADAPT, name=name, config=config, data=data)
    layer = TEXT_LAYERS[name](**config)
    layer.adapt(data)
    assert layer.get_vocabulary() == json.loads(answer["vocabulary"])
    outputs = np.asarray(layer(data))
    assert outputs.dtype == answer["y"].dtype
    assert outputs.shape == answer["y"].shape
    np.testing.assert_allclose(outputs, answer["y"], rtol=1e-6)
