"""Text layers against the layers of tf_keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.config.build import build_layer, build_model
from hozon.config.text_layers import TEXT_LAYERS
from hozon.errors import (
    HozonError,
    MismatchError,
    MissingObjectError,
    UnsafeError,
    UnsupportedError,
)
from tests.oracle.client import Oracle

WORDS = ["the", "quick", "brown", "fox", "über", "jumps"]
NUMBERS = [12, 36, 1138, -42]
IDF = [0.25, 0.75, 0.6, 0.4, 1.5, 0.1]
TEXT = np.array(
    [
        ["The quick, brown FOX! "],
        [""],
        ["  dog's \t über-fox\nquick quick"],
        ["ÜBER"],
        ["a_b [x] (y) `z` fox."],
    ],
    dtype=object,
)
TOKENS = np.array(
    [["the", "dog", "fox"], ["", "fox", "[UNK]"], ["über", "quick", "quick"]], dtype=object
)
INTEGERS = np.array([[12, 1138, 42], [42, 1000, 36], [0, -1, -42]], np.int64)

ORACLE = """
import json
plain = lambda v: v.item() if isinstance(v, np.generic) else list(v)
layer = getattr(keras.layers, name)(**config)
x = [tf.constant(v) for v in inputs] if isinstance(inputs, list) else tf.constant(inputs)
y = layer(x)
out["y"] = y
out["config"] = json.dumps(layer.get_config(), default=plain)
words = layer.get_vocabulary() if hasattr(layer, "get_vocabulary") else []
out["vocabulary"] = json.dumps(words, default=plain)
"""
S, I, T, H, C = "StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"  # noqa: E741
WORD = {"vocabulary": WORDS}
NUMBER = {"vocabulary": NUMBERS}
CASES: list[tuple[str, dict[str, Any], Any]] = [
    (S, WORD, TOKENS),
    (S, {**WORD, "mask_token": ""}, TOKENS),
    (S, {**WORD, "num_oov_indices": 3}, TOKENS),
    (S, {**WORD, "num_oov_indices": 0}, np.array(["the", "jumps"])),
    (S, {**WORD, "num_oov_indices": 2, "mask_token": "", "output_mode": "count"}, TOKENS),
    (S, {**WORD, "output_mode": "multi_hot"}, TOKENS),
    (S, {**WORD, "output_mode": "multi_hot"}, TOKENS[0]),
    (S, {**WORD, "output_mode": "multi_hot", "max_tokens": 10, "pad_to_max_tokens": True}, TOKENS),
    (S, {**WORD, "output_mode": "one_hot"}, TOKENS[:, 0]),
    (S, {**WORD, "output_mode": "one_hot", "mask_token": ""}, TOKENS[:, :1]),
    (S, {**WORD, "output_mode": "tf_idf", "idf_weights": IDF}, TOKENS),
    (
        S,
        {
            **WORD,
            "output_mode": "tf_idf",
            "idf_weights": IDF,
            "max_tokens": 9,
            "pad_to_max_tokens": True,
        },
        TOKENS,
    ),
    (S, {"vocabulary": ["", "[UNK]", *WORDS], "mask_token": ""}, TOKENS),
    (S, {**WORD, "invert": True}, np.array([[0, 1, 2], [6, 7, -1]], np.int64)),
    (S, {**WORD, "invert": True, "mask_token": ""}, np.array([[0, 1, 2], [6, 7, 99]], np.int64)),
    (I, NUMBER, INTEGERS),
    (I, {**NUMBER, "mask_token": 0}, INTEGERS),
    (I, {**NUMBER, "num_oov_indices": 3}, INTEGERS),
    (I, {**NUMBER, "output_mode": "count"}, INTEGERS),
    (I, {**NUMBER, "output_mode": "one_hot"}, INTEGERS[:, 0]),
    (I, {**NUMBER, "output_mode": "tf_idf", "idf_weights": IDF[:4]}, INTEGERS),
    (I, {**NUMBER, "invert": True, "mask_token": 0}, np.array([[0, 1, 2], [5, 6, -3]], np.int64)),
    (T, WORD, TEXT),
    (T, WORD, TEXT[:, 0]),
    (T, WORD, TEXT[2, 0]),
    (T, {**WORD, "output_sequence_length": 3}, TEXT),
    (T, {**WORD, "output_sequence_length": 9}, TEXT),
    (T, {**WORD, "standardize": None}, TEXT),
    (T, {**WORD, "standardize": "lower"}, TEXT),
    (T, {**WORD, "standardize": "strip_punctuation"}, TEXT),
    (T, {"vocabulary": list("abcfoxü"), "split": "character"}, TEXT),
    (T, {"vocabulary": ["fox", "quick brown", "the quick"], "ngrams": 2}, TEXT),
    (T, {"vocabulary": ["fox", "quick brown", "the quick brown"], "ngrams": (1, 3)}, TEXT),
    (T, {**WORD, "output_mode": "multi_hot"}, TEXT),
    (T, {**WORD, "output_mode": "multi_hot", "ngrams": 2}, TEXT),
    (T, {**WORD, "output_mode": "count", "max_tokens": 20, "pad_to_max_tokens": True}, TEXT),
    (T, {**WORD, "output_mode": "tf_idf", "idf_weights": IDF}, TEXT),
    (T, {**WORD, "split": None}, TOKENS),
    (T, {**WORD, "split": None, "output_sequence_length": 5}, TOKENS),
    (T, {**WORD, "split": None, "output_sequence_length": 2}, TOKENS),
    (T, {**WORD, "split": None, "output_mode": "count"}, TOKENS),
    (T, {**WORD, "split": None, "ngrams": 2}, TOKENS),
    (T, {**WORD, "split": None}, TOKENS[:, 0]),
    (T, {**WORD, "split": None}, TOKENS[0, 0]),
    (T, {**WORD, "split": None, "ngrams": 2, "output_sequence_length": 4}, TOKENS[:, 0]),
    (T, {**WORD, "split": None, "output_mode": "count"}, TOKENS[:, 0]),
    (H, {"num_bins": 7}, TOKENS),
    (H, {"num_bins": 7}, INTEGERS),
    (H, {"num_bins": 7, "mask_value": ""}, TOKENS),
    (H, {"num_bins": 7, "mask_value": 42}, INTEGERS),
    (H, {"num_bins": 1, "mask_value": 42}, INTEGERS),
    (H, {"num_bins": 7, "salt": 133}, TOKENS),
    (H, {"num_bins": 7, "salt": [133, 137]}, INTEGERS),
    (H, {"num_bins": 7, "output_mode": "count"}, TOKENS),
    (H, {"num_bins": 7, "output_mode": "multi_hot"}, TOKENS),
    (H, {"num_bins": 7, "output_mode": "one_hot"}, TOKENS[:, 0]),
    (C, {"num_bins": 11}, [TOKENS[:, 0], TOKENS[:, 2]]),
    (C, {"num_bins": 11}, [TOKENS[:, 0], INTEGERS[:, 0], INTEGERS[:, 2]]),
    (C, {"num_bins": 11}, [TOKENS[:, :1], INTEGERS[:, :1]]),
    (C, {"num_bins": 11, "output_mode": "one_hot"}, [TOKENS[:, 0], INTEGERS[:, 0]]),
]


def ids() -> list[str]:
    return [
        f"{name}-{'-'.join(f'{k}' for k in config if k != 'vocabulary')}-{i}"
        for i, (name, config, _) in enumerate(CASES)
    ]


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if wanted.dtype == object:
        assert found.tolist() == wanted.tolist()
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(("name", "config", "inputs"), CASES, ids=ids())
def test_as_tf_keras(oracle: Oracle, name: str, config: dict[str, Any], inputs: Any) -> None:
    answer = oracle.python(ORACLE, name=name, config=config, inputs=inputs)
    saved = json.loads(answer["config"])
    layer = build_layer({"class_name": name, "config": saved}, dialect="keras2")
    assert type(layer) is TEXT_LAYERS[name]
    assert layer.host
    assert_same(layer(inputs), answer["y"])
    if hasattr(layer, "get_vocabulary"):
        assert layer.get_vocabulary() == json.loads(answer["vocabulary"])


@pytest.mark.parametrize(("name", "config", "inputs"), CASES, ids=ids())
def test_config_round_trip_and_symbolic_shape(
    name: str, config: dict[str, Any], inputs: Any
) -> None:
    layer = TEXT_LAYERS[name](**config)
    again = TEXT_LAYERS[name].from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    found = np.asarray(again(inputs))
    assert_same(found, layer(inputs))
    if np.ndim(inputs) == 0:
        return
    spec = layer.compute_output_spec(_symbolic(inputs))
    assert spec.dtype == ("string" if found.dtype == object else found.dtype)
    assert len(spec.shape) == found.ndim
    assert all(s in (None, n) for s, n in zip(spec.shape, found.shape, strict=True))


def _symbolic(inputs: Any) -> Any:
    if isinstance(inputs, list):
        return [_symbolic(x) for x in inputs]
    array = np.asarray(inputs)
    dtype = "string" if array.dtype.kind in "OSU" else str(array.dtype)
    rows = (None,) if array.ndim > 1 else array.shape
    return keras.KerasTensor((*rows, *array.shape[1:]), dtype)


@pytest.mark.parametrize(
    ("name", "config", "error"),
    [
        (S, {"vocabulary": "https://example.com/words.txt"}, UnsafeError),
        (T, {"vocabulary": "/etc/passwd"}, UnsafeError),
        (I, {"vocabulary": "numbers.txt"}, UnsafeError),
        (S, {"vocabulary": WORDS, "output_mode": "multi_hot", "sparse": True}, UnsupportedError),
        (T, {"ragged": True}, UnsupportedError),
        (T, {"split": None, "output_mode": None, "standardize": "mine"}, MissingObjectError),
        (S, {"vocabulary": ["a", "a"]}, MismatchError),
        (S, {"vocabulary": WORDS, "max_tokens": 3}, MismatchError),
        (S, {"vocabulary": WORDS, "output_mode": "nonsense"}, MismatchError),
        (I, {"vocabulary": ["x"]}, MismatchError),
        (S, {"vocabulary": WORDS, "output_mode": "tf_idf", "idf_weights": [1.0]}, MismatchError),
        (H, {"num_bins": 0}, MismatchError),
        (H, {"num_bins": 3, "salt": [1, 2, 3]}, MismatchError),
        (H, {"num_bins": 3, "anything": 3}, UnsupportedError),
    ],
)
def test_refusals(name: str, config: dict[str, Any], error: type[HozonError]) -> None:
    with pytest.raises(error):
        TEXT_LAYERS[name](**config)


ADAPTED = """
import keras as keras_3
layer = keras_3.layers.TextVectorization(split=None, ngrams=2)
layer.adapt(texts)
out["words"] = layer.get_vocabulary()
"""


def test_texts_that_are_not_split_are_documents(oracle: Oracle) -> None:
    texts = np.array(["the cat", "a dog", "the cat"], object)
    layer = TEXT_LAYERS[T](split=None, ngrams=2)
    layer.adapt(texts)
    assert layer.get_vocabulary() == oracle.python(ADAPTED, texts=texts)["words"]


def test_unknown_tokens_without_an_index_are_an_error() -> None:
    layer = TEXT_LAYERS[S](vocabulary=WORDS, num_oov_indices=0)
    with pytest.raises(MismatchError, match="dog"):
        layer(np.array(["dog"]))


def test_a_vocabulary_can_come_later() -> None:
    layer = TEXT_LAYERS[T](output_mode="tf_idf", vocabulary_size=len(WORDS) + 1)
    assert layer.compute_output_spec(_symbolic(TEXT)).shape == (None, 7)
    with pytest.raises(MismatchError, match="vocabulary"):
        layer(TEXT)
    layer.load_vocabulary([w.encode() for w in WORDS], [0.5, *IDF])
    direct = TEXT_LAYERS[T](
        output_mode="tf_idf", vocabulary=["[UNK]", *WORDS], idf_weights=[0.5, *IDF]
    )
    assert_same(layer(TEXT), direct(TEXT))


def test_bytes_that_are_no_utf8_survive_a_config() -> None:
    layer = TEXT_LAYERS[S](vocabulary=[b"\xff\xfe", b"ok"])
    again = TEXT_LAYERS[S].from_config(layer.get_config())
    assert again(np.array([b"\xff\xfe", b"no"], object)).tolist() == [1, 0]


def test_functions_of_the_caller_standardize_and_split() -> None:
    layer = TEXT_LAYERS[T](
        vocabulary=["a", "b"],
        standardize=lambda texts: texts + b",b",
        split=lambda texts: [t.split(b",") for t in texts],
    )
    assert layer(np.array(["a", "c,a"])).tolist() == [[2, 3, 0], [1, 2, 3]]


def test_numbers_are_looked_up_inside_compiled_programs() -> None:
    inputs = keras.Input((3,), dtype="int32")
    outputs = TEXT_LAYERS[I](vocabulary=NUMBERS, output_mode="count")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(outputs))
    x = INTEGERS.astype(np.int32)
    counts = TEXT_LAYERS[I](vocabulary=NUMBERS, output_mode="count")(x)
    wanted = counts @ np.asarray(model.layers[-1].kernel)
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, rtol=1e-5)
    model.compile("sgd", "mse", jit_compile=True)
    assert np.isfinite(model.fit(x, np.zeros((3, 2), np.float32), verbose=0).history["loss"][0])


def test_functional_models_of_keras_2_build(oracle: Oracle) -> None:
    answer = oracle.python(
        """
text = keras.Input((1,), dtype=tf.string, name="text")
y = keras.layers.TextVectorization(vocabulary=words, output_sequence_length=5)(text)
y = keras.layers.Embedding(9, 3)(y)
model = keras.Model(text, keras.layers.GlobalAveragePooling1D()(y))
out["config"] = model.to_json()
""",
        words=WORDS,
    )
    model = build_model(json.loads(answer["config"]), dialect="keras2")
    assert model.output_shape == (None, 3)
    assert model.inputs[0].dtype == "string"


OWN_FUNCTIONS = """
import os
def lowered(texts):
    return tf.strings.lower(texts)
@keras.utils.register_keras_serializable("mine")
def parted(texts):
    return tf.strings.split(texts, "-")
layer = keras.layers.TextVectorization(standardize=lowered, split=parted)
layer.adapt(np.array(["a-b c", "a d-e", "f", "a"]))
text = keras.Input((1,), dtype="string")
model = keras.Model(text, layer(text))
model.save(path)
out["indices"] = model.predict(tf.constant(x), verbose=0)
"""


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_functions_of_the_caller_in_a_keras_file(oracle: Oracle, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    x = [["A-b"], ["a d-zz-a"], ["f"], ["B C-E"]]
    want = oracle.python(OWN_FUNCTIONS, path=str(path), x=x)["indices"]

    def lowered(texts: Any) -> Any:
        return np.array([text.lower() for text in texts.ravel()], object).reshape(texts.shape)

    def parted(texts: Any) -> Any:
        return [text.split(b"-") for text in texts]

    with pytest.raises(MissingObjectError, match="lowered"):
        hozon.load_model(path)
    model = hozon.load_model(path, custom_objects={"lowered": lowered, "mine>parted": parted})
    np.testing.assert_array_equal(model.predict(np.array(x), verbose=0), want)
