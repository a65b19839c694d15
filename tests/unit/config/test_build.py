"""Models that tf_keras makes: their configs build here and compute what tf_keras computes."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.build import build_model

MODELS = {
    "lstm_initial_state": """
x, h, c = L.Input((5, 3)), L.Input((4,)), L.Input((4,))
m = keras.Model([x, h, c], L.LSTM(4)(x, initial_state=[h, c]))""",
    "encoder_decoder": """
x, y = L.Input((5, 3)), L.Input((6, 3))
_, h, c = L.LSTM(4, return_state=True)(x)
m = keras.Model([x, y], L.LSTM(4, return_sequences=True)(y, initial_state=[h, c]))""",
    "bidirectional_initial_state": """
x = L.Input((5, 3))
s = [L.Input((4,)) for _ in range(4)]
m = keras.Model([x, *s], L.Bidirectional(L.LSTM(4))(x, initial_state=s))""",
    "hard_sigmoid_rnn": """
x = L.Input((5, 3))
m = keras.Model(x, L.GRU(4, recurrent_activation="hard_sigmoid", reset_after=False)(x))""",
    "time_major": """
x = L.Input((None, 3), batch_size=2)
m = keras.Model(x, L.LSTM(4, time_major=True, return_sequences=True)(x))""",
    "nested_twice": """
inner = keras.Sequential([L.Input((3,)), L.Dense(2), L.Dense(3, activation="relu")], name="inner")
x = L.Input((3,))
m = keras.Model(x, L.Add()([inner(x), inner(inner(x))]))""",
    "nested_functional": """
a = L.Input((3,))
inner = keras.Model(a, [L.Dense(2)(a), L.Dense(4)(a)], name="inner")
x = L.Input((3,))
p, q = inner(x)
m = keras.Model(x, L.Concatenate()([q, p]))""",
    "deferred_sequential": """
inner = keras.Sequential([L.Dense(2), L.Dense(3)], name="inner")
x = L.Input((3,))
m = keras.Model(x, inner(x))""",
    "dict_inputs": """
x, y = L.Input((3,), name="x"), L.Input((3,), name="y")
m = keras.Model({"x": x, "y": y}, {"sum": L.Add()([x, y]), "dense": L.Dense(2)(y)})""",
    "slash_names": """
x = L.Input((3,), name="in/put")
m = keras.Model(x, L.Dense(2, name="b/c")(L.Dense(2, name="a/b")(x)))""",
    "shared_layer": """
d = L.Dense(3)
x, y = L.Input((3,)), L.Input((3,))
m = keras.Model([x, y], L.Subtract()([d(x), d(d(y))]))""",
    "mha_masks": """
x, y, k = L.Input((5, 4)), L.Input((6, 4)), L.Input((5, 6), dtype="bool")
o, s = L.MultiHeadAttention(2, 3)(x, y, attention_mask=k, return_attention_scores=True)
m = keras.Model([x, y, k], [o, s])""",
    "resizing": """
x = L.Input((8, 7, 3))
kinds = ("bicubic", "area", "gaussian", "mitchellcubic", "lanczos3")
m = keras.Model(x, [L.Resizing(5, 9, i, i == "area")(x) for i in kinds])""",
    "masking": """
x = L.Input((5,), dtype="int32")
m = keras.Model(x, L.LSTM(3)(L.Embedding(7, 4, mask_zero=True)(x)))""",
    "attention_dot": """
x, y = L.Input((5, 4)), L.Input((6, 4))
m = keras.Model([x, y], L.Attention(use_scale=True, score_mode="concat")([x, y]))""",
    "layer_norm_axes": """
x = L.Input((5, 4))
m = keras.Model(x, L.LayerNormalization(axis=[1, 2])(x))""",
    "activation_layer": """
x = L.Input((4,))
m = keras.Model(x, L.Dense(3, activation=L.LeakyReLU(0.4))(x))""",
    "cells": """
x = L.Input((5, 3))
m = keras.Model(x, L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True)(x))""",
    "conv_lstm": """
x = L.Input((3, 6, 6, 2))
m = keras.Model(x, L.ConvLSTM2D(2, 3, return_sequences=True)(x))""",
    "local_1d_same": """
x = L.Input((6, 2))
m = keras.Model(x, L.LocallyConnected1D(3, 3, padding="same", implementation=2)(x))""",
    "local_2d_sparse": """
x = L.Input((6, 5, 2))
m = keras.Model(x, L.LocallyConnected2D(3, (2, 3), strides=(2, 1), implementation=3)(x))""",
    "local_2d_channels_first": """
x = L.Input((2, 6, 5))
d = L.LocallyConnected2D(3, 2, data_format="channels_first", implementation=2)
m = keras.Model(x, d(x))""",
    "fourier": """
from tf_keras.src.layers.kernelized import RandomFourierFeatures
x = L.Input((4,))
m = keras.Model(x, RandomFourierFeatures(6, scale=2.0)(x))""",
    "flatten_shape_op": """
x = L.Input((4, 3))
m = keras.Model(x, tf.reshape(x, [tf.shape(x)[0], -1]) * 2.0 + 1.0)""",
    "lambda_relu": """
x = L.Input((4,))
m = keras.Model(x, L.Lambda(tf.nn.relu)(x))""",
    "multi_axis_softmax": """
x = L.Input((4, 3))
m = keras.Model(x, L.Softmax(axis=[1, 2])(x))""",
    "discretization": """
x = L.Input((4,))
m = keras.Model(x, L.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])(x))""",
    "category_encoding": """
x = L.Input((3,), dtype="int32")
m = keras.Model(x, L.CategoryEncoding(7, output_mode="count")(x))""",
    "separable_regularized": """
x = L.Input((8, 8, 3))
m = keras.Model(x, L.SeparableConv2D(4, 3, depthwise_regularizer="l2", padding="same")(x))""",
    "batch_norm_frozen": """
x = L.Input((4,))
d = L.Dense(4, kernel_constraint="max_norm")
m = keras.Model(x, L.BatchNormalization(trainable=False)(d(x)))""",
    "center_crop": """
x = L.Input((9, 8, 3))
m = keras.Model(x, L.RandomCrop(5, 6)(L.Rescaling(0.5)(x)))""",
}
SOURCE = """
L = keras.layers
out["made"] = {}
for name, source in models.items():
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    scope = {"keras": keras, "L": L, "tf": tf}
    exec(source, scope)
    m = scope["m"]
    random = np.random.default_rng(0)
    inputs = []
    for i in tf.nest.flatten(m.inputs):
        shape = [2 if s is None else s for s in i.shape]
        kind = np.dtype(i.dtype.as_numpy_dtype)
        values = random.integers(0, 2 if kind == bool else 6, shape) if kind.kind in "ib" else (
            random.normal(size=shape))
        inputs.append(values.astype(kind))
    given = tf.nest.pack_sequence_as(m.input, inputs) if isinstance(m.input, dict) else inputs
    outputs = m(given if len(inputs) > 1 else inputs[0], training=False)
    config = {"class_name": type(m).__name__, "config": m.get_config()}
    out["made"][name] = {
        "config": m.to_json(), "inputs": inputs, "names": list(m.input_names),
        "outputs": [tf.convert_to_tensor(o).numpy() for o in tf.nest.flatten(outputs)],
        "weights": {l.name: l.get_weights() for l in m.layers},
    }
"""


@pytest.fixture(scope="module")
def made(oracle: Any) -> dict[str, Any]:
    """What tf_keras made of each model."""
    answer: dict[str, Any] = oracle.python(SOURCE, models=MODELS)["made"]
    return answer


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(MODELS))
def test_model_computes_what_tf_keras_computes(made: dict[str, Any], name: str) -> None:
    told = made[name]
    changes: list[str] = []
    model = build_model(json.loads(told["config"]), report=changes)
    for layer_name, weights in told["weights"].items():
        if weights:
            model.get_layer(layer_name.replace("/", "_")).set_weights(weights)
    inputs = told["inputs"]
    given = dict(zip(told["names"], inputs, strict=True)) if name == "dict_inputs" else inputs
    outputs = keras.tree.flatten(model(given if len(inputs) > 1 else inputs[0], training=False))
    assert len(outputs) == len(told["outputs"])
    for mine, theirs in zip(outputs, told["outputs"], strict=True):
        assert tuple(mine.shape) == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(MODELS) - {"lambda_relu"}))
def test_built_model_is_saved_and_loaded_by_keras(
    made: dict[str, Any], name: str, tmp_path: Any
) -> None:
    model = build_model(json.loads(made[name]["config"]))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    rebuilt = build_model(json.loads(again.to_json()))
    assert [type(layer) for layer in rebuilt.layers] == [type(layer) for layer in model.layers]
