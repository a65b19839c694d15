"""Rows of the dialect tables: what each makes of an old config, without building anything."""

from __future__ import annotations

from typing import Any

import pytest

from hozon.config.dialects import RULES
from hozon.config.upgrade import is_keras3, policy, upgrade
from hozon.errors import UnsupportedError


def layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "l", **config}}


@pytest.mark.parametrize(
    ("class_name", "config", "expected_class", "expected"),
    [
        (
            "Dense",
            {"units": 3, "batch_input_shape": [None, 2], "input_dtype": "float32"},
            "Dense",
            {"units": 3},
        ),
        (
            "Embedding",
            {"input_dim": 9, "output_dim": 2, "input_length": 4},
            "Embedding",
            {"input_dim": 9, "output_dim": 2},
        ),
        ("LeakyReLU", {"alpha": 0.3}, "LeakyReLU", {"negative_slope": 0.3}),
        (
            "SpatialDropout2D",
            {"rate": 0.5, "noise_shape": None, "trainable": True},
            "SpatialDropout2D",
            {"rate": 0.5},
        ),
        ("BatchNormalizationV1", {"axis": [3], "fused": True}, "BatchNormalization", {"axis": 3}),
        ("SyncBatchNormalization", {"axis": [1]}, "BatchNormalization", {"axis": 1}),
        ("LayerNormalization", {"axis": [2]}, "LayerNormalization", {"axis": 2}),
        ("LayerNormalization", {"axis": [1, 2]}, "LayerNormalization", {"axis": [1, 2]}),
        (
            "LSTM",
            {"units": 1, "implementation": 2, "time_major": False},
            "LSTM",
            {"units": 1, "recurrent_activation": "hozon>hard_sigmoid"},
        ),
        (
            "GRU",
            {"units": 1, "recurrent_activation": "sigmoid"},
            "GRU",
            {"units": 1, "recurrent_activation": "sigmoid", "reset_after": False},
        ),
        (
            "CuDNNGRU",
            {"units": 1},
            "GRU",
            {
                "units": 1,
                "activation": "tanh",
                "recurrent_activation": "sigmoid",
                "use_bias": True,
                "reset_after": True,
            },
        ),
        (
            "DepthwiseConv2D",
            {"kernel_size": [3, 3], "groups": 1, "filters": None, "kernel_initializer": "zeros"},
            "DepthwiseConv2D",
            {"kernel_size": [3, 3]},
        ),
        ("Discretization", {"bins": [1.0, 2.0]}, "Discretization", {"bin_boundaries": [1.0, 2.0]}),
        (
            "CategoryEncoding",
            {"max_tokens": 3, "sparse": False},
            "CategoryEncoding",
            {"num_tokens": 3},
        ),
        ("ThresholdedReLU", {"theta": 1.0}, "hozon>ThresholdedReLU", {"theta": 1.0}),
        ("Activation", {"activation": "swish"}, "Activation", {"activation": "silu"}),
        (
            "Activation",
            {"activation": "log_softmax_v2"},
            "Activation",
            {"activation": "log_softmax"},
        ),
        (
            "Activation",
            {"activation": {"class_name": "function", "config": "hard_sigmoid"}},
            "Activation",
            {"activation": "hozon>hard_sigmoid"},
        ),
        # Keras 1
        (
            "Convolution2D",
            {
                "nb_filter": 4,
                "nb_row": 3,
                "nb_col": 5,
                "border_mode": "same",
                "subsample": [2, 2],
                "dim_ordering": "th",
                "bias": True,
            },
            "Conv2D",
            {
                "filters": 4,
                "kernel_size": [3, 5],
                "padding": "same",
                "strides": [2, 2],
                "data_format": "channels_first",
                "use_bias": True,
            },
        ),
        ("Dropout", {"p": 0.25}, "Dropout", {"rate": 0.25}),
        (
            "MaxPooling1D",
            {"pool_length": 2, "stride": 2, "border_mode": "valid"},
            "MaxPooling1D",
            {"pool_size": 2, "strides": 2, "padding": "valid"},
        ),
        ("Merge", {"mode": "concat", "concat_axis": 1}, "Concatenate", {"axis": 1}),
        ("Merge", {"mode": "cos", "dot_axes": 1}, "Dot", {"axes": 1, "normalize": True}),
    ],
)
def test_row(
    class_name: str, config: dict[str, Any], expected_class: str, expected: dict[str, Any]
) -> None:
    made = upgrade(layer(class_name, **config)).config
    assert made["class_name"] == expected_class
    assert made["config"] == {"name": "l", **expected}


def test_keras1_regularizer_and_constraint() -> None:
    made = upgrade(
        layer(
            "Dense",
            output_dim=2,
            W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.1},
            W_constraint={"name": "MaxNorm", "m": 3},
        )
    ).config["config"]
    assert made["kernel_regularizer"]["class_name"] == "L1L2"
    assert made["kernel_regularizer"]["config"] == {"l1": 0.0, "l2": 0.1}
    assert made["kernel_constraint"]["class_name"] == "MaxNorm"
    assert made["kernel_constraint"]["config"] == {"max_value": 3}


def test_initializers_lose_their_dtype_and_version() -> None:
    source = {"class_name": "GlorotUniformV2", "config": {"seed": None, "dtype": "float32"}}
    made = upgrade(layer("Dense", units=1, kernel_initializer=source)).config["config"]
    assert made["kernel_initializer"]["class_name"] == "GlorotUniform"
    assert made["kernel_initializer"]["config"] == {"seed": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("float32", "float32"),
        ({"class_name": "Policy", "config": {"name": "mixed_float16"}}, "mixed_float16"),
        ({"class_name": "PolicyV1", "config": {"name": "_infer", "loss_scale": None}}, None),
        (None, None),
    ],
)
def test_policy(value: Any, expected: Any) -> None:
    assert policy(value) == expected


def test_time_major_is_wrapped() -> None:
    made = upgrade(layer("LSTM", units=1, time_major=True))
    assert made.config["class_name"] == "hozon>TimeMajor"
    assert made.config["config"]["layer"]["class_name"] == "LSTM"
    assert any("time_major" in line for line in made.changes)


def test_sequential_without_input_layer_gets_one() -> None:
    first = layer("Embedding", input_dim=9, output_dim=2, batch_input_shape=[None, 4])
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [first]}}
    for source in ([first], {"name": "s", "layers": [first]}, {"name": "s", "layers": [inner]}):
        made = upgrade({"class_name": "Sequential", "config": source}).config["config"]["layers"]
        assert made[0]["class_name"] == "InputLayer"
        assert made[0]["config"]["batch_shape"] == [None, 4]
        assert made[0]["config"]["dtype"] == "int32"


def test_slashes_are_renamed_without_clashes() -> None:
    def entry(name: str, *inputs: str) -> dict[str, Any]:
        return {
            "name": name,
            "class_name": "ReLU",
            "config": {"name": name},
            "inbound_nodes": [[[i, 0, 0, {}] for i in inputs]],
        }

    source = {
        "name": "x",
        "class_name": "InputLayer",
        "inbound_nodes": [],
        "config": {"name": "x", "batch_input_shape": [None, 2]},
    }
    made = upgrade(
        {
            "class_name": "Functional",
            "config": {
                "name": "m",
                "layers": [source, entry("a/b", "x"), entry("a_b", "a/b")],
                "input_layers": [["x", 0, 0]],
                "output_layers": [["a_b", 0, 0]],
            },
        }
    )
    names = [e["name"] for e in made.config["config"]["layers"]]
    assert names == ["x", "a_b_", "a_b"]
    assert made.renamed == {"a/b": "a_b_"}
    assert any("a/b" in line for line in made.changes)


@pytest.mark.parametrize(
    "source",
    [
        layer("Conv2DTranspose", filters=1, kernel_size=1, groups=2),
        layer("ClassMethod", cls_symbol="RaggedTensor", method_name="from_tensor"),
        {
            "class_name": "Sequential",
            "config": [
                {
                    "class_name": "InputLayer",
                    "config": {"batch_input_shape": [None], "ragged": True},
                }
            ],
        },
    ],
)
def test_what_nobody_has_is_refused_by_name(source: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError):
        upgrade(source)


def test_several_axes_are_a_layer_of_ours() -> None:
    assert upgrade(layer("BatchNormalization", axis=[1, 2])).config["class_name"] == (
        "hozon>BatchNormalization"
    )


def test_source_is_left_alone() -> None:
    source = layer("LSTM", units=1, implementation=1)
    upgrade(source)
    assert source == layer("LSTM", units=1, implementation=1)


def test_dialect_is_told_by_what_only_keras_3_writes() -> None:
    assert is_keras3({"class_name": "InputLayer", "config": {"batch_shape": [None, 2]}})
    assert is_keras3(layer("Dense", dtype={"class_name": "DTypePolicy", "config": {}}))
    assert not is_keras3(layer("Dense", units=1, batch_input_shape=[None, 2]))


def test_rows_name_real_classes() -> None:
    assert len(RULES) > 60
    assert all(isinstance(rows, tuple) for rows in RULES.values())
