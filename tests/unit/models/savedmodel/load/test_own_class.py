"""SavedModels of tf_keras brought back with the caller's own classes, against tf_keras."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

#: Per kind: classes, then `make()`, and the arrays of one input; both Keras run it as it stands.
KINDS = {
    "attributes": """
class Net(keras.Model):
    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, activation="tanh")
        self.second = layers.Dense(1)
    def call(self, inputs):
        return self.second(self.first(inputs))
    def get_config(self):
        return {"units": self.units}
make, inputs = lambda: Net(7), floats(8, 6)
""",
    "no_config": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm, self.out = layers.BatchNormalization(), layers.Dense(1)
    def call(self, inputs, training=False):
        return self.out(self.norm(inputs, training=training))
make, inputs = Net, floats(8, 6)
""",
    "lists": """
class Net(keras.Model):
    def __init__(self, widths, **kwargs):
        super().__init__(**kwargs)
        self.widths = list(widths)
        self.blocks = [layers.Dense(w, activation="tanh") for w in widths]
        self.heads = {"a": layers.Dense(1), "b": layers.Dense(1)}
    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x) + 2 * self.heads["b"](x)
    def get_config(self):
        return {"widths": self.widths}
make, inputs = lambda: Net([4, 3]), floats(8, 6)
""",
    "nested": """
class Scale(layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dense = units, layers.Dense(units)
    def build(self, shape):
        self.factor = self.add_weight(name="by", shape=(self.units,), initializer="ones")
        self.offset = self.add_weight(name="to", shape=(self.units,), initializer="zeros")
        super().build(shape)
    def call(self, x):
        return self.dense(x) * self.factor + self.offset
    def get_config(self):
        return {**super().get_config(), "units": self.units}
class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [Scale(4), Scale(2)]
    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.block, self.out = Block(), layers.Dense(1)
    def call(self, x):
        return self.out(self.block(x))
make, inputs = Net, floats(8, 6)
""",
    "models_inside": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(3)])
        i = keras.Input((3,))
        self.decoder = keras.Model(i, layers.Dense(2)(layers.Dense(4, activation="tanh")(i)))
    def call(self, x):
        return self.decoder(self.encoder(x))
make, inputs = Net, floats(8, 6)
""",
    "recurrent": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(9, 4, mask_zero=True)
        self.both = layers.Bidirectional(layers.LSTM(3))
        self.out = layers.Dense(1)
    def call(self, x):
        return self.out(self.both(self.embed(x)))
make, inputs = Net, np.array([[1, 2, 0, 0], [3, 4, 5, 0], [6, 7, 8, 1], [2, 0, 0, 0]] * 2, "int32")
""",
    "attention": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.attend, self.norm = layers.MultiHeadAttention(2, 3), layers.LayerNormalization()
        self.out = layers.Dense(1)
    def call(self, x):
        return self.out(self.norm(x + self.attend(x, x)))
make, inputs = Net, floats(8, 5, 6)
""",
    "two_inputs": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(3), layers.Dense(3)
    def call(self, inputs):
        return self.a(inputs["left"]) * self.b(inputs["right"])
make, inputs = Net, {"left": floats(8, 4), "right": floats(8, 2)}
""",
    "layer_in_functional": """
class Gate(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.value, self.gate = layers.Dense(units), layers.Dense(units, activation="sigmoid")
    def call(self, x):
        return self.gate(x) * self.value(x)
    def get_config(self):
        return {**super().get_config(), "units": self.units}
def make():
    i = keras.Input((6,))
    return keras.Model(i, layers.Dense(1)(Gate(4)(i)))
inputs = floats(8, 6)
""",
    "frozen": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.base = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(4)])
        self.top, self.out = layers.Dense(3), layers.Dense(1)
        self.base.trainable = False
        self.top.trainable = False
    def call(self, x):
        return self.out(self.top(self.base(x)))
make, inputs = Net, floats(8, 6)
""",
    "functional": """
class Net(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="tracked")
def make():
    i = keras.Input((6,))
    return Net(i, layers.Dense(1)(layers.Dense(4, activation="tanh")(i)))
inputs = floats(8, 6)
""",
    "functional_with_arguments": """
class Net(keras.Model):
    def __init__(self, inputs, outputs, scale=2.0, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.scale = scale
    def call(self, inputs, training=None, mask=None):
        return self.scale * super().call(inputs, training=training, mask=mask)
    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
def make():
    i = keras.Input((6,))
    return Net(i, layers.Dense(1)(layers.Dense(4, activation="tanh")(i)), scale=3.0)
inputs = floats(8, 6)
""",
    "sequential": """
class Net(keras.Sequential):
    pass
make = lambda: Net([keras.Input((6,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
inputs = floats(8, 6)
""",
    "functional_inside": """
class Net(keras.Model):
    pass
def make():
    i, j = keras.Input((6,)), keras.Input((6,))
    inner = Net(i, layers.Dense(4, activation="tanh")(i), name="inner")
    return keras.Model(j, layers.Dense(1)(inner(j)))
inputs = floats(8, 6)
""",
}
HEAD = """
import numpy as np
layers = keras.layers
random = np.random.default_rng(0)
floats = lambda *shape: random.normal(size=shape).astype("float32")
"""
WRITE = """
import os
for name, source in kinds.items():
    scope = {"keras": keras}
    exec(head + source, scope)
    keras.utils.set_random_seed(3)
    model, x = scope["make"](), scope["inputs"]
    model.compile(keras.optimizers.Adam(0.01), "mse")
    y = np.ones((8, *model(x).shape[1:]), "float32")
    for _ in range(2):
        model.train_on_batch(x, y)
    model.save(os.path.join(folder, name), save_format="tf")
    answers = {"y": y, "outputs": model(x, training=False).numpy()}
    answers["losses"] = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(2)]
    answers["after"] = model(x, training=False).numpy()
    out[name] = answers
"""
Saved = tuple[Path, Mapping[str, Any]]


@pytest.fixture(scope="module")
def saved(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The folder of all models, and what tf_keras says of them."""
    folder = tmp_path_factory.mktemp("own")
    return folder, oracle.python(WRITE, folder=str(folder), kinds=KINDS, head=HEAD)


def scope_of(kind: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"keras": keras}
    exec(HEAD + KINDS[kind], scope)
    return scope


def classes(scope: Mapping[str, Any]) -> dict[str, type]:
    return {
        name: value
        for name, value in scope.items()
        if isinstance(value, type) and issubclass(value, keras.Layer)
    }


def trains_on(model: keras.Model, x: Any, answers: Mapping[str, Any]) -> None:
    near = {"rtol": 1e-4, "atol": 1e-5}
    outputs = np.asarray(model(x, training=False))
    np.testing.assert_allclose(outputs, answers["outputs"], **near)
    losses = [float(np.ravel(model.train_on_batch(x, answers["y"]))[0]) for _ in range(2)]
    np.testing.assert_allclose(losses, answers["losses"], **near)
    np.testing.assert_allclose(np.asarray(model(x, training=False)), answers["after"], **near)


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_is_used_with_the_stored_weights(saved: Saved, kind: str) -> None:
    folder, answers = saved
    scope = scope_of(kind)
    given = classes(scope)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = hozon.load_model(folder / kind, custom_objects=given)
    own = {type(layer) for layer in model._flatten_layers()}
    assert set(given.values()) <= own
    assert not model.load_report.missing
    assert not model.load_report.unexpected
    trains_on(model, scope["inputs"], answers[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_class_the_saved_functions_run(saved: Saved, kind: str) -> None:
    folder, answers = saved
    model = hozon.load_model(folder / kind)
    trains_on(model, scope_of(kind)["inputs"], answers[kind])
