"""The Keras guide's section on TensorFlow checkpoints, both ways between Hozon and TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
import hozon.train
from hozon.errors import MismatchError
from tests.oracle.client import Oracle

#: Defines the guide's models for a Keras, with fewer units.
MODELS = """
L = keras.layers

class Custom(L.Layer):
    def __init__(self, value):
        super().__init__()
        self.var = Variable(value, name="var_a", dtype="int32")

def layers(units):
    inputs = keras.Input((7,), name="digits")
    x = L.Dense(6, activation="relu", name="dense_1")(inputs)
    x = L.Dense(6, activation="relu", name="dense_2")(x)
    return inputs, x, L.Dense(units, name="predictions")(x)

def functional(units=3):
    inputs, _, outputs = layers(units)
    return keras.Model(inputs, outputs, name="3_layer_mlp")

def pretrained():
    inputs, x, _ = layers(1)
    return keras.Model(inputs, x, name="pretrained")

class Contrived(keras.Model):
    def __init__(self):
        super().__init__()
        self.first_dense = L.Dense(6)
        self.kernel = self.add_weight(name="kernel", shape=(6, 3))
        self.bias = self.add_weight(name="bias", shape=(3,))

    def call(self, inputs):
        return matmul(self.first_dense(inputs), self.kernel) + self.bias

def contrived():
    model = Contrived()
    model(np.ones((1, 7), "float32"))
    return model

def parts(train, model):
    return train.Checkpoint(dense=model.layers[1], kernel=model.layers[-1].kernel,
                            bias=model.layers[-1].bias)

def of(train, model):
    return train.Checkpoint(dense=model.first_dense, kernel=model.kernel, bias=model.bias)
"""

WRITE = """
def write(folder):
    path = train.Checkpoint(layer=Custom(5)).save(folder + "/custom")
    types = train.load_checkpoint(path).get_variable_to_dtype_map()
    answer = {"types": {name: kind.name for name, kind in types.items()}}
    model = functional()
    save(model, folder + "/ckpt")
    answer["whole"] = model.get_weights()
    answer["path"] = parts(train, model).save(folder + "/parts")
    model = pretrained()
    save(model, folder + "/pretrained_ckpt")
    answer["pretrained"] = model.get_weights()
    model = functional()
    model.compile(keras.optimizers.Adam(), "mse")
    for _ in range(2):
        model.train_on_batch(np.ones((2, 7), "float32"), np.ones((2, 3), "float32"))
    both = train.Checkpoint(model=model, optimizer=model.optimizer, mean=keras.metrics.Mean())
    answer["both"] = both.save(folder + "/both")
    return answer
"""

READ = """
def read(folder, parts_path, both_path):
    answer = {}
    model = functional()
    load(model, folder + "/ckpt").assert_consumed()
    answer["whole"] = model.get_weights()
    model = functional(5)
    status = load(model, folder + "/pretrained_ckpt")
    status.expect_partial()
    answer["pretrained"] = model.get_weights()[:4]
    model = contrived()
    of(train, model).restore(parts_path).assert_consumed()
    own = [np.asarray(model.kernel), np.asarray(model.bias)]
    answer["parts"] = [*model.first_dense.get_weights(), *own]
    late = Contrived()
    status = train.Checkpoint(dense=late.first_dense).restore(parts_path)
    late(np.ones((1, 7), "float32"))
    answer["late"] = late.first_dense.get_weights()
    model = functional()
    model.compile(keras.optimizers.Adam(), "mse")
    both = train.Checkpoint(model=model, optimizer=model.optimizer, mean=keras.metrics.Mean())
    status = both.restore(both_path)
    model.optimizer.build(model.trainable_variables)
    status.assert_consumed()
    answer["steps"] = int(np.asarray(model.optimizer.iterations))
    return answer
"""
SOURCE = MODELS + WRITE + READ


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("guide")
    ours, theirs = str(folder / "ours"), str(folder / "theirs")
    scope: dict[str, Any] = {
        "keras": keras,
        "np": np,
        "train": hozon.train,
        "Variable": keras.Variable,
        "matmul": keras.ops.matmul,
        "save": hozon.save_weights,
        "load": hozon.load_weights,
    }
    exec(SOURCE, scope)
    written = scope["write"](ours)
    answer = oracle.python(
        "train, Variable, matmul = tf.train, tf.Variable, tf.matmul\n"
        "save, load = keras.Model.save_weights, keras.Model.load_weights\n"
        f"{SOURCE}\nout.update(written=write(theirs), read=read(ours, path, both))",
        ours=ours,
        theirs=theirs,
        path=written["path"],
        both=written["both"],
    )
    theirs_written = answer["written"]
    return {
        "scope": scope,
        "folder": folder,
        "ours": (written, answer["read"]),
        "theirs": (
            theirs_written,
            scope["read"](theirs, theirs_written["path"], theirs_written["both"]),
        ),
    }


def test_keys_are_the_guides(told: dict[str, Any]) -> None:
    """A layer's variable goes by its attribute ``var``, not by its name ``var_a``."""
    written, _ = told["ours"]
    assert (
        written["types"]
        == told["theirs"][0]["types"]
        == {
            "save_counter/.ATTRIBUTES/VARIABLE_VALUE": "int64",
            "_CHECKPOINTABLE_OBJECT_GRAPH": "string",
            "layer/var/.ATTRIBUTES/VARIABLE_VALUE": "int32",
        }
    )


def same(some: Any, others: Any) -> None:
    assert len(some) == len(others) > 0
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_guide_cases(writer: str, told: dict[str, Any]) -> None:
    written, read = told[writer]
    whole = written["whole"]
    same(read["whole"], whole)
    same(read["pretrained"], written["pretrained"])
    same(read["parts"], [*whole[:2], *whole[-2:]])
    same(read["late"], whole[:2])
    assert read["steps"] == 2


@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_guide_trap_raises(writer: str, told: dict[str, Any]) -> None:
    """Loading into the model around the pretrained one would load nothing; into that one, all."""
    prefix = told["folder"] / writer / "pretrained_ckpt"
    pretrained = told["scope"]["pretrained"]()
    model = keras.Sequential([pretrained, keras.layers.Dense(5, name="predictions")])
    before = model.get_weights()
    with pytest.raises(MismatchError) as caught:
        hozon.load_weights(model, prefix)
    text = str(caught.value)
    assert "the file holds: layer_with_weights-0/bias" in text
    assert "the program wants: layer_with_weights-1/kernel" in text
    assert "nearest: layer_with_weights-0/layer_with_weights-0/kernel (wanted)" in text
    assert "layer_with_weights-1/bias: stored float32 (6,), the program has float32 (5,)" in text
    same(model.get_weights(), before)
    hozon.load_weights(pretrained, prefix).assert_consumed()
    same(pretrained.get_weights(), told[writer][0]["pretrained"])


def test_reports(told: dict[str, Any]) -> None:
    model = told["scope"]["functional"]()
    prefix = str(told["folder"] / "reports" / "w")
    saved = hozon.save_weights(model, prefix)
    files = [p for p in Path(prefix).parent.iterdir() if p.name != "checkpoint"]
    assert (saved.path, saved.format, saved.lost) == (prefix, "tf", [])
    assert saved.nbytes == sum(file.stat().st_size for file in files)
    report = hozon.load_weights(told["scope"]["functional"](), prefix)
    assert len(report.matched) == 6
    assert "6 matched, 0 missing" in str(report)
    report.assert_consumed().assert_existing_objects_matched().expect_partial()
    pretrained = told["folder"] / "ours" / "pretrained_ckpt"
    part = hozon.load_weights(told["scope"]["functional"](), pretrained)
    assert part.missing == ["layer_with_weights-2/kernel", "layer_with_weights-2/bias"]
    with pytest.raises(MismatchError, match="no stored value for layer_with_weights-2/kernel"):
        part.assert_consumed()


def test_by_name_from_tensorflow(told: dict[str, Any]) -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, name="predictions")])
    report = hozon.load_weights(model, told["folder"] / "theirs" / "ckpt", by_name=True)
    report.assert_existing_objects_matched()
    same(model.get_weights(), told["theirs"][0]["whole"][-2:])
