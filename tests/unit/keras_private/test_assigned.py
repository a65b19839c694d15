"""What calls assign to weights lasts in training, as tf_keras has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.training import losses_of

#: Saves each model in each form, then takes three steps more.
WRITE = """
layers = keras.layers

class Clipped(layers.Layer):
    "Assigns its kernel in its call."
    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 3))
    def call(self, x, training=False):
        if training:
            self.kernel.assign(tf.clip_by_norm(self.kernel, 0.5) + 0.01 * tf.reduce_mean(x))
        return x @ self.kernel

def spectral(layer, **options):
    return layers.SpectralNormalization(layer, **options)

def dense():
    return [layers.Input((4,)), spectral(layers.Dense(3)), layers.Dense(2)]

def nested(inner):
    x = layers.Input((4,))
    return keras.Model(x, layers.Dense(2)(inner(layers.Dense(4, "tanh")(x))))

def functional(parts):
    x = h = parts[0]
    for layer in parts[1:]:
        h = layer(h)
    return keras.Model(x, h)

class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = spectral(layers.Dense(3)), layers.Dense(2)
    def call(self, x, training=False):
        return self.last(self.first(x, training=training))

BUILDS = {
    "dense": lambda: keras.Sequential(dense()),
    "conv": lambda: keras.Sequential([
        layers.Input((5, 5, 2)), spectral(layers.Conv2D(3, 2), power_iterations=2),
        layers.Flatten(), layers.Dense(2)]),
    "constrained": lambda: keras.Sequential([layers.Input((4,)), spectral(layers.Dense(
        2, kernel_constraint=keras.constraints.MaxNorm(0.4), kernel_regularizer="l2"))]),
    "in functional": lambda: nested(functional(dense())),
    "in sequential": lambda: keras.Sequential(
        [layers.Input((4,)), keras.Sequential(dense()), layers.Dense(2)]),
    "in steps": lambda: keras.Sequential([
        layers.Input((3, 4)), layers.TimeDistributed(spectral(layers.Dense(3))),
        layers.Flatten(), layers.Dense(2)]),
    "subclassed": Subclassed,
    "own": lambda: keras.Sequential([layers.Input((4,)), Clipped(), layers.Dense(2)]),
    "own in functional": lambda: nested(keras.Sequential([layers.Input((4,)), Clipped()])),
}
OPTIMIZERS = {
    "adamw": lambda: keras.optimizers.AdamW(0.02, weight_decay=0.1),
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
}
for name, build in BUILDS.items():
    keras.utils.set_random_seed(3)
    model = build()
    shape = model.input_shape[1:] if model.built else (4,)
    rng = np.random.RandomState(0)
    x = rng.rand(8, *shape).astype("float32")
    y = rng.rand(8, 2).astype("float32")
    model(x)
    model.compile(OPTIMIZERS["sgd" if "in" in name else "adamw"](), "mse")
    model.fit(x, y, epochs=1, verbose=0, shuffle=False)
    for suffix in ("", ".h5", ".keras"):
        if suffix and (name == "subclassed" or name.startswith("own")):
            continue
        model.save(f"{path}/{name}{suffix}", **({} if suffix else {"save_format": "tf"}))
    logs = model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"]
    out[name] = {"x": x, "y": y, "losses": logs, "outputs": model.predict(x, verbose=0),
                 "weights": [w.numpy() for w in model.trainable_weights]}
"""
SPECTRAL = ["dense", "conv", "constrained", "in functional", "in sequential", "in steps"]
ONLY_FUNCTIONS = ["subclassed", "own", "own in functional"]
FILES = [(name, end) for name in SPECTRAL for end in ("", ".h5", ".keras")]
FILES += [(name, "") for name in ONLY_FUNCTIONS]


@pytest.fixture(scope="module")
def written(
    oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("assigned")
    return path, oracle.python(WRITE, path=str(path))


@pytest.mark.parametrize(("name", "end"), FILES)
def test_three_steps_are_those_of_tf_keras(
    written: tuple[Path, dict[str, Any]], name: str, end: str
) -> None:
    path, told = written[0], written[1][name]
    model = hozon.load_model(path / f"{name}{end}")
    np.testing.assert_allclose(losses_of(model, told, epochs=3), told["losses"], rtol=1e-5)
    np.testing.assert_allclose(model.predict(told["x"], verbose=0), told["outputs"], atol=2e-6)
    live = sorted((w.numpy() for w in model.trainable_weights), key=lambda w: w.shape)
    for mine, theirs in zip(live, sorted(told["weights"], key=lambda w: w.shape), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-6)


@pytest.mark.parametrize("end", ["", ".h5"])
def test_it_trains_so_inside_of_a_new_model(written: tuple[Path, dict[str, Any]], end: str) -> None:
    path, told = written[0], written[1]["dense"]
    loaded = hozon.load_model(path / f"dense{end}")
    x = keras.Input((4,))
    model = keras.Model(x, loaded(x))
    model.compile(loaded.optimizer, "mse")
    np.testing.assert_allclose(losses_of(model, told, epochs=3), told["losses"], rtol=1e-5)


def test_a_model_of_keras_3_trains_as_keras_3_has_it() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.SpectralNormalization(keras.layers.Dense(2))]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    before = model.layers[0].kernel.numpy()
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), before)


PREDICT = """
layers = keras.layers

class Counting(layers.Layer):
    "Assigns a weight and a counter in every call."
    def build(self, shape):
        self.count = self.add_weight(name="count", shape=(), trainable=False, initializer="zeros")
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
    def call(self, x):
        self.count.assign_add(1.)
        self.scale.assign(self.scale * 1.5)
        return x * self.scale + self.count

class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.counting = Counting()
    def call(self, x):
        return self.counting(x)

def functional():
    x = layers.Input((1,))
    return keras.Model(x, keras.Sequential([Counting()])(x))

for name, build in (("functional", functional), ("subclassed", Subclassed)):
    model = build()
    model(x)
    model.compile("sgd", "mse")
    model.save(f"{path}/{name}")
    out[name] = [
        value
        for call in (lambda: model.predict(x, batch_size=2, verbose=0),
                     lambda: model.predict(x, batch_size=3, verbose=0),
                     lambda: model.evaluate(x, x, batch_size=2, verbose=0),
                     lambda: model.predict_on_batch(x))
        for value in (call(), model.trainable_weights[0].numpy())]
"""


def value_of(model: keras.Model) -> Any:
    return model.trainable_weights[0].numpy()


def test_predict_keeps_what_calls_assign(oracle: Oracle, tmp_path: Path) -> None:
    """From batch to batch and from call to call, weights that train as well as others."""
    x = np.arange(6, dtype="float32").reshape(6, 1)
    for name, told in oracle.python(PREDICT, path=str(tmp_path), x=x).items():
        model = hozon.load_model(tmp_path / name)
        live: list[Any] = []
        live += [model.predict(x, batch_size=2, verbose=0), value_of(model)]
        live += [model.predict(x, batch_size=3, verbose=0), value_of(model)]
        live += [model.evaluate(x, x, batch_size=2, verbose=0), value_of(model)]
        live += [model.predict_on_batch(x), value_of(model)]
        for mine, theirs in zip(live, told, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, err_msg=name)
