"""Optimizers and names that tf_keras wrote: training goes on at the very step."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
import os
Scaled, O, L = keras.mixed_precision.LossScaleOptimizer, keras.optimizers, keras.layers
made = {
    "scaled": lambda: Scaled(O.Adam(0.02)),
    "scaled_momentum": lambda: Scaled(O.SGD(0.02, momentum=0.9)),
    "scaled_legacy": lambda: Scaled(O.legacy.Adam(0.02)),
    "averages": lambda: O.Adam(0.02, use_ema=True),
    "nadam": lambda: O.Nadam(0.02),
    "legacy": lambda: O.legacy.RMSprop(0.02, momentum=0.5),
}
draw = np.random.default_rng(0)
x, y = draw.normal(size=(8, 6)).astype("f"), draw.normal(size=(8, 1)).astype("f")
out.update(x=x, y=y, weights={})
for name, optimizer in made.items():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(5, activation="tanh", name="tower/a"), L.Dense(1, name="b")]
    )
    model.compile(optimizer(), "mse")
    for _ in range(4):
        model.train_on_batch(x, y)
    os.mkdir(os.path.join(folder, name))
    for form in ("sm", "m.h5", "m.keras"):
        model.save(os.path.join(folder, name, form))
    for _ in range(2):
        model.train_on_batch(x, y)
    out["weights"][name] = [np.array(v) for v in model.trainable_weights]
"""
NAMES = ["scaled", "scaled_momentum", "scaled_legacy", "averages", "nadam", "legacy"]
#: tf_keras' .keras files hold nothing of its legacy optimizers.
WITHOUT = [("scaled_legacy", "m.keras"), ("legacy", "m.keras")]


CASES = [(name, form) for name in NAMES for form in ("sm", "m.h5", "m.keras")]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("keras2")
    return {"folder": folder, **oracle.python(WRITE, folder=str(folder))}


@pytest.mark.parametrize(("name", "form"), CASES)
def test_training_goes_on(told: dict[str, Any], name: str, form: str) -> None:
    path: Path = told["folder"] / name / form
    with warnings.catch_warnings():
        warnings.filterwarnings("error" if (name, form) not in WITHOUT else "ignore")
        model = hozon.load_model(path)
    report = model.load_report
    if (name, form) in WITHOUT:
        assert "state of optimizer" in report.lost[0]
        with pytest.raises(hozon.MismatchError, match="lost: state of optimizer"):
            report.assert_consumed()
        return
    assert (report.lost, report.missing, report.unexpected) == ([], [], [])
    told_so = any("u_product: the file holds none" in line for line in report.converted)
    assert told_so == (name == "nadam" and form != "sm")
    for _ in range(2):
        model.train_on_batch(told["x"], told["y"])
    for got, want in zip(model.trainable_weights, told["weights"][name], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


NADAM = """
draw = np.random.default_rng(0)
x, y = draw.normal(size=(8, 3)).astype("f"), draw.normal(size=(8, 1)).astype("f")
out.update(x=x, y=y, told={})
for depth, steps, eager in [(1, 5, False), (2, 3, False), (4, 2, False), (2, 2, True)]:
    keras.utils.set_random_seed(1)
    inside = [keras.layers.Dense(4, name=f"d{i}") for i in range(depth - 1)]
    model = keras.Sequential([keras.Input((3,)), *inside, keras.layers.Dense(1, name="o")])
    model.compile(keras.optimizers.Nadam(0.01), "mse", run_eagerly=eager)
    model.fit(x, y, batch_size=8, epochs=steps, verbose=0, shuffle=False)
    name = f"{depth}-{steps}.keras"
    model.save(f"{folder}/{name}")
    product = float(model.optimizer._u_product.numpy())
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False)
    out["told"][name] = product, [np.array(v) for v in model.trainable_weights]
"""


def test_the_product_of_momenta_is_that_of_tf_keras_fit(oracle: Oracle, tmp_path: Path) -> None:
    made = oracle.python(NADAM, folder=str(tmp_path))
    for name, (product, weights) in made["told"].items():
        model = hozon.load_model(tmp_path / name)
        np.testing.assert_allclose(model.optimizer._u_product, product, rtol=1e-4)
        model.fit(made["x"], made["y"], batch_size=8, epochs=2, verbose=0, shuffle=False)
        for got, want in zip(model.trainable_weights, weights, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("form", ["m.h5", "m.keras"])
def test_the_product_of_hozons_own_steps_is_theirs(form: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Nadam(0.01), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 1)), epochs=3, verbose=0)
    hozon.save_model(model, tmp_path / form, dialect="keras2")
    back = hozon.load_model(tmp_path / form)
    np.testing.assert_allclose(back.optimizer._u_product, model.optimizer._u_product, rtol=1e-5)
