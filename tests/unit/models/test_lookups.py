"""Tables that are looked up in train as in tf_keras, whose gradients are rows for each lookup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.unit.config.truth import FORMS

WRITE = """
import os
layers = keras.layers

class Tokens(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(name="table", shape=(6, 3))
        self.places = layers.Embedding(4, 3)
    def call(self, ids):
        return tf.gather(self.table, ids) + self.places(tf.range(4))

def functional(table, other=False):
    i = keras.Input((4,), dtype="int32")
    x = layers.Flatten()(table(i))
    if other:
        x = layers.Concatenate()([x, layers.Dense(2)(layers.Flatten()(table(5 - i)))])
    return keras.Model(i, layers.Dense(1)(x))

MODELS = {
    "one": lambda: functional(layers.Embedding(6, 3, name="table")),
    "nested": lambda: functional(keras.Sequential([layers.Embedding(6, 3, name="table")]), True),
    "masked": lambda: functional(
        layers.Embedding(6, 3, name="table", mask_zero=True, embeddings_constraint="unit_norm")),
    "frozen": lambda: functional(layers.Embedding(6, 3, name="table", trainable=False)),
    "whole": lambda: functional(
        layers.Embedding(6, 3, name="table", embeddings_regularizer="l2"), True),
    "steps": lambda: functional(keras.Sequential(
        [layers.Reshape((2, 2)), layers.TimeDistributed(layers.Embedding(6, 3, name="table"))])),
    "own": lambda: functional(Tokens(), True),
}
out["steps"] = {}
for name, (build, optimizer) in cases.items():
    keras.utils.set_random_seed(7)
    model = MODELS[build]()
    model.compile(eval("keras." + optimizer), "mse")
    model.fit(x, y, verbose=0, shuffle=False)
    for form in paths.values():
        if build != "own" or not form.endswith(("h5", "keras")):
            model.save(os.path.join(folder, name + form))
    for _ in range(2):
        logs = model.fit(others, y, verbose=0, shuffle=False).history
    out["steps"][name] = [*model.get_weights(), logs["loss"][0]]
"""

OPTIMIZERS = {
    "norm": "optimizers.SGD(0.1, momentum=0.9, clipnorm=0.5)",
    "value": "optimizers.Adam(0.1, clipvalue=0.2)",
    "global": "optimizers.SGD(0.1, global_clipnorm=0.5)",
    "older": "optimizers.legacy.Nadam(0.02, clipnorm=0.5)",
    "momentum": "optimizers.legacy.SGD(0.02, momentum=0.9)",
    "rms": "optimizers.legacy.RMSprop(0.02, momentum=0.9, centered=True, clipvalue=0.2)",
    "max": "optimizers.legacy.Adamax(0.02)",
}
#: Name -> the model, and its optimizer.
CASES = {f"one {name}": ("one", optimizer) for name, optimizer in OPTIMIZERS.items()} | {
    "nested global": ("nested", OPTIMIZERS["global"]),
    "nested max": ("nested", OPTIMIZERS["max"]),
    "masked value": ("masked", OPTIMIZERS["value"]),
    "frozen value": ("frozen", OPTIMIZERS["value"]),
    "whole norm": ("whole", OPTIMIZERS["norm"]),
    "whole momentum": ("whole", OPTIMIZERS["momentum"]),
    "steps value": ("steps", OPTIMIZERS["value"]),
    "own value": ("own", OPTIMIZERS["value"]),
    "own momentum": ("own", OPTIMIZERS["momentum"]),
    "scaled": (
        "one",
        "mixed_precision.LossScaleOptimizer(keras.optimizers.Adam(0.1, clipvalue=0.2))",
    ),
}
X = np.array([[0, 0, 1, 1], [0, 2, 2, 3], [0, 0, 0, 5]], "int32")
OTHERS = np.array([[1, 1, 1, 1], [1, 2, 2, 3], [3, 3, 2, 1]], "int32")
Y = np.array([[3.0], [-20.0], [8.0]], "float32")


@pytest.fixture(scope="module")
def steps(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lookups")
    asked = {"cases": CASES, "folder": str(folder), "paths": dict(FORMS)}
    return {"folder": folder, **oracle.python(WRITE, x=X, y=Y, others=OTHERS, **asked)["steps"]}


def go_on(model: Any) -> list[Any]:
    """The weights and the loss after two more steps."""
    for _ in range(2):
        logs = model.fit(OTHERS, Y, verbose=0, shuffle=False).history
    return [*model.get_weights(), logs["loss"][0]]


def same(have: list[Any], want: list[Any]) -> None:
    for one, other in zip(have, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Layer 'flatten:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_rows_are_clipped_and_stepped_as_looked_up(steps: dict[str, Any], name: str) -> None:
    folder: Path = steps["folder"]
    form = FORMS["savedmodel" if CASES[name][0] == "own" else "h5"]
    model = hozon.load_model(folder / f"{name}{form}")
    assert not [line for line in model.load_report.converted if "rows" in line]
    same(go_on(model), steps[name])


@pytest.mark.parametrize("form", FORMS.values())
def test_in_each_form(steps: dict[str, Any], form: str) -> None:
    folder: Path = steps["folder"]
    same(go_on(hozon.load_model(folder / f"one value{form}")), steps["one value"])
    # tf_keras keeps no state of its older optimizers in .keras files.
    if form != FORMS["keras"]:
        same(go_on(hozon.load_model(folder / f"one momentum{form}")), steps["one momentum"])


@pytest.mark.parametrize("path", ["n.keras", "n", "n.h5"])
def test_models_saved_again(steps: dict[str, Any], tmp_path: Path, path: str) -> None:
    folder: Path = steps["folder"]
    report = hozon.save_model(
        hozon.load_model(folder / f"one momentum{FORMS['h5']}"), tmp_path / path
    )
    told = [line for line in (*report.lost, *report.converted) if "moves all rows" in line]
    assert bool(told) == (path != "n.keras")
    if path != "n.h5":
        same(go_on(hozon.load_model(tmp_path / path)), steps["one momentum"])


def test_steps_of_a_class_are_told(steps: dict[str, Any], tmp_path: Path) -> None:
    folder: Path = steps["folder"]

    class Own(keras.Sequential):
        def train_step(self, state: Any, data: Any) -> Any:
            return super().train_step(state, data)

    model = Own([keras.Input((4,)), keras.layers.Embedding(6, 3), keras.layers.Flatten()])
    model.compile(keras.optimizers.SGD(clipnorm=0.5), "mse")
    hozon.save_model(model, tmp_path / "m.h5", dialect="keras2")
    back = hozon.load_model(tmp_path / "m.h5", custom_objects={"Own": Own})
    told = [line for line in back.load_report.converted if "train_step" in line]
    assert len(told) == 1
    assert "clipnorm=0.5" in told[0]
    assert folder.exists()
