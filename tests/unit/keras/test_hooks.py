"""What Keras does without TensorFlow once `hozon.keras` is in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hozon import keras
from tests.oracle.client import Oracle

BOUNDARIES = """
import keras as keras3
layer = keras3.layers.Discretization(num_bins=4, epsilon=0.05)
batches = tf.data.Dataset.from_tensor_slices(values).batch(10)
layer.adapt(values if steps == 0 else batches, steps=steps or None)
out["boundaries"] = np.asarray(layer.bin_boundaries)
out["bins"] = np.asarray(layer(values[:7]))
"""


@pytest.mark.parametrize("steps", [0, 2, 6])
def test_bins_are_learned(oracle: Oracle, steps: int) -> None:
    values = np.random.default_rng(3).normal(size=(60, 2)).astype("float32")
    truth = oracle.python(BOUNDARIES, values=values, steps=steps)
    given: Any = values if steps == 0 else [values[at : at + 10] for at in range(0, 60, 10)]

    with keras.opted_in():
        layer = keras.layers.Discretization(num_bins=4, epsilon=0.05)
        layer.adapt(given, steps=steps or None)

    np.testing.assert_allclose(layer.bin_boundaries, truth["boundaries"], rtol=1e-5)
    np.testing.assert_array_equal(layer(values[:7]), truth["bins"])


def test_given_bins_are_not_learned() -> None:
    with keras.opted_in(), pytest.raises(ValueError, match="use `num_bins`"):
        keras.layers.Discretization([0.0, 1.0]).adapt(np.zeros(3))


def test_what_keras_can_save_and_load_it_still_can(tmp_path: Path) -> None:
    with keras.opted_in():
        saves_and_loads(tmp_path)


def saves_and_loads(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 3)), np.ones(2), verbose=0)
    keras.saving.save_model(model, tmp_path / "parts", zipped=False)
    assert {"config.json", "model.weights.h5"} <= {f.name for f in (tmp_path / "parts").iterdir()}
    model.save(tmp_path / "whole.keras", zipped=True)
    for name in ("parts", "whole.keras"):
        again = keras.saving.load_model(tmp_path / name)
        for new, old in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(new, old)
    model.save_weights(tmp_path / "w.weights.h5")
    kept = model.layers[0].get_weights()[0] + 1
    model.layers[0].kernel.assign(kept)
    model.layers[1].kernel.assign(model.layers[1].kernel + 1)
    model.load_weights(tmp_path / "w.weights.h5", objects_to_skip=[model.layers[0]])
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], kept)
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], again.get_weights()[2])
