"""Optimizers that write the averages of weights over the weights train on after a prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
keras.utils.set_random_seed(0)
rng = np.random.RandomState(0)
x, y = rng.rand(8, 4).astype("float32"), rng.rand(8, 2).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(2)])
options = {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": frequency}
model.compile(keras.optimizers.SGD(0.1, **options), "mse")
model.fit(x, y, epochs=3, verbose=0, shuffle=False)
model.save(path, **({} if "." in path else {"save_format": "tf"}))
out["x"], out["y"], out["losses"] = x, y, []
for _ in range(3):
    out["losses"] += model.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
out["outputs"] = model.predict(x, verbose=0)
"""


@pytest.mark.parametrize("frequency", [None, 2])
@pytest.mark.parametrize("name", ["m", "m.h5", "m.keras"])
def test_averages_and_weights_are_arrays_of_their_own(
    oracle: Oracle, tmp_path: Path, name: str, frequency: int | None
) -> None:
    path = tmp_path / name
    told = oracle.python(WRITE, path=str(path), frequency=frequency)
    model = hozon.load_model(path)
    losses = []
    for _ in range(3):
        history = model.fit(told["x"], told["y"], epochs=2, verbose=0, shuffle=False)
        losses += history.history["loss"]
        outputs = model.predict(told["x"], verbose=0)
    np.testing.assert_allclose(losses, told["losses"], rtol=2e-5)
    np.testing.assert_allclose(outputs, told["outputs"], atol=2e-5)
    hozon.save_model(model, tmp_path / "again.keras")
    again = hozon.load_model(tmp_path / "again.keras")
    np.testing.assert_allclose(again.predict(told["x"], verbose=0), outputs, atol=1e-6)
