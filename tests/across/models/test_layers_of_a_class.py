"""Files number the layers of a user's class as tf_keras lists what its attributes hold."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

#: Layers alike: in two lists that are filled in turns, a dictionary whose keys are out of order,
#: one within another, and one in the place of None; in a model and in a layer of it.
CLASSES = """
class Inner(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.late = None
        self.up, self.down = [], []
        for _ in range(2):
            self.up.append(keras.layers.Dense(4))
            self.down.append(keras.layers.Dense(4, activation="tanh"))
        self.by = {"z": keras.layers.Dense(4), "c": keras.layers.Dense(4)}
        self.late = keras.layers.Dense(4)
    def call(self, x):
        x = self.late(self.by["c"](self.by["z"](x)))
        for up, down in zip(self.up, self.down):
            x = down(up(x))
        return x

class Net(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = None
        self.up, self.down = [], []
        self.first = keras.layers.Dense(4)
        for _ in range(2):
            self.up.append(keras.layers.Dense(4))
            self.down.append(keras.layers.Dense(4, activation="tanh"))
        self.by = {"z": keras.layers.Dense(4), "c": {"y": keras.layers.Dense(4), "b": Inner()}}
        self.alias = self.by["z"]
        self.last = keras.layers.Dense(1)
    def call(self, x):
        x = self.by["c"]["y"](self.by["c"]["b"](self.by["z"](self.first(x))))
        for up, down in zip(self.up, self.down):
            x = down(up(x))
        return self.last(x)
    def get_config(self):
        return {}

class Late(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = keras.layers.Dense(4), None
    def build(self, shape):
        self.last = keras.layers.Dense(1)
        super().build(shape)
    def call(self, x):
        return self.last(self.first(x))
    def get_config(self):
        return {}
"""
WRITE = (
    CLASSES
    + """
keras.utils.set_random_seed(3)
net = Net()
rng = np.random.RandomState(0)
x, y = rng.rand(8, 4).astype("float32"), rng.rand(8, 1).astype("float32")
net.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
net.fit(x, y, epochs=2, verbose=0, shuffle=False)
net.save(f"{path}/saved", save_format="tf")
net.save(f"{path}/net.keras")
for name in ("w.h5", "w.weights.h5", "checkpoint"):
    net.save_weights(f"{path}/{name}")
out["x"], out["y"] = x, y
out["outputs"] = net.predict(x, verbose=0)
out["losses"] = net.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"]
late = Late()
out["late"] = late.predict(x, verbose=0)
late.save(f"{path}/late.keras")
"""
)
READ = (
    CLASSES
    + """
net = Net()
net(x)
net.load_weights(path)
out["outputs"] = net.predict(x, verbose=0)
"""
)


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tf_keras wrote, and what it goes on to compute."""
    folder = tmp_path_factory.mktemp("layers")
    return {"folder": folder, **oracle.python(WRITE, path=str(folder))}


def classes() -> dict[str, Any]:
    """The same classes in Keras 3."""
    found: dict[str, Any] = {"keras": keras}
    exec(CLASSES, found)
    return {name: found[name] for name in ("Inner", "Net", "Late")}


def goes_on(model: Any, told: dict[str, Any]) -> None:
    """The model predicts and trains as the one that was saved."""
    outputs = model.predict(told["x"], verbose=0)
    np.testing.assert_allclose(outputs, told["outputs"], rtol=1e-4, atol=1e-6)
    losses = model.fit(told["x"], told["y"], epochs=3, verbose=0, shuffle=False).history["loss"]
    np.testing.assert_allclose(losses, told["losses"], rtol=1e-4)


@pytest.mark.parametrize("name", ["saved", "net.keras"])
def test_a_model_goes_on(name: str, told: dict[str, Any]) -> None:
    goes_on(hozon.load_model(told["folder"] / name, custom_objects=classes()), told)


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "checkpoint"])
def test_weights(name: str, told: dict[str, Any]) -> None:
    model = classes()["Net"]()
    model(told["x"])
    hozon.load_weights(model, told["folder"] / name)
    np.testing.assert_allclose(model(told["x"]), told["outputs"], rtol=1e-4, atol=1e-6)


def test_saved_again_without_the_classes(told: dict[str, Any], tmp_path: Path) -> None:
    """Dictionaries are attributes of what comes back; slots are numbered as variables are."""
    hozon.save_model(hozon.load_model(told["folder"] / "saved"), tmp_path / "again")
    goes_on(hozon.load_model(tmp_path / "again"), told)


def test_weights_that_are_written(told: dict[str, Any], oracle: Oracle, tmp_path: Path) -> None:
    model = hozon.load_model(told["folder"] / "saved", custom_objects=classes())
    for name in ("w.h5", "checkpoint"):
        hozon.save_weights(model, tmp_path / name)
        got = oracle.python(READ, path=str(tmp_path / name), x=told["x"])
        np.testing.assert_allclose(got["outputs"], told["outputs"], rtol=1e-4, atol=1e-6)


def test_layers_that_build_makes(told: dict[str, Any], tmp_path: Path) -> None:
    """Its own ``build`` leaves the layers in it to the first call."""
    read = partial(hozon.load_model, custom_objects=classes(), compile=False)
    model = read(told["folder"] / "late.keras")
    np.testing.assert_allclose(model(told["x"]), told["late"], rtol=1e-4, atol=1e-6)
    for name, dialect in (("a.keras", None), ("b.keras", "keras2")):
        hozon.save_model(model, tmp_path / name, dialect=dialect)
        again = read(tmp_path / name)
        np.testing.assert_allclose(again(told["x"]), told["late"], rtol=1e-4, atol=1e-6)


PARTS = """
class Parts(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        inner = keras.Sequential([keras.layers.Dense(4)])
        self.head = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])
        self.rest = [keras.Sequential([inner, keras.layers.Dense(1)])]
    def call(self, x, training=None):
        return self.rest[0](self.head(x, training=training))
    def get_config(self):
        return {}
"""
OPENED = (
    PARTS
    + """
model = tf_keras.models.load_model(folder, custom_objects={"Parts": Parts})
assert type(model) is Parts
out["y"] = [model.predict(x, verbose=0), model.predict(x[:3], verbose=0)]
model.compile("sgd", "mse")
model.train_on_batch(x, x[:, :1])
"""
)


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_tf_keras_opens_a_class_of_sequential_models(oracle: Oracle, tmp_path: Path) -> None:
    names: dict[str, Any] = {"keras": keras}
    exec(PARTS, names)  # the same code in both Kerases
    model = names["Parts"]()
    x = np.random.default_rng(0).normal(size=(8, 5)).astype("f4")
    expected = model.predict(x, verbose=0)
    hozon.save_model(model, tmp_path / "m")
    script = "import tf_keras\nkeras = tf_keras\n" + OPENED
    whole, few = oracle.python(script, folder=str(tmp_path / "m"), x=x)["y"]
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(few, expected[:3], rtol=1e-4, atol=1e-6)
