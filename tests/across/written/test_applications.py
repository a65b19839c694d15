"""A small member of each family of `keras.applications`, saved and opened by TensorFlow."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.src.applications.densenet import DenseNet
from keras.src.applications.nasnet import NASNet

import hozon
from hozon.keras_private.values import deferred_initializers
from tests.oracle.client import Oracle

#: Members smaller than those that Keras names: every kind of cell, each fewer times.
SMALLER = {
    "DenseNet": partial(DenseNet, [2, 2, 2, 2]),
    "NASNet": partial(
        NASNet,
        penultimate_filters=192,
        num_blocks=1,
        stem_block_filters=8,
        skip_reduction=False,
        default_size=32,
    ),
}
#: Family member and the smallest pictures that it takes.
FAMILIES = {
    "Xception": 71,
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "DenseNet": 32,
    "NASNet": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
}

ASK = """
import tf_keras
loaded = tf.saved_model.load(path)
out["call"] = np.asarray(loaded(x))
out["keras"] = tf_keras.models.load_model(path).predict(x, verbose=0)
"""


def small(name: str) -> keras.Model:
    """The model with weights that keep activations of a size, drawn quickly."""
    size = FAMILIES[name]
    with deferred_initializers() as deferred:
        make = SMALLER.get(name) or getattr(keras.applications, name)
        model = make(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
        random = np.random.default_rng(5)
        for weight in model.weights:
            weight.assign(drawn(weight, random))
        deferred.finish()
    model.compile("adam", "mse")
    return model


def drawn(weight: keras.Variable, random: np.random.Generator) -> np.ndarray:
    shape = tuple(weight.shape)
    if weight.name in ("gamma", "moving_variance", "variance"):
        return np.ones(shape, np.float32)
    fan = max(1, int(np.prod(shape[:-1])))
    return random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan))


@pytest.mark.parametrize("name", FAMILIES)
def test_an_application(name: str, tmp_path: Path, oracle: Oracle) -> None:
    model = small(name)
    report = hozon.save_model(model, tmp_path / name)
    assert report.fallbacks == {}
    x = np.random.default_rng(1).uniform(0, 1, (2, FAMILIES[name], FAMILIES[name], 3))
    x = x.astype(np.float32)
    expected = model.predict(x, verbose=0)
    answers = oracle.python(ASK, path=str(tmp_path / name), x=x)
    scale = float(np.abs(expected).max())
    assert scale > 0
    for found in answers.values():
        assert found.shape == expected.shape
        np.testing.assert_allclose(found / scale, expected / scale, rtol=1e-4, atol=1e-5)
