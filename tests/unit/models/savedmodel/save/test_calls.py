"""What a call assigns to weights is a leaf of differentiation in written functions too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
class Shrunk(keras.layers.Layer):
    "Scales its kernel to a length of one, in place, before it is used."
    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 5))

    def call(self, x, training=None):
        if training:
            self.kernel.assign(self.kernel / tf.sqrt(tf.reduce_sum(self.kernel ** 2)))
        return tf.tanh(x @ self.kernel)

LAYERS = {
    "spectral": lambda: keras.layers.SpectralNormalization(keras.layers.Dense(5, "tanh")),
    "own": Shrunk,
}
keras.utils.set_random_seed(0)
rng = np.random.RandomState(0)
x, y = rng.rand(8, 4).astype("float32"), rng.rand(8, 2).astype("float32")
start = keras.Input((4,))
model = keras.Model(start, keras.layers.Dense(2)(LAYERS[name]()(start)))
model.compile(keras.optimizers.SGD(0.3), "mse")
model.fit(x, y, verbose=0, shuffle=False)
model.save(path, save_format="tf")
out["x"], out["y"] = x, y
out["losses"] = model.fit(x, y, epochs=4, verbose=0, shuffle=False).history["loss"]
"""
READ = """
net = keras.models.load_model(path)
out["losses"] = net.fit(x, y, epochs=4, verbose=0, shuffle=False).history["loss"]
"""


class Shrunk(keras.layers.Layer):  # type: ignore[misc]
    """The same for Keras 3."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 5))

    def call(self, x: Any, training: bool | None = None) -> Any:
        if training:
            length = keras.ops.sqrt(keras.ops.sum(keras.ops.square(self.kernel)))
            self.kernel.assign(self.kernel / length)
        return keras.ops.tanh(x @ self.kernel)


@pytest.mark.parametrize("given", [{}, {"Shrunk": Shrunk}])
@pytest.mark.parametrize("name", ["spectral", "own"])
def test_a_normalized_kernel_trains_on_from_its_new_value(
    oracle: Oracle, tmp_path: Path, name: str, given: dict[str, Any]
) -> None:
    told = oracle.python(WRITE, path=str(tmp_path / "m"), name=name)
    model = hozon.load_model(tmp_path / "m", custom_objects=given)
    hozon.save_model(model, tmp_path / "again")
    answer = oracle.python(READ, path=str(tmp_path / "again"), x=told["x"], y=told["y"])
    np.testing.assert_allclose(answer["losses"], told["losses"], rtol=2e-5)
    for net in (model, hozon.load_model(tmp_path / "again", custom_objects=given)):
        history = net.fit(told["x"], told["y"], epochs=4, verbose=0, shuffle=False).history
        np.testing.assert_allclose(history["loss"], told["losses"], rtol=2e-5)
