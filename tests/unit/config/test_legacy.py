"""Layers that Keras 3 lacks or changed, against tf_keras with the same weights."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.build import build_layer, build_model
from hozon.config.legacy import LEGACY_LAYERS
from hozon.errors import UnsupportedError
from tests.oracle.client import Oracle

ORACLE = """
import json
def plain(v):
    return v.item() if isinstance(v, np.generic) else dict(v) if isinstance(v, dict) else list(v)
layer = eval(make)
layer(tf.constant(x))
random = np.random.default_rng(3)
layer.set_weights([random.uniform(0.5, 1.5, w.shape).astype(w.dtype) for w in layer.get_weights()])
y = layer(tf.constant(x), training=False)
out["y"] = [v.numpy() for v in tf.nest.flatten(y)]
out["weights"] = layer.get_weights()
out["entry"] = json.dumps({"class_name": type(layer).__name__, "config": layer.get_config()},
                          default=plain)
"""

CLIPPED = (
    "keras.layers.BatchNormalization(renorm=True, renorm_momentum=0.5, "
    "renorm_clipping={'rmax': 3.0, 'rmin': 0.3, 'dmax': 5.0})"
)
SERIES, IMAGES = (2, 9, 3), (2, 8, 7, 3)
CASES: list[tuple[str, tuple[int, ...]]] = [
    ("keras.layers.ThresholdedReLU(theta=0.3)", SERIES),
    ("keras.layers.ThresholdedReLU()", SERIES),
    *(
        (f"keras.layers.LocallyConnected1D({arguments}, implementation={i})", SERIES)
        for i in (1, 2, 3)
        for arguments in ("4, 3", "4, 3, strides=2, activation='tanh'", "2, 4, use_bias=False")
    ),
    *(
        (f"keras.layers.LocallyConnected1D({arguments}, implementation={i})", SERIES)
        for i in (2, 3)
        for arguments in (
            "4, 3, padding='same'",
            "4, 2, strides=2, padding='same'",
            "4, 2, data_format='channels_first'",
        )
    ),
    ("keras.layers.LocallyConnected1D(4, 2, data_format='channels_first')", SERIES),
    *(
        (f"keras.layers.LocallyConnected2D({arguments}, implementation={i})", IMAGES)
        for i in (1, 2, 3)
        for arguments in (
            "4, 3",
            "4, (3, 2), strides=(2, 1), activation='relu'",
            "2, 2, use_bias=False",
        )
    ),
    *(
        (f"keras.layers.LocallyConnected2D({arguments}, implementation={i})", IMAGES)
        for i in (2, 3)
        for arguments in (
            "4, 3, padding='same'",
            "4, (2, 3), strides=2, padding='same'",
            "4, 2, data_format='channels_first'",
        )
    ),
    ("keras.layers.LocallyConnected2D(4, (3, 2), data_format='channels_first')", (2, 3, 8, 7)),
    ("keras.layers.RandomHeight(0.3)", IMAGES),
    ("keras.layers.RandomWidth((-0.2, 0.3))", IMAGES),
    ("keras.layers.RandomCrop(4, 5)", IMAGES),
    ("keras.layers.RandomCrop(5, 4)", (8, 7, 3)),
    ("keras.layers.RandomCrop(12, 9)", IMAGES),
    ("keras.layers.experimental.RandomFourierFeatures(5)", (4, 3)),
    ("keras.layers.experimental.RandomFourierFeatures(5, 'laplacian', scale=2.0)", (4, 3)),
    ("keras.layers.BatchNormalization()", IMAGES),
    ("keras.layers.BatchNormalization(axis=1, epsilon=0.1)", IMAGES),
    ("keras.layers.BatchNormalization(renorm=True)", SERIES),
    ("keras.layers.BatchNormalization(renorm=True, scale=False, center=False)", SERIES),
    (CLIPPED, SERIES),
    ("keras.layers.LSTM(4, time_major=True, return_sequences=True)", SERIES),
    ("keras.layers.LSTM(4, time_major=True)", SERIES),
    ("keras.layers.GRU(4, time_major=True, return_sequences=True, return_state=True)", SERIES),
    ("keras.layers.SimpleRNN(4, time_major=True, go_backwards=True)", SERIES),
    ("keras.layers.LSTM(4, recurrent_activation='hard_sigmoid')", SERIES),
    ("keras.layers.ConvLSTM2D(2, 3)", (2, 3, 6, 5, 2)),
    ("keras.layers.Activation('hard_sigmoid')", SERIES),
]
IDS = [case.removeprefix("keras.layers.") for case, _ in CASES]


def values(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("source", "shape"), CASES, ids=IDS)
def test_as_tf_keras(oracle: Oracle, source: str, shape: tuple[int, ...]) -> None:
    x = values(shape)
    answer = oracle.python(ORACLE, make=source, x=x)
    layer = build_layer(json.loads(answer["entry"]), dialect="keras2")
    layer(x)
    assert [tuple(w.shape) for w in layer.weights] == [w.shape for w in answer["weights"]]
    layer.set_weights(answer["weights"])
    assert_same(layer(x, training=False) if takes_training(layer) else layer(x), answer["y"])

    again = type(layer).from_config(layer.get_config())
    again(x)
    again.set_weights(answer["weights"])
    assert_same(again(x), answer["y"])


def takes_training(layer: keras.layers.Layer) -> bool:
    return bool(layer._call_has_training_arg)


def assert_same(found: Any, wanted: list[Any]) -> None:
    flat = keras.tree.flatten(found)
    assert len(flat) == len(wanted)
    for x, y in zip(flat, wanted, strict=True):
        assert x.shape == y.shape
        assert str(x.dtype) == str(y.dtype)
        np.testing.assert_allclose(np.asarray(x), y, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "source",
    [
        "keras.layers.LocallyConnected1D(2, 3)",
        "keras.layers.RandomCrop(4, 2)",
        "keras.layers.RandomHeight(0.2)",
        "keras.layers.ThresholdedReLU(0.1)",
    ],
)
def test_models_of_them_build_and_compile(oracle: Oracle, source: str) -> None:
    shape = (8, 3) if "1D" in source else (8, 6, 3)
    made = oracle.python(
        """
x = keras.Input(shape)
model = keras.Model(x, keras.layers.GlobalMaxPooling2D()(eval(source)(x))
                    if len(shape) == 3 else keras.layers.Flatten()(eval(source)(x)))
out["json"], out["weights"] = model.to_json(), model.get_weights()
out["y"] = model(values, training=False)
out["shape"] = model.output_shape
""".replace("eval(source)(x)", f"({source})(x)"),
        shape=shape,
        values=values((2, *shape)),
    )
    model = build_model(json.loads(made["json"]), dialect="keras2")
    model.set_weights(made["weights"])
    assert model.output_shape == tuple(made["shape"])
    found = model.predict(values((2, *shape)), verbose=0)
    np.testing.assert_allclose(found, made["y"], rtol=2e-5, atol=2e-5)


def test_random_crop_crops_at_random_in_training() -> None:
    layer = LEGACY_LAYERS["hozon>RandomCrop"](3, 3, seed=1)
    x = values(IMAGES)
    crops = [np.asarray(layer(x, training=True)) for _ in range(6)]
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    for crop in crops:
        found = [
            np.array_equal(crop, np.moveaxis(windows[:, i, j], 1, -1))
            for i in range(6)
            for j in range(5)
        ]
        assert sum(found) == 1
    assert any(not np.array_equal(crops[0], crop) for crop in crops[1:])


@pytest.mark.parametrize(("name", "axis"), [("RandomHeight", 1), ("RandomWidth", 2)])
def test_random_sides_change_in_training(name: str, axis: int) -> None:
    layer = LEGACY_LAYERS[f"hozon>{name}"]((0.5, 0.5))
    wanted = list(IMAGES)
    wanted[axis] = int(wanted[axis] * 1.5)
    assert list(layer(values(IMAGES), training=True).shape) == wanted
    symbolic = layer(keras.Input(IMAGES[1:]))
    assert symbolic.shape[axis] is None


def test_unknown_implementations_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="implementation"):
        LEGACY_LAYERS["hozon>LocallyConnected1D"](2, 3, implementation=4)


def test_renormalization_trains() -> None:
    entry = {
        "class_name": "BatchNormalization",
        "config": {"name": "b", "axis": [2], "renorm": True},
    }
    layer = build_layer(entry, dialect="keras2")
    x = values(SERIES)
    before = layer(x, training=False)
    layer(x, training=True)
    assert not np.allclose(before, layer(x, training=False))
