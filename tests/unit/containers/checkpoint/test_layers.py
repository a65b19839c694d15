"""Checkpoints as H5 weights without the model: what TensorFlow wrote, what Hozon did, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import hozon
from hozon.errors import HozonError, UnsupportedError
from tests.oracle.client import Oracle

MODELS = """
L = keras.layers
def kinds():
    x = keras.Input((6,), name="ids")
    y = L.Embedding(9, 4, name="emb")(x)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both/ways")(y)
    y = L.GRU(3, return_sequences=True)(y)
    y = L.MultiHeadAttention(2, 3)(y, y)
    y = L.LayerNormalization(center=False)(y)
    y = L.SeparableConv1D(4, 2)(y)
    y = L.DepthwiseConv1D(2)(y)
    y = L.PReLU()(y)
    y = L.BatchNormalization(scale=False)(y)
    y = L.TimeDistributed(L.Dense(3))(y)
    y = L.Conv1D(3, 2, use_bias=False)(y)
    y = L.SimpleRNN(3)(y)
    return keras.Model(x, L.Dense(2)(L.Dropout(0.5)(y)))
def nested():
    inner = keras.Sequential([keras.Input((3,)), L.Dense(3), L.BatchNormalization()])
    return keras.Sequential([keras.Input((3,)), inner, L.Dense(2)])
class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)
    def call(self, x):
        return self.dense(x)
"""
WRITE = (
    MODELS
    + """
keras.backend.clear_session()
model = kinds()
rng = np.random.default_rng(1)
model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
model.get_layer("batch_normalization").trainable = False
model.compile("adam", "mse")
model.optimizer.build(model.trainable_variables)
model.save_weights(f"{folder}/kinds")
model.save_weights(f"{folder}/kinds.h5")
nested().save_weights(f"{folder}/nested")
model = Subclassed()
model(np.ones((1, 3)))
model.save_weights(f"{folder}/subclassed")
"""
)
READ = (
    MODELS
    + """
model = kinds()
model.load_weights(f"{folder}/made.h5")
out["weights"] = model.get_weights()
model = kinds()
model.load_weights(f"{folder}/made.h5", by_name=True)
out["named"] = model.get_layer("both/ways").get_weights()
model.load_weights(f"{folder}/copy").assert_existing_objects_matched()
out["copied"] = model.get_weights()
"""
)


@pytest.fixture(scope="module")
def folder(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("layers")
    oracle.python(WRITE, folder=str(made))
    return made


def content(path: Path) -> dict[tuple[str, str], Any]:
    """What an H5 file of weights holds, in its order; layers without weights left out."""
    with h5py.File(path) as file:
        return {
            (_text(layer), _text(name)): file[layer][name][...]
            for layer in file.attrs["layer_names"]
            for name in file[layer].attrs["weight_names"]
        }


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def test_the_same_as_tensorflow_writes(folder: Path, oracle: Oracle) -> None:
    report = hozon.convert(folder / "kinds", folder / "made.h5")
    assert len(report.lost) == 1
    assert report.lost[0].startswith("optimizer: ")
    made, want = content(folder / "made.h5"), content(folder / "kinds.h5")
    assert list(made) == list(want)
    for name, value in want.items():
        np.testing.assert_array_equal(made[name], value)
    hozon.convert(folder / "kinds", folder / "copy", format="tf_checkpoint")
    found = oracle.python(READ, folder=str(folder))
    for loaded in ("weights", "copied"):
        for have, value in zip(found[loaded], want.values(), strict=True):
            np.testing.assert_array_equal(have, value)
    named = [value for (layer, _), value in want.items() if layer == "both/ways"]
    for have, value in zip(found["named"], named, strict=True):
        np.testing.assert_array_equal(have, value)


@pytest.mark.parametrize(("name", "why"), [("nested", "-0"), ("subclassed", "functional")])
def test_what_the_file_does_not_tell_is_refused(name: str, why: str, folder: Path) -> None:
    with pytest.raises(UnsupportedError, match=why) as raised:
        hozon.convert(folder / name, folder / "refused.h5")
    assert "load_weights" in str(raised.value.instead)
    assert not (folder / "refused.h5").exists()


def test_what_hozon_wrote(tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Bidirectional(layers.LSTM(2)),
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )
    model.set_weights([np.random.default_rng(2).normal(size=w.shape) for w in model.get_weights()])
    hozon.save_weights(model, tmp_path / "w")
    hozon.convert(tmp_path / "w", tmp_path / "w.h5")
    copy = keras.models.clone_model(model)
    hozon.load_weights(copy, tmp_path / "w.h5").assert_consumed()
    for have, want in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(have, want)


def test_damage_is_an_error_of_ours(folder: Path, tmp_path: Path) -> None:
    index = (folder / "kinds.index").read_bytes()
    (tmp_path / "w.index").write_bytes(index)
    with pytest.raises(HozonError):
        hozon.convert(tmp_path / "w", tmp_path / "w.h5")
    assert not (tmp_path / "w.h5").exists()
