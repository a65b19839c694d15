"""Layers that only an added loss needs come last, and files number weights by that order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

#: An autoencoder whose layers are all alike; ``spread`` is needed by its loss alone.
WRITE = """
def build(seed):
    keras.utils.set_random_seed(seed)
    start = keras.Input((4,))
    hidden = keras.layers.Dense(4, "tanh", name="hidden")(start)
    mean = keras.layers.Dense(4, name="mean")(hidden)
    spread = keras.layers.Dense(4, name="spread")(hidden)
    wide = keras.layers.Dense(4, name="wide")(mean)
    model = keras.Model(start, keras.layers.Dense(4, name="out")(wide))
    model.add_loss(tf.reduce_mean(tf.square(mean) + tf.exp(spread) - spread))
    model.add_loss(tf.reduce_mean(tf.square(keras.layers.Dense(4, name="last")(spread))))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model

def trained(model):
    outputs = model.predict(x, verbose=0)
    return outputs, model.fit(x, x, epochs=2, verbose=0, shuffle=False).history["loss"]
"""
FILES = """
x = np.random.RandomState(0).rand(8, 4).astype("float32")
model = build(0)
model.fit(x, x, epochs=3, verbose=0, shuffle=False)
model.save_weights(f"{folder}/ckpt")
model.save(f"{folder}/sm", save_format="tf")
for end in ("h5", "keras"):
    model.save(f"{folder}/m.{end}")
out["config"] = model.to_json()
out["x"] = x
out["trained"] = trained(model)
"""
READ = """
if path.endswith("ckpt"):
    model = build(1)
    model.load_weights(path).expect_partial()
else:
    model = keras.models.load_model(path)
out["trained"] = trained(model)
"""
FORMS = ["sm", "m.h5", "m.keras"]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("added")
    return {"folder": folder, **oracle.python(WRITE + FILES, folder=str(folder))}


def test_a_checkpoint_finds_its_layers(told: dict[str, Any]) -> None:
    model = hozon.model_from_json(told["config"])
    hozon.load_weights(model, told["folder"] / "ckpt")
    outputs = model.predict(told["x"], verbose=0)
    np.testing.assert_allclose(outputs, told["trained"][0], atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_saved_again_in_every_form(
    told: dict[str, Any], oracle: Oracle, form: str, tmp_path: Path
) -> None:
    model = hozon.load_model(told["folder"] / form)
    names = [layer.name for layer in model.layers if layer.weights]
    assert names == ["hidden", "mean", "wide", "out", "spread", "last"]
    hozon.save_weights(model, tmp_path / "ckpt")
    hozon.save_model(model, tmp_path / "sm")
    for end in ("h5", "keras"):
        hozon.save_model(model, tmp_path / f"m.{end}", dialect="keras2")
    for name in ["ckpt", *FORMS]:
        answer = oracle.python(WRITE + READ, path=str(tmp_path / name), x=told["x"])
        outputs, losses = answer["trained"]
        np.testing.assert_allclose(outputs, told["trained"][0], atol=1e-5, err_msg=name)
        if name == "ckpt":  # tf_keras loses the order of slots in its own SavedModels too
            np.testing.assert_allclose(losses, told["trained"][1], rtol=1e-4)
    history = model.fit(told["x"], told["x"], epochs=2, verbose=0, shuffle=False).history
    np.testing.assert_allclose(history["loss"], told["trained"][1], rtol=1e-4)
