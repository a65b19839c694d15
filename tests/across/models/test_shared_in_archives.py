"""Layers that several models hold, in tf_keras' archives: one layer, with its weights and slots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
layers = keras.layers

def graph(apply, shape=(4,)):
    x = layers.Input(shape)
    return keras.Model(x, apply(x))

def beside(layer, shape=(4,)):
    "In a nested model of its own, and beside it."
    inner = graph(lambda x: layer(x), shape)
    return graph(lambda x: inner(layer(x)), shape)

def sequential():
    layer = layers.PReLU()
    return graph(lambda x: keras.Sequential(
        [layers.Input((4,)), layers.Dense(4), layer, layers.Dense(4)])(layer(x)))

def deep():
    norm = layers.BatchNormalization()
    one = graph(lambda x: layers.Dense(4)(norm(x)))
    two = graph(lambda x: layers.Dense(4)(one(x)))
    return graph(lambda x: two(norm(x)))

def model_in_two():
    shared = keras.Sequential([layers.Input((4,)), layers.Dense(4, "tanh")])
    one = graph(lambda x: layers.Dense(4)(shared(x)))
    two = graph(lambda x: layers.Dense(4)(shared(x)))
    return graph(lambda x: one(x) + two(x) + shared(x))

def steps():
    layer = layers.Dense(3, "tanh")
    return graph(lambda x: layer(layers.TimeDistributed(layer)(x)), (5, 3))

def same_names_apart():
    "Two layers of one name and one config that are two."
    one = graph(lambda x: layers.Dense(4, name="twin")(x))
    two = graph(lambda x: layers.Dense(4, name="twin")(x))
    return graph(lambda x: two(one(x)))

BUILDS = {
    "dense": lambda: beside(layers.Dense(4, "tanh")),
    "bidirectional": lambda: beside(
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)), (5, 4)),
    "sequential": sequential, "deep": deep, "model in two": model_in_two, "steps": steps,
    "same names apart": same_names_apart,
}
for name, build in BUILDS.items():
    keras.utils.set_random_seed(3)
    net = build()
    rng = np.random.RandomState(0)
    x = rng.rand(8, *net.input_shape[1:]).astype("float32")
    y = rng.rand(8, *net.output_shape[1:]).astype("float32")
    net.compile("adam", "mse")
    net.fit(x, y, epochs=2, verbose=0, shuffle=False)
    net.save(f"{path}/{name}.keras")
    told = {"x": x, "y": y, "weights": len(net.weights), "outputs": net.predict(x, verbose=0)}
    told["losses"] = net.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
    out[name] = told
"""
NAMES = [
    "dense",
    "bidirectional",
    "sequential",
    "deep",
    "model in two",
    "steps",
    "same names apart",
]


@pytest.fixture(scope="module")
def written(
    oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("shared")
    return path, oracle.python(WRITE, path=str(path))


def agree(model: Any, told: dict[str, Any]) -> None:
    assert len(model.weights) == told["weights"]
    np.testing.assert_allclose(model.predict(told["x"], verbose=0), told["outputs"], atol=2e-6)
    history = model.fit(told["x"], told["y"], epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(history.history["loss"], told["losses"], rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_one_layer(written: tuple[Path, dict[str, Any]], name: str) -> None:
    agree(hozon.load_model(written[0] / f"{name}.keras"), written[1][name])


@pytest.mark.parametrize("end", ["", ".h5", ".keras"])
@pytest.mark.parametrize("name", ["deep", "model in two"])
def test_they_are_when_saved_again(
    written: tuple[Path, dict[str, Any]], name: str, end: str, tmp_path: Path
) -> None:
    model = hozon.load_model(written[0] / f"{name}.keras")
    hozon.save_model(model, tmp_path / f"again{end}")
    agree(hozon.load_model(tmp_path / f"again{end}"), written[1][name])


def test_weights_that_are_missing_are_still_refused(
    written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    import shutil
    import zipfile

    import h5py

    with zipfile.ZipFile(written[0] / "deep.keras") as archive:
        archive.extractall(tmp_path / "inside")
    with h5py.File(tmp_path / "inside" / "model.weights.h5", "r+") as file:
        del file["layers/functional/layers/dense"]
    shutil.make_archive(str(tmp_path / "damaged"), "zip", tmp_path / "inside")
    (tmp_path / "damaged.zip").rename(tmp_path / "damaged.keras")
    with pytest.raises(hozon.MismatchError, match="lacks weights"):
        hozon.load_model(tmp_path / "damaged.keras")
