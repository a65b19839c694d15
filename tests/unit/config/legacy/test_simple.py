"""Tests for `hozon.config.legacy.simple`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon
from tests.oracle.client import Oracle

STEPS = """
L = keras.layers

class Block(L.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense, self.norm = L.Dense(units, activation="tanh"), L.BatchNormalization()

    def call(self, x, training=None):
        return self.norm(self.dense(x), training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}

x = np.random.RandomState(0).randn(7, 5, 2).astype("float32") * 3 + 1
y = np.ones((7, 5, 2), "float32")
model = keras.Sequential([L.Input((5, 2)), L.TimeDistributed(Block()), L.Dense(2)])
model.compile(keras.optimizers.SGD(0.1), "mse")
for form in forms:
    model.save(folder + "/m" + form)
out["data"], out["before"] = (x, y), model.predict(x, verbose=0)
# With batches of several sizes that of a batch is free.
history = model.fit(x, y, batch_size=4, shuffle=False, epochs=2, verbose=0).history
out["losses"], out["after"] = history["loss"], model.predict(x, verbose=0)
"""


class Block(keras.layers.Layer):
    """A layer of a user's class whose config does not tell that it has batch statistics."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units, activation="tanh")
        self.norm = keras.layers.BatchNormalization()

    def call(self, x: Any, training: Any = None) -> Any:
        return self.norm(self.dense(x), training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def test_a_users_layer_over_steps_has_statistics_of_all(oracle: Oracle, tmp_path: Path) -> None:
    forms = ["", ".keras", ".h5"]
    told = oracle.python(STEPS, folder=str(tmp_path), forms=forms)
    x, y = told["data"]
    for form in forms:
        model = hozon.load_model(tmp_path / f"m{form}", custom_objects={"Block": Block})
        np.testing.assert_allclose(model.predict(x, verbose=0), told["before"], atol=1e-5)
        losses = model.fit(x, y, batch_size=4, shuffle=False, epochs=2, verbose=0).history["loss"]
        np.testing.assert_allclose(losses, told["losses"], rtol=1e-4)
        np.testing.assert_allclose(model.predict(x, verbose=0), told["after"], atol=1e-4)


def test_a_users_layer_goes_step_by_step_where_the_batch_is_fixed(
    oracle: Oracle, tmp_path: Path
) -> None:
    code = STEPS.replace("L.Input((5, 2))", "L.Input((5, 2), batch_size=4)").replace("(7,", "(8,")
    code = code.replace("randn(7,", "randn(8,").replace("predict(x,", "predict(x, batch_size=4,")
    told = oracle.python(code, folder=str(tmp_path), forms=["", ".h5"])
    x, y = told["data"]
    for form in ("", ".h5"):
        model = hozon.load_model(tmp_path / f"m{form}", custom_objects={"Block": Block})
        losses = model.fit(x, y, batch_size=4, shuffle=False, epochs=2, verbose=0).history["loss"]
        np.testing.assert_allclose(losses, told["losses"], rtol=1e-4)
        after = model.predict(x, batch_size=4, verbose=0)
        np.testing.assert_allclose(after, told["after"], atol=1e-4)
