"""Layers that mix and crop pictures at random, in TensorFlow: what they draw is what JAX draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from tests.across.written.by_openvino import opened
from tests.oracle.client import Oracle

pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # of MixUp
RNG = np.random.default_rng(4)
#: Different numbers of pictures, one after the other: what was drawn before counts.
PICTURES = [RNG.normal(size=(n, 8, 10, 3)).astype("float32") for n in (5, 3, 1)]

MAKE: dict[str, Callable[[], keras.Layer]] = {
    "RandomCrop": lambda: layers.RandomCrop(6, 7),
    "RandomCrop, larger": lambda: layers.RandomCrop(8, 12),
    "CutMix": lambda: layers.CutMix(0.8),
    "MixUp": lambda: layers.MixUp(0.4),
}

ASK = """
for name, path in paths.items():
    loaded = tf.saved_model.load(path)
    out[name] = [loaded(tf.constant(x), training=True).numpy() for x in pictures]
    out[f"{name} at rest"] = loaded(tf.constant(pictures[0]), training=False).numpy()
"""


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, oracle: Oracle
) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """Where each model is, what it makes here, and in TensorFlow."""
    folder = tmp_path_factory.mktemp("drawn")
    paths, here = {}, {}
    for name, make in MAKE.items():
        keras.utils.set_random_seed(6)
        inputs = keras.Input(PICTURES[0].shape[1:])
        model = keras.Model(inputs, layers.Rescaling(2.0)(make()(inputs)))
        paths[name] = str(folder / name)
        report = hozon.save_model(model, paths[name], native_ops_only=True)
        assert report.lost == []
        here[f"{name} at rest"] = np.asarray(model(PICTURES[0], training=False))
        model = hozon.load_model(paths[name], compile=False)  # with the random states of the file
        here[name] = [np.asarray(model(x, training=True)) for x in PICTURES]
    return paths, here, oracle.python(ASK, paths=paths, pictures=PICTURES)


@pytest.mark.parametrize("name", MAKE)
def test_the_training_call_draws_what_jax_draws(name: str, told: Any) -> None:
    _, here, there = told
    for found, expected in zip(there[name], here[name], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    first, rest = here[name][0], here[f"{name} at rest"]
    assert first.shape != rest.shape or not np.allclose(first, rest, atol=1e-3)


@pytest.mark.parametrize("name", MAKE)
def test_at_rest(name: str, told: Any) -> None:
    paths, here, there = told
    expected = here[f"{name} at rest"]
    np.testing.assert_allclose(there[f"{name} at rest"], expected, rtol=1e-5, atol=1e-5)
    (found,) = opened(paths[name])([PICTURES[0]]).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
