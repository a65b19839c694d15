"""Users' layers that hold layers come back from every dialect, with what the file says of those."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.client import Oracle
from tests.unit.config.truth import Case, faults_of_reading, faults_of_writing, write

pytestmark = pytest.mark.filterwarnings("ignore")

CLASSES = """
class Scale(keras.layers.Wrapper):
    def __init__(self, layer, factor=2.0, **kwargs):
        super().__init__(layer, **kwargs)
        self.factor = factor
    def call(self, inputs):
        return self.layer(inputs) * self.factor
    def compute_output_shape(self, shape):
        return self.layer.compute_output_shape(shape)
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

class Holder(keras.layers.Layer):
    def __init__(self, encoder, heads, input_dim=3, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.heads, self.input_dim = encoder, heads, input_dim
    def call(self, inputs, training=None):
        h = self.encoder(inputs, training=training)
        return sum(head(h) for head in self.heads) * float(self.input_dim)
    def compute_output_shape(self, shape):
        return (shape[0], 2)
    def get_config(self):
        heads = [keras.layers.serialize(head) for head in self.heads]
        encoder = keras.layers.serialize(self.encoder)
        config = {"encoder": encoder, "heads": heads, "input_dim": self.input_dim}
        return {**super().get_config(), **config}
    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["encoder"] = keras.layers.deserialize(config["encoder"])
        config["heads"] = [keras.layers.deserialize(head) for head in config["heads"]]
        return cls(**config)

class Cell(keras.layers.Layer):
    def __init__(self, inner, units=2, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.units, self.state_size, self.output_size = inner, units, units, units
    def build(self, shape):
        self.k = self.add_weight(shape=(shape[-1], self.units), initializer="ones", name="k")
        if not self.inner.built:
            self.inner.build((None, self.units))
        self.built = True
    def call(self, inputs, states):
        h = keras.activations.tanh(self.inner(inputs @ self.k + states[0]))
        return h, [h]
    def get_config(self):
        inner = keras.layers.serialize(self.inner)
        return {**super().get_config(), "inner": inner, "units": self.units}
    @classmethod
    def from_config(cls, config):
        return cls(keras.layers.deserialize(config.pop("inner")), **config)
"""
DATA = """
r = np.random.default_rng(0)
x = r.normal(size=(12, 6)).astype("float32")
y = r.normal(size=(12, 2)).astype("float32")
i = keras.Input((6,))
"""
COMPILED = """
model.compile("sgd", "mse")
"""


def case(source: str, *forms: str) -> Case:
    return Case(
        DATA + source + COMPILED,
        classes=CLASSES,
        names=("Scale", "Holder", "Cell"),
        forms=forms or ("h5", "keras"),
        written=("h5/keras2", "keras/keras2", "keras/keras3"),
    )


CASES: Mapping[str, Case] = {
    "a wrapper": case(
        """
inner = layers.Dense(3, activation="hard_sigmoid")
model = keras.Sequential([i, Scale(inner, 1.5), layers.Dense(2)])
""",
        "h5",
        "keras",
        "savedmodel",
    ),
    "a wrapper over steps": case("""
steps = layers.TimeDistributed(Scale(layers.Dense(3), 1.5))
model = keras.Sequential([i, layers.Reshape((3, 2)), steps, layers.Flatten(), layers.Dense(2)])
"""),
    "a model and a list of layers": case("""
e = keras.Input((6,))
encoder = keras.Model(e, layers.BatchNormalization()(layers.Dense(4)(e), training=False))
heads = [layers.Dense(2), layers.Dense(2, activation="hard_sigmoid")]
model = keras.Model(i, Holder(encoder, heads, input_dim=2)(i))
"""),
    "a cell in both directions": case("""
both = layers.Bidirectional(layers.RNN(Cell(layers.Dense(2))))
model = keras.Sequential([i, layers.Reshape((3, 2)), both, layers.Dense(2)])
"""),
}


@pytest.fixture(scope="module")
def files(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("holding")
    return folder, write(oracle, CASES, folder)


@pytest.mark.parametrize("name", CASES)
def test_they_compute_and_train_as_they_did(files: tuple[Path, Any], name: str) -> None:
    folder, answers = files
    assert list(faults_of_reading(CASES[name], answers[name], folder / name)) == []


def test_and_when_written_again(oracle: Oracle, files: tuple[Path, Any]) -> None:
    folder, answers = files
    name = "a wrapper"
    assert list(faults_of_writing(oracle, CASES[name], answers[name], folder / name)) == []
