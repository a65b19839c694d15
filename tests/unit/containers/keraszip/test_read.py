"""Models of mixed precision in tf_keras' .keras files scale their losses as they did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
import os
layers = keras.layers
out["losses"] = {}
for name, source in optimizers.items():
    keras.utils.set_random_seed(7)
    keras.mixed_precision.set_global_policy(name.partition("-")[0])
    i = keras.Input((4,))
    h = layers.Dense(5, activation="relu")(i)
    model = keras.Model(i, layers.Dense(1, dtype="float32")(h))
    model.compile(eval(source), "mse")
    keras.mixed_precision.set_global_policy("float32")
    model.fit(x, y, verbose=0)
    model.save(os.path.join(folder, name + ".keras"))
    out["losses"][name] = model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"]
"""

OPTIMIZERS = {
    "mixed_float16-wrapped": "keras.optimizers.Adam(0.01)",
    "mixed_float16-named": "'rmsprop'",
    "mixed_float16-given": "keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.01))",
    "float32-plain": "keras.optimizers.Adam(0.01)",
}


def test_losses_are_scaled_where_tf_keras_scaled_them(oracle: Oracle, tmp_path: Path) -> None:
    # tiny gradients: half precision has no numbers for them unless the loss is scaled
    x = np.linspace(-1, 1, 24, dtype="float32").reshape(6, 4)
    y = np.linspace(0, 1e-4, 6, dtype="float32").reshape(6, 1)
    asked = {"optimizers": OPTIMIZERS, "folder": str(tmp_path), "x": x, "y": y}
    for name, losses in oracle.python(WRITE, **asked)["losses"].items():
        model = hozon.load_model(tmp_path / f"{name}.keras")
        scaled = type(model.optimizer).__name__ == "LossScaleOptimizer"
        assert scaled == name.startswith("mixed"), name
        history = model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"]
        assert history == pytest.approx(losses, rel=1e-3), name
