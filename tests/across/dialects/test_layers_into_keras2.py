"""Each layer of Keras 3 in Keras 2's dialect: tf_keras takes it, and means the same by it."""

from __future__ import annotations

import json
from typing import Any

import keras
import pytest

from hozon.config.build import build_layer
from hozon.config.downgrade import to_keras2
from hozon.errors import UnsupportedError

#: The same words in Keras 3 and in tf_keras.
SAME = """
Dense(3)
Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal")
Dense(3, activation="silu", kernel_regularizer=K.regularizers.L1L2(0.25, 0.5))
Dense(3, kernel_constraint=K.constraints.MaxNorm(3.0, axis=[0]), bias_initializer="ones")
Dense(3, activity_regularizer=K.regularizers.L2(0.5), dtype="float64", trainable=False)
Dense(3, dtype="mixed_float16", kernel_initializer=K.initializers.VarianceScaling(2.0, "fan_out"))
Dense(3, kernel_initializer=K.initializers.Constant(0.5), bias_constraint="non_neg")
EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")
Embedding(7, 4)
Embedding(7, 4, mask_zero=True, embeddings_regularizer="l2", embeddings_initializer="zeros")
Activation("tanh")
Activation("swish")
Activation("mish")
Activation("exponential")
Activation("log_softmax")
ActivityRegularization(0.25, 0.5)
ReLU()
ReLU(max_value=6.0, negative_slope=0.25, threshold=0.5)
ELU(alpha=0.5)
PReLU()
PReLU(shared_axes=[1], alpha_initializer="ones")
Softmax()
Softmax(axis=[1, 2])
Flatten()
Flatten(data_format="channels_first")
Reshape((3, -1))
Permute((2, 1))
RepeatVector(3)
Masking(mask_value=2.0)
Identity()
Rescaling(0.5, offset=1.0)
Dropout(0.25)
Dropout(0.25, noise_shape=(None, 1), seed=3)
SpatialDropout1D(0.25)
SpatialDropout2D(0.25, data_format="channels_last")
SpatialDropout3D(0.25)
GaussianNoise(0.25)
GaussianDropout(0.25, seed=5)
AlphaDropout(0.25)
Add()
Subtract()
Multiply()
Average()
Maximum()
Minimum()
Concatenate(axis=1)
Dot(axes=(1, 2), normalize=True)
Conv1D(3, 2)
Conv1D(3, 2, padding="causal", dilation_rate=2, groups=1)
Conv2D(3, (2, 3), strides=(2, 1), padding="same", activation="relu")
Conv2D(4, 3, groups=2, data_format="channels_first", kernel_regularizer="l1")
Conv3D(3, 2, use_bias=False)
Conv1DTranspose(3, 2, strides=2)
Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=(1, 1))
Conv3DTranspose(3, 2)
SeparableConv1D(3, 2, depth_multiplier=2)
SeparableConv2D(3, 2, depthwise_initializer="ones", pointwise_regularizer="l2")
DepthwiseConv1D(3)
DepthwiseConv2D(3, depth_multiplier=2, depthwise_constraint="max_norm", activation="elu")
MaxPooling1D(3)
MaxPooling2D((2, 3), strides=1, padding="same")
MaxPooling3D(2, data_format="channels_first")
AveragePooling1D(3, strides=2)
AveragePooling2D(2)
AveragePooling3D(2)
GlobalAveragePooling1D()
GlobalAveragePooling2D(keepdims=True)
GlobalAveragePooling3D()
GlobalMaxPooling1D(data_format="channels_first")
GlobalMaxPooling2D()
GlobalMaxPooling3D()
ZeroPadding1D((1, 2))
ZeroPadding2D(((1, 2), (3, 4)))
ZeroPadding3D(2)
Cropping1D((1, 2))
Cropping2D(((1, 2), (3, 4)))
Cropping3D(1)
UpSampling1D(3)
UpSampling2D((2, 3), interpolation="bilinear")
UpSampling3D(2)
BatchNormalization()
BatchNormalization(axis=1, momentum=0.5, epsilon=0.25, center=False, gamma_initializer="zeros")
BatchNormalization(scale=False, beta_regularizer="l2", gamma_constraint="non_neg")
LayerNormalization()
LayerNormalization(axis=[1, 2], epsilon=0.25, center=False)
GroupNormalization(groups=2, axis=1)
UnitNormalization(axis=1)
SpectralNormalization(L.Dense(2, name="inner"), power_iterations=2)
Normalization(mean=1.0, variance=4.0)
Normalization(axis=-1, mean=[1.0, 2.0], variance=[3.0, 4.0], invert=True)
Attention(use_scale=True, score_mode="concat", dropout=0.25)
AdditiveAttention(use_scale=False)
MultiHeadAttention(2, 3)
MultiHeadAttention(2, 3, dropout=0.25, use_bias=False, output_shape=(5,))
SimpleRNN(3, return_sequences=True)
SimpleRNN(3, go_backwards=True, recurrent_dropout=0.25, activation="relu")
LSTM(3)
LSTM(3, return_state=True, stateful=True, unroll=True, unit_forget_bias=False, dropout=0.25)
LSTM(3, recurrent_regularizer="l2", bias_constraint="max_norm", activation="softsign")
GRU(3)
GRU(3, reset_after=False, return_sequences=True, recurrent_initializer="glorot_normal")
ConvLSTM1D(3, 2, recurrent_activation="sigmoid")
ConvLSTM2D(3, (2, 3), padding="same", return_sequences=True, recurrent_activation="sigmoid")
ConvLSTM3D(3, 2, recurrent_activation="sigmoid", dropout=0.25)
RNN(L.LSTMCell(3, name="cell"), return_sequences=True)
RNN(L.StackedRNNCells([L.LSTMCell(3, name="a"), L.GRUCell(2, name="b")], name="s"), unroll=True)
StackedRNNCells([L.SimpleRNNCell(3, name="one"), L.GRUCell(2, name="two", reset_after=False)])
TimeDistributed(L.Dense(2, name="inner"))
TimeDistributed(L.Conv2D(2, 3, name="inner", activation="relu"))
Bidirectional(L.LSTM(3, name="inner"))
Bidirectional(L.GRU(3, name="inner", return_sequences=True), merge_mode="sum")
Bidirectional(L.LSTM(3, name="inner"), merge_mode=None)
Resizing(4, 5)
Resizing(4, 5, interpolation="nearest", crop_to_aspect_ratio=True)
CenterCrop(3, 4)
RandomFlip("horizontal", seed=1)
RandomRotation((-0.25, 0.5), fill_mode="constant", fill_value=0.5, seed=1)
RandomTranslation(0.25, (-0.5, 0.25), interpolation="nearest", seed=1)
RandomZoom(0.25, width_factor=(0.25, 0.5), seed=1)
RandomContrast((0.25, 0.5), seed=1)
RandomBrightness((-0.25, 0.5), value_range=(0.0, 1.0), seed=1)
Discretization(bin_boundaries=[0.0, 1.0, 2.0])
Discretization(bin_boundaries=[0.0, 1.0], output_mode="one_hot")
CategoryEncoding(5, output_mode="count")
CategoryEncoding(num_tokens=5, output_mode="one_hot")
""".strip().splitlines()
#: Other words for the same in tf_keras.
OTHER = {
    "LeakyReLU(negative_slope=0.5)": "LeakyReLU(alpha=0.5)",
    'Activation("relu6")': "Activation(L.ReLU(6.0, name='relu6'))",
    "Dense(3, activation=L.LeakyReLU(negative_slope=0.5, name='act'))": (
        "Dense(3, activation=L.LeakyReLU(0.5, name='act'))"
    ),
    "MultiHeadAttention(2, 3, seed=4, flash_attention=None)": "MultiHeadAttention(2, 3)",
    "BatchNormalization(renorm=False)": "BatchNormalization()",
    "MultiHeadAttention(2, 3, value_dim=4)": "MultiHeadAttention(2, 3, value_dim=4)",
    "LSTM(3, use_cudnn=False, seed=3)": "LSTM(3)",
    "ConvLSTM2D(3, 2, seed=2, recurrent_activation='sigmoid')": (
        "ConvLSTM2D(3, 2, recurrent_activation='sigmoid')"
    ),
}
#: What Keras 2 cannot say, and what the refusal names.
REFUSED = {
    "Dense(3, activation='hard_sigmoid')": "hard_sigmoid",
    "Activation('squareplus')": "squareplus",
    "RMSNormalization()": "RMSNormalization",
    "GroupQueryAttention(2, 4, 2)": "GroupQueryAttention",
    "RandomCrop(2, 3)": "RandomCrop",
    "Resizing(2, 3, pad_to_aspect_ratio=True)": "pad_to_aspect_ratio",
    "ZeroPadding1D(1, data_format='channels_first')": "data_format",
    "TimeDistributed(L.RMSNormalization())": "RMSNormalization",
    "Dense(3, dtype='int8_from_float32')": "QuantizedDTypePolicy",
}
WORDS = {**{words: words for words in SAME}, **OTHER}
SOURCE = """
import json
from tf_keras.src.saving import serialization_lib
L = keras.layers

def told(config):
    return json.loads(json.dumps(config, default=lambda v: v.tolist() if hasattr(v, "tolist")
                                 else str(v)))

out["made"] = {}
for words, (plain, tagged) in configs.items():
    answer = {}
    try:
        right = eval("L." + others[words][:-1] + (", " if others[words][-2] != "(" else "")
                     + "name='layer')", {"L": L, "K": keras})
        answer["right"] = told(right.get_config())
        answer["tagged"] = told(serialization_lib.deserialize_keras_object(tagged).get_config())
        if type(right) is not L.SpectralNormalization:
            answer["plain"] = told(L.deserialize(plain, use_legacy_format=True).get_config())
    except Exception as error:
        answer["error"] = repr(error)
    out["made"][words] = answer
"""


def made_here(words: str) -> Any:
    named = words[:-1] + (", " if words[-2] != "(" else "") + "name='layer')"
    return eval("L." + named, {"L": keras.layers, "K": keras})


def serialized(words: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(
        json.dumps(keras.saving.serialize_keras_object(made_here(words)))
    )
    return config


@pytest.fixture(scope="module")
def made(oracle: Any) -> dict[str, Any]:
    """What tf_keras makes of each config, in both forms, and of the words for it."""
    configs = {}
    for words in WORDS:
        config = serialized(words)
        configs[words] = (to_keras2(config), to_keras2(config, tags=True))
    answer: dict[str, Any] = oracle.python(SOURCE, configs=configs, others=WORDS)["made"]
    return answer


@pytest.mark.parametrize("words", sorted(WORDS))
def test_tf_keras_means_the_same(made: dict[str, Any], words: str) -> None:
    answer = made[words]
    assert "error" not in answer
    assert answer["tagged"] == answer["right"]
    if words.startswith("SpectralNormalization"):
        assert "plain" not in answer  # tf_keras does not find this class of its own by its name
    else:
        assert answer["plain"] == answer["right"]


@pytest.mark.parametrize("words", sorted(SAME))
@pytest.mark.parametrize("tags", [False, True])
def test_read_back_is_the_same_layer(words: str, tags: bool) -> None:
    layer = made_here(words)
    again = build_layer(to_keras2(serialized(words), tags=tags), dialect="keras2")
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("words", sorted(REFUSED))
def test_what_keras2_cannot_say_is_refused_by_name(words: str) -> None:
    with pytest.raises(UnsupportedError, match=REFUSED[words]) as caught:
        to_keras2(serialized(words))
    assert caught.value.feature


#: Layers that Hozon keeps for Keras 2's sake, as Keras 2 wrote them.
KEPT: list[dict[str, Any]] = [
    {"class_name": "ThresholdedReLU", "config": {"theta": 0.5}},
    {
        "class_name": "LocallyConnected1D",
        "config": {
            "filters": 2,
            "kernel_size": [3],
            "strides": [1],
            "padding": "same",
            "implementation": 2,
            "activation": "relu",
        },
    },
    {"class_name": "LocallyConnected2D", "config": {"filters": 2, "kernel_size": [3, 2]}},
    {"class_name": "RandomCrop", "config": {"height": 3, "width": 4, "seed": 1}},
    {"class_name": "RandomHeight", "config": {"factor": [-0.5, 0.25], "seed": 1}},
    {"class_name": "RandomWidth", "config": {"factor": 0.25, "interpolation": "nearest"}},
    {
        "class_name": "RandomFourierFeatures",
        "config": {"output_dim": 3, "kernel_initializer": "laplacian", "scale": 2.0},
    },
    {"class_name": "MultiHeadAttention", "config": {"num_heads": 2, "key_dim": 3, "value_dim": 5}},
    {
        "class_name": "LSTM",
        "config": {
            "units": 3,
            "time_major": True,
            "return_sequences": True,
            "recurrent_activation": "hard_sigmoid",
        },
    },
    {"class_name": "TFOpLambda", "config": {"function": "math.reduce_mean"}},
    {"class_name": "SlicingOpLambda", "config": {"function": "__operators__.getitem"}},
    {"class_name": "AddLoss", "config": {"unconditional": True}},
    {"class_name": "AddMetric", "config": {"aggregation": "mean", "metric_name": "m"}},
    {"class_name": "Hashing", "config": {"num_bins": 3, "salt": [5, 7]}},
    {"class_name": "HashedCrossing", "config": {"num_bins": 3}},
    {"class_name": "StringLookup", "config": {"vocabulary": ["a", "b"], "num_oov_indices": 2}},
    {"class_name": "IntegerLookup", "config": {"vocabulary": [4, 5], "output_mode": "one_hot"}},
    {"class_name": "TextVectorization", "config": {"vocabulary": ["a"], "split": "character"}},
]


@pytest.mark.parametrize("entry", KEPT, ids=lambda entry: entry["class_name"])
def test_layers_kept_for_keras2_are_written_as_they_were(oracle: Any, entry: Any) -> None:
    entry["config"]["name"] = "layer"
    live = build_layer(entry, dialect="keras2")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(live)))
    for tags in (False, True):
        made = to_keras2(config, tags=tags)
        assert made["class_name"] == entry["class_name"]
        for key, value in entry["config"].items():
            assert made["config"][key] == value, key
        again = build_layer(made, dialect="keras2")
        assert type(again) is type(live)
        assert again.get_config() == live.get_config()
    source = "out['k'] = type(keras.layers.deserialize(config, use_legacy_format=True)).__name__"
    if entry["class_name"] not in ("AddLoss", "AddMetric", "RandomFourierFeatures"):
        told = oracle.python(source, config=to_keras2(config))["k"]
        assert told == entry["class_name"]


def doubled(x: Any) -> Any:
    """A function of the user's."""
    return x * 2


def test_lambda_of_a_named_function_and_of_bytecode() -> None:
    config = keras.saving.serialize_keras_object(keras.layers.Lambda(doubled, name="l"))
    made = to_keras2(config)
    assert (made["config"]["function"], made["config"]["function_type"]) == ("doubled", "function")
    again = build_layer(made, custom_objects={"doubled": doubled}, dialect="keras2")
    assert float(again(keras.ops.ones((1,)))[0]) == 2.0
    entry = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "x"}}},
    }
    with pytest.raises(UnsupportedError, match="bytecode"):
        to_keras2(entry)


def test_every_layer_of_both_is_tried() -> None:
    from hozon.config.dialects.to_keras2 import LAYERS

    tried = {words.partition("(")[0] for words in (*WORDS, *REFUSED)}
    inside = {"SimpleRNNCell", "LSTMCell", "GRUCell", "InputLayer", "Lambda"}
    text = {"TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing"}
    legacy = {
        "LocallyConnected1D",
        "LocallyConnected2D",
        "RandomHeight",
        "RandomWidth",
        "ThresholdedReLU",
    }
    assert LAYERS - tried == inside | text | legacy
