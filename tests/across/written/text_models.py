"""Models that take strings, each with inputs."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
from keras import layers

from hozon.config.text_layers import (
    HashedCrossing,
    Hashing,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from hozon.models.text.strings import with_strings

WORDS = ["the", "cat", "sat", "größe", "日本", "hello", "a"]
LINES = [
    "The cat -- sat!",
    "",
    "hello, HELLO  world\tand\nmore",
    "Größe ÄÖÜ größe",
    "日本 語 ok",
    "a a a",
    "  x  ",
    "sat",
]
NUMBERS = [5, -7, 12, 2**40 + 3, 0, 5, 99, 6]
PICKED = [2, 0, 1, 3, 77, 2, 4, 0]


def column(values: Any, dtype: Any = object) -> np.ndarray:
    return np.array(values, dtype)[:, None]


def vectorized() -> dict[str, Any]:
    """TextVectorization in all its modes; without a length the sizes depend on the texts."""
    known: dict[str, Any] = {"vocabulary": WORDS}
    return {
        "tokens": TextVectorization(**known),
        "cut": TextVectorization(output_sequence_length=2, **known),
        "filled": TextVectorization(output_sequence_length=9, standardize="lower", **known),
        "stripped": TextVectorization(standardize="strip_punctuation", **known),
        "as_they_are": TextVectorization(standardize=None, **known),
        "characters": TextVectorization(split="character", vocabulary=["a", "ö", "日", "h"]),
        "whole": TextVectorization(split=None, vocabulary=["sat", "a a a"]),
        "pairs": TextVectorization(ngrams=2, vocabulary=["cat sat", "a a", "the"]),
        "only_triples": TextVectorization(ngrams=(3,), vocabulary=["the cat sat", "a a a"]),
        "multi_hot": TextVectorization(output_mode="multi_hot", **known),
        "count": TextVectorization(
            output_mode="count", max_tokens=12, pad_to_max_tokens=True, **known
        ),
        "tf_idf": TextVectorization(
            output_mode="tf_idf", idf_weights=[0.5, 1, 1.5, 2, 2.5, 3, 3.5], **known
        ),
        "plain": TextVectorization(output_mode=None, split=None),
    }


def looked_up() -> dict[str, Any]:
    """StringLookup and Hashing of strings."""
    known: dict[str, Any] = {"vocabulary": [*LINES[2:5], "sat"]}
    return {
        "index": StringLookup(**known),
        "masked": StringLookup(mask_token="", **known),
        "several_unknown": StringLookup(num_oov_indices=3, mask_token="sat", vocabulary=["a a a"]),
        "one_hot": StringLookup(output_mode="one_hot", **known),
        "masked_hot": StringLookup(output_mode="multi_hot", mask_token="", **known),
        "weighted": StringLookup(output_mode="tf_idf", idf_weights=[1, 2, 3, 4], **known),
        "hash": Hashing(7),
        "masked_hash": Hashing(7, mask_value=""),
        "salted": Hashing(7, salt=[133, 2**62 + 9]),
        "hash_hot": Hashing(3, output_mode="one_hot"),
    }


def numbered() -> dict[str, Any]:
    """Layers that look integers up or hash them."""
    return {
        "number_index": IntegerLookup(vocabulary=[5, 12, 2**40 + 3]),
        "number_masked": IntegerLookup(vocabulary=[5, 12], mask_token=0, num_oov_indices=2),
        "number_hot": IntegerLookup(vocabulary=[5, 12], output_mode="multi_hot"),
        "number_hash": Hashing(11),
        "number_count": Hashing(4, mask_value=5, output_mode="count"),
    }


def named(layer: Any, name: str) -> Any:
    """The layer under a name of its own."""
    return type(layer).from_config({**layer.get_config(), "name": name})


def every_layer() -> tuple[keras.Model, dict[str, Any]]:
    """One output for each way of each layer."""
    text = keras.Input((1,), dtype="string", name="text")
    number = keras.Input((1,), dtype="int64", name="number")
    picked = keras.Input((1,), dtype="int64", name="picked")
    outputs = {}
    for name, layer in {**vectorized(), **looked_up()}.items():
        outputs[name] = named(layer, name)(text)
    for name, layer in numbered().items():
        outputs[name] = named(layer, name)(number)
    outputs["crossed"] = HashedCrossing(10, name="crossed")([text, number])
    outputs["crossed_hot"] = HashedCrossing(5, output_mode="one_hot", name="crossed_hot")(
        [text, number]
    )
    outputs["word"] = StringLookup(vocabulary=WORDS, invert=True, name="word")(picked)
    outputs["word_masked"] = StringLookup(
        vocabulary=WORDS, invert=True, mask_token="", oov_token="?", name="word_masked"
    )(picked)
    outputs["value"] = IntegerLookup(vocabulary=[2**40, -3], invert=True, name="value")(picked)
    outputs["twice"] = IntegerLookup(vocabulary=[2, 3], name="twice")(outputs["index"])
    outputs["encoded"] = layers.CategoryEncoding(6, output_mode="count", name="encoded")(
        outputs["masked"]
    )
    inputs = {"text": text, "number": number, "picked": picked}
    x = {
        "text": column(LINES),
        "number": column(NUMBERS, "int64"),
        "picked": column(PICKED, "int64"),
    }
    return with_strings(keras.Model(inputs, outputs)), x


def classifier(**options: Any) -> tuple[keras.Model, Any]:
    """Texts to classes, compiled; the vocabulary was learned."""
    vectorize = TextVectorization(max_tokens=30, **options)
    vectorize.adapt(LINES)
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            vectorize,
            layers.Embedding(30, 4),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"]
    )
    return with_strings(model), column(LINES)


def expected(model: keras.Model, x: dict[str, Any]) -> dict[str, np.ndarray]:
    """The outputs of `every_layer`; JAX would halve the integers that its layers get."""
    made = {name: np.asarray(value) for name, value in model(x).items()}
    wide = {name: np.asarray(model.get_layer(name)(x["number"])) for name in numbered()}
    both = [x["text"], x["number"]]
    crossed = {name: np.asarray(model.get_layer(name)(both)) for name in ("crossed", "crossed_hot")}
    return {**made, **wide, **crossed}


def recurrent() -> tuple[keras.Model, Any]:
    """Masked tokens of no fixed length through an LSTM, beside numbers; inputs of no last axis."""
    text, number = keras.Input((), dtype="string", name="text"), keras.Input((2,), name="number")
    tokens = TextVectorization(vocabulary=WORDS, name="words")(text)
    read = layers.LSTM(3)(layers.Embedding(9, 4, mask_zero=True)(tokens))
    made = layers.Dense(1)(layers.Concatenate()([read, number]))
    model = with_strings(keras.Model([text, number], made))
    return model, [np.array(LINES, object), np.arange(16, dtype="float32").reshape(8, 2) / 16]


def nested() -> tuple[keras.Model, Any]:
    """A dictionary of inputs, and a model in the model that takes the text."""
    inner = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            StringLookup(vocabulary=["sat", "a a a"]),
            layers.Embedding(3, 2),
            layers.Flatten(),
        ],
        name="inner",
    )
    line = keras.Input((1,), dtype="string", name="line")
    made = {"score": layers.Dense(1, name="score")(inner(line))}
    return with_strings(keras.Model({"line": line}, made)), {"line": column(LINES)}


def tokens() -> tuple[keras.Model, Any]:
    """Text alone: nothing to train."""
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            TextVectorization(vocabulary=WORDS, output_sequence_length=4),
        ]
    )
    return with_strings(model), column(LINES)


@keras.saving.register_keras_serializable(package="text_models")
class Folded(layers.Layer):
    """Computes what TensorFlow has no ops for: a reduction of the caller's own."""

    def call(self, inputs: Any) -> Any:
        return jax.lax.reduce(inputs, np.float32(0), lambda a, b: a + b + a * b, (1,))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def outside_tensorflow() -> tuple[keras.Model, Any]:
    """Text before something that is written as StableHLO."""
    line = keras.Input((1,), dtype="string")
    made = layers.Embedding(9, 4)(TextVectorization(vocabulary=WORDS)(line))
    return with_strings(keras.Model(line, Folded()(made))), column(LINES)
