"""SavedModels that tf_keras writes come back as live models that go on where they were."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

#: Builds, trains and saves a model, then records its outputs and its next training step.
WRITE = """
keras.utils.set_random_seed(7)
layers = keras.layers
{build}
rng = np.random.RandomState(0)
xs = [rng.rand(*shape).astype("float32") if kind == "f" else
      rng.randint(0, 5, shape).astype("int32") for kind, shape in inputs]
x = xs[0] if len(xs) == 1 else xs
y = rng.rand(*model(x).shape).astype("float32")
model.compile({compile})
model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
model.save(path, save_format="tf")
out["xs"] = xs
out["y"] = y
out["predicted"] = model(x, training=False).numpy()
out["evaluated"] = model.evaluate(x, y, verbose=0)
model.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
out["stepped"] = [w.numpy() for w in model.trainable_weights]
"""

SEQUENTIAL = """
model = keras.Sequential([layers.Input((6,)), layers.Dense(8, "relu"), layers.Dense(3)])
inputs = [("f", (16, 6))]
"""
FUNCTIONAL = """
a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
shared = layers.Dense(5, "tanh")
h = layers.Concatenate()([shared(a), shared(b)])
h = layers.BatchNormalization()(h)
inner = keras.Sequential([layers.Dense(6, "relu"), layers.Dense(6)])
model = keras.Model([a, b], layers.Add()([layers.Dense(6)(h), inner(h)]))
inputs = [("f", (16, 4)), ("f", (16, 4))]
"""
CONV = """
model = keras.Sequential([
    layers.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same", activation="relu"),
    layers.DepthwiseConv2D(3), layers.SeparableConv2D(5, 2), layers.MaxPooling2D(2),
    layers.Conv2DTranspose(3, 2, 2), layers.GlobalAveragePooling2D(), layers.Dense(2)])
inputs = [("f", (16, 8, 8, 3))]
"""
RECURRENT = """
model = keras.Sequential([layers.Input((5, 3)), layers.GRU(4), layers.Dense(2)])
inputs = [("f", (16, 5, 3))]
"""
EMBEDDING = """
model = keras.Sequential([
    layers.Input((7,), dtype="int32"), layers.Embedding(5, 4, mask_zero=True),
    layers.Bidirectional(layers.LSTM(3)), layers.LayerNormalization(), layers.Dense(1)])
inputs = [("i", (16, 7))]
"""
ATTENTION = """
x = layers.Input((6, 8))
h = layers.MultiHeadAttention(2, 4)(x, x)
h = layers.LayerNormalization()(h + x)
model = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(h)))
inputs = [("f", (16, 6, 8))]
"""
SUBCLASSED = """
class Tower(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.blocks = [layers.Dense(u, "relu") for u in units]
        self.last = layers.Dense(2)
    def call(self, inputs, training=False):
        h = inputs
        for block in self.blocks:
            h = block(h)
        return self.last(h)
model = Tower([5, 4])
inputs = [("f", (16, 3))]
"""
CUSTOM_LAYER = """
class Scale(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")
    def call(self, x, training=False):
        return x * self.factor * (2.0 if training else 1.0)
model = keras.Sequential([layers.Input((3,)), layers.Dense(4), Scale(), layers.Dense(1)])
inputs = [("f", (16, 3))]
"""
BUILDS = {
    name.lower(): source
    for name, source in {
        "SEQUENTIAL": SEQUENTIAL,
        "FUNCTIONAL": FUNCTIONAL,
        "CONV": CONV,
        "RECURRENT": RECURRENT,
        "EMBEDDING": EMBEDDING,
        "ATTENTION": ATTENTION,
        "SUBCLASSED": SUBCLASSED,
        "CUSTOM_LAYER": CUSTOM_LAYER,
    }.items()
}
OPTIMIZERS = [
    "'adam', 'mse'",
    "keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), 'mse'",
    "keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True), 'mae'",
    "keras.optimizers.Adagrad(0.1), 'mse'",
    "keras.optimizers.Adadelta(0.5), 'mse'",
    "keras.optimizers.Adamax(0.01), 'mse'",
    "keras.optimizers.Nadam(0.01), 'mse'",
    "keras.optimizers.Ftrl(0.1), 'mse'",
    "keras.optimizers.AdamW(0.01), 'huber'",
    "keras.optimizers.Lion(0.01), 'mse'",
    "keras.optimizers.legacy.Adam(0.01, amsgrad=True), 'mse'",
    "keras.optimizers.legacy.SGD(0.1, momentum=0.9, decay=0.01), 'mse'",
    "keras.optimizers.legacy.RMSprop(0.01), 'mse'",
    "keras.optimizers.legacy.RMSprop(0.01, momentum=0.5, centered=True), 'mse'",
    "keras.optimizers.legacy.Adagrad(0.1), 'mse'",
    "keras.optimizers.legacy.Nadam(0.01), 'mse'",
    "keras.optimizers.legacy.Ftrl(0.1), 'mse'",
    "keras.optimizers.legacy.Adamax(0.01), 'mse'",
    "keras.optimizers.legacy.Adadelta(0.5), 'mse'",
    "keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), 'mse'",
]


def write(oracle: Oracle, path: Path, build: str, compile_arguments: str) -> dict[str, Any]:
    """Let tf_keras write a trained model; its recorded answers."""
    source = WRITE.format(build=build, compile=compile_arguments)
    return oracle.python(source, path=str(path))


def check(path: Path, told: dict[str, Any]) -> None:
    """Outputs, evaluation and the next training step are those of the saved model."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = hozon.load_model(path)
    x = told["xs"][0] if len(told["xs"]) == 1 else told["xs"]
    predicted = model.predict(x, verbose=0)
    assert predicted.dtype == told["predicted"].dtype
    np.testing.assert_allclose(predicted, told["predicted"], rtol=1e-4, atol=1e-5)
    evaluated = model.evaluate(x, told["y"], verbose=0)
    np.testing.assert_allclose(evaluated, told["evaluated"], rtol=1e-4, atol=1e-6)
    model.fit(x, told["y"], epochs=1, batch_size=8, shuffle=False, verbose=0)
    stepped = [np.asarray(w) for w in model.trainable_weights]
    assert sorted(w.shape for w in stepped) == sorted(w.shape for w in told["stepped"])
    for have, want in zip(stepped, told["stepped"], strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BUILDS)
def test_model_goes_on_where_it_was(oracle: Oracle, tmp_path: Path, name: str) -> None:
    told = write(oracle, tmp_path / "model", BUILDS[name], "'adam', 'mse'")
    check(tmp_path / "model", told)


@pytest.mark.parametrize("compile_arguments", OPTIMIZERS)
def test_optimizer_goes_on_where_it_was(
    oracle: Oracle, tmp_path: Path, compile_arguments: str
) -> None:
    told = write(oracle, tmp_path / "model", SEQUENTIAL, compile_arguments)
    check(tmp_path / "model", told)
