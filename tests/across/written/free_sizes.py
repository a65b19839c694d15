"""Models without fixed sizes, each with two inputs of different sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

RANDOM = np.random.default_rng(0)
MODELS: dict[str, Callable[[], Free]] = {}


@dataclass(frozen=True)
class Free:
    """A model, its inputs' names in order, and inputs of two sizes."""

    model: keras.Model
    first: list[np.ndarray]
    second: list[np.ndarray]


def free(make: Callable[[], Free]) -> Callable[[], Free]:
    MODELS[make.__name__] = make
    return make


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("float32")


def tokens(*shape: int) -> np.ndarray:
    return RANDOM.integers(1, 20, shape).astype("int32")


@free
def unet() -> Free:
    inputs = x = keras.Input((None, None, 3), name="image")
    skips = []
    for filters in (4, 6, 8):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skips.append(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(skips[-1])
    for filters, skip in zip((8, 6, 4), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        x = layers.Conv2D(filters, 3, padding="same")(layers.Concatenate()([x, skip]))
    model = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    return Free(model, [floats(2, 16, 24, 3)], [floats(1, 32, 8, 3)])


@free
def convolutional_lstm() -> Free:
    inputs = keras.Input((None, 6, 6, 2))
    x = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(inputs)
    x = layers.ConvLSTM2D(2, 3)(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    return Free(model, [floats(2, 4, 6, 6, 2)], [floats(1, 5, 6, 6, 2)])


class Positions(layers.Layer):
    def __init__(self, length: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = layers.Embedding(length, width)

    def build(self, _: Any) -> None:
        self.table.build(None)

    def call(self, inputs: Any) -> Any:
        return inputs + self.table(ops.arange(ops.shape(inputs)[1]))


@free
def decoder_only() -> Free:
    """As in GPT: causal attention, learned positions."""
    inputs = keras.Input((None,), dtype="int32")
    x = Positions(32, 8)(layers.Embedding(20, 8)(inputs))
    normal = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 4)(normal, normal, use_causal_mask=True)
    x = x + layers.Dense(8)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x)))
    return Free(keras.Model(inputs, layers.Dense(20)(x)), [tokens(2, 7)], [tokens(1, 12)])


class RelativeAttention(layers.Layer):
    """As in T5: a bias for each distance, sizes taken from the inputs."""

    def build(self, shape: Any) -> None:
        self.bias = self.add_weight(shape=(9, 2), name="bias")
        self.parts = [self.add_weight(shape=(8, 8), name=n) for n in ("query", "key", "value")]

    def call(self, x: Any) -> Any:
        batch, length = ops.shape(x)[0], ops.shape(x)[1]

        def heads(kernel: Any) -> Any:
            split = ops.reshape(ops.matmul(x, kernel), (batch, length, 2, 4))
            return ops.transpose(split, (0, 2, 1, 3))

        query, key, value = map(heads, self.parts)
        distance = ops.arange(length)[None, :] - ops.arange(length)[:, None]
        bias = ops.take(self.bias, ops.clip(distance, -4, 4) + 4, axis=0)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        weights = ops.softmax(scores + ops.transpose(bias, (2, 0, 1))[None])
        joined = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return ops.reshape(joined, (batch, length, 8))


@free
def relative_positions() -> Free:
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    model = keras.Model(inputs, layers.Dense(3)(x + RelativeAttention()(x)))
    return Free(model, [tokens(2, 7)], [tokens(1, 5)])


@free
def cross_attention() -> Free:
    a, b = keras.Input((None, 8), name="a"), keras.Input((None, 8), name="b")
    x = layers.Attention()([layers.MultiHeadAttention(2, 4)(a, b), b])
    model = keras.Model([a, b], layers.GlobalAveragePooling1D()(x))
    return Free(model, [floats(2, 5, 8), floats(2, 3, 8)], [floats(1, 4, 8), floats(1, 9, 8)])


@free
def encoder_decoder() -> Free:
    encoded, decoded = keras.Input((None, 4), name="a"), keras.Input((None, 3), name="b")
    _, hidden, carry = layers.LSTM(5, return_state=True)(encoded)
    x = layers.LSTM(5, return_sequences=True)(decoded, initial_state=[hidden, carry])
    model = keras.Model([encoded, decoded], layers.Dense(2)(x))
    return Free(model, [floats(2, 5, 4), floats(2, 3, 3)], [floats(1, 2, 4), floats(1, 6, 3)])


@free
def dilated() -> Free:
    """As in WaveNet."""
    inputs = keras.Input((None, 1))
    x = layers.Conv1D(4, 2, padding="causal")(inputs)
    for rate in (1, 2, 4):
        gate, value = (
            layers.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation=name)(x)
            for name in ("sigmoid", "tanh")
        )
        x = x + layers.Conv1D(4, 1)(gate * value)
    return Free(keras.Model(inputs, layers.Dense(2)(x)), [floats(2, 9, 1)], [floats(1, 14, 1)])


@free
def halved_and_doubled() -> Free:
    inputs = keras.Input((None, 4))
    x = layers.Conv1D(4, 3, strides=2, padding="same")(inputs)
    x = layers.UpSampling1D(4)(layers.AveragePooling1D(2)(x))
    x = layers.ZeroPadding1D(1)(layers.Cropping1D(1)(x))
    model = keras.Model(inputs, layers.Add()([x, layers.Dense(4)(inputs)]))
    return Free(model, [floats(2, 8, 4)], [floats(1, 16, 4)])


@free
def masked() -> Free:
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 4, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(2))(x))
    return Free(model, [tokens(2, 7) % 3], [tokens(1, 4)])


class Gated(layers.Layer):
    def build(self, _: Any) -> None:
        self.kernel = self.add_weight(shape=(4, 4), name="kernel")

    def call(self, x: Any, gate: Any = None) -> Any:
        made = ops.matmul(x, self.kernel)
        return made if gate is None else made * gate


@free
def keyword_argument() -> Free:
    a, b = keras.Input((None, 4), name="a"), keras.Input((None, 4), name="b")
    model = keras.Model([a, b], Gated()(a, gate=b))
    return Free(model, [floats(2, 3, 4), floats(2, 3, 4)], [floats(1, 5, 4), floats(1, 5, 4)])
