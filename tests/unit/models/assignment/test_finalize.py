"""What layers derive from their variables, at any depth and from every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WITHIN = """
x = np.random.default_rng(0).normal(size=(8, 5, 4)).astype("float32") * 7 + 3
layer = keras.layers.Normalization()
layer.adapt(x.reshape(40, 4))
inputs = keras.Input((5, 4))
model = keras.Model(inputs, keras.layers.TimeDistributed(layer)(inputs))
model.save(path, save_format="tf")
out.update(x=x, y=model.predict(x, verbose=0))
"""

BINS = """
x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32") * 5
layer = keras.layers.Discretization(num_bins=5)
layer.adapt(x)
model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Embedding(6, 2)])
model.save(path)
out.update(x=x, y=model.predict(x, verbose=0))
"""


def discretized(*, adapted: bool) -> keras.Model:
    layer = keras.layers.Discretization(num_bins=5)
    if adapted:
        layer.update_state(np.float32([[1], [2], [3], [4], [8], [9]]))
        layer.finalize_state()
    return keras.Sequential([keras.Input((1,)), layer, keras.layers.Embedding(6, 2)])


def test_a_layer_inside_of_a_wrapper_is_settled(oracle: Oracle, tmp_path: Path) -> None:
    told: Any = oracle.python(WITHIN, path=str(tmp_path / "m"))
    model = hozon.load_model(tmp_path / "m", compile=False)
    np.testing.assert_allclose(model.predict(told["x"], verbose=0), told["y"], rtol=1e-5, atol=1e-5)


def test_boundaries_are_made_of_the_summary_in_an_archive(oracle: Oracle, tmp_path: Path) -> None:
    told: Any = oracle.python(BINS, path=str(tmp_path / "m.keras"))
    model = hozon.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_allclose(model.predict(told["x"], verbose=0), told["y"], rtol=1e-6)


@pytest.mark.parametrize("path", ["m", "m.h5", "m.keras"])
def test_boundaries_that_adapt_made_come_back(tmp_path: Path, path: str) -> None:
    model, x = discretized(adapted=True), np.arange(10, dtype="float32")[:, None]
    hozon.save_model(model, tmp_path / path)
    loaded = hozon.load_model(tmp_path / path, compile=False)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("path", ["m.weights.h5", "m.weights.json"])
def test_names_tell_what_has_none_apart_by_its_attributes(tmp_path: Path, path: str) -> None:
    """A cell and the seed generator in it."""

    def model(*names: str) -> keras.Model:
        made = {
            "lstm": keras.layers.LSTM(4, return_sequences=True, name="lstm"),
            "dense": keras.layers.Dense(4, name="dense"),
        }
        return keras.Sequential([keras.Input((3, 4)), *(made[name] for name in names)])

    saved, other = model("lstm", "dense"), model("dense", "lstm")
    hozon.save_weights(saved, tmp_path / path)
    hozon.load_weights(other, tmp_path / path, by_name=True).assert_consumed()
    for name in ("lstm", "dense"):
        pairs = zip(
            other.get_layer(name).get_weights(), saved.get_layer(name).get_weights(), strict=True
        )
        for one, another in pairs:
            np.testing.assert_array_equal(one, another)


def test_checkpoint_by_name_leaves_out_other_shapes(tmp_path: Path) -> None:
    def model(units: int) -> keras.Model:
        layers = [keras.layers.Dense(4, name="a"), keras.layers.Dense(units, name="c")]
        return keras.Sequential([keras.Input((4,)), *layers])

    saved, other = model(3), model(5)
    hozon.save_weights(saved, tmp_path / "ckpt")
    report = hozon.load_weights(other, tmp_path / "ckpt", by_name=True, skip_mismatch=True)
    assert len(report.mismatched) == 2
    for one, another in zip(
        other.get_layer("a").get_weights(), saved.get_layer("a").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, another)
