"""Optimizers and names that tf_keras wrote: training goes on at the very step."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

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


#: Nadam's product of momenta is only in SavedModels and checkpoints. Compiled steps of tf_keras
#: multiply it once for each variable, eager ones once, so other files do not determine it.
CASES = [
    (name, form)
    for name in NAMES
    for form in ("sm", "m.h5", "m.keras")
    if (name, form) not in [("nadam", "m.h5"), ("nadam", "m.keras")]
]


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
    for _ in range(2):
        model.train_on_batch(told["x"], told["y"])
    for got, want in zip(model.trainable_weights, told["weights"][name], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
