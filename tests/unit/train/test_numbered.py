"""Slots in checkpoints belong to variables, whichever layers are frozen when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.formats.protos.trackable import Edge, SavedTensor, TrackableNode
from hozon.train.numbered import numbered_slots
from tests.oracle.client import Oracle

BUILD = """
def build(frozen):
    layers = [keras.layers.Dense(6, activation="tanh", name=name) for name in ("a", "b", "c")]
    layers[0].trainable = "a" not in frozen
    layers[1].trainable = "b" not in frozen
    model = keras.Sequential([keras.Input((6,)), *layers])
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    return model
"""
WRITTEN = (
    BUILD.replace("keras.", "tf_keras.")
    + """
import tf_keras
for frozen in ("", "b"):
    model = build(frozen)
    for _ in range(3):
        model.train_on_batch(x, x)
    model.save_weights(f"{folder}/of{frozen}")
    slots = model.optimizer.variables
    out[frozen] = {v.name.split(":")[0].partition("/")[2]: v.numpy() for v in slots if v.shape.rank}
"""
)
SLOTS = {"momentum": "m", "velocity": "v"}


def built(frozen: str) -> Any:
    names: dict[str, Any] = {"keras": keras}
    exec(BUILD, names)  # as TensorFlow's side makes it
    return names["build"](frozen)


def assert_slots(model: Any, expected: dict[str, Any]) -> None:
    """Each slot is that of its own variable; those that the file has not are zero."""
    kept = [v for v in model.optimizer.variables if v.shape]
    assert kept
    for variable in kept:
        *path, slot = variable.name.split("_")
        name = f"{SLOTS[slot]}/{'/'.join(path[-2:])}"
        value = expected.get(name, np.zeros(variable.shape))
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("now", ["", "a", "b"])
def test_other_layers_are_frozen_now(now: str, oracle: Oracle, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("f4")
    told = oracle.python(WRITTEN, x=x, folder=str(tmp_path))
    for frozen in ("", "b"):
        model = built(now)
        hozon.load_weights(model, tmp_path / f"of{frozen}")
        model.optimizer.build(model.trainable_variables)
        assert_slots(model, told[frozen])
        assert int(model.optimizer.iterations) == 3
        again = built(frozen)
        again.optimizer.build(again.trainable_variables)
        hozon.load_weights(again, tmp_path / f"of{frozen}")
        hozon.save_weights(again, tmp_path / "ours")
        model = built(now)
        model.optimizer.build(model.trainable_variables)
        hozon.load_weights(model, tmp_path / "ours")
        assert_slots(model, told[frozen])


def test_an_optimizer_alone_goes_by_number(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("f4")
    model = built("")
    model.train_on_batch(x, x)
    hozon.train.Checkpoint(model=model, optimizer=model.optimizer).write(tmp_path / "c")
    other = keras.Sequential([keras.Input((6,)), *(keras.layers.Dense(6) for _ in range(3))])
    other.compile(keras.optimizers.Adam(1e-2), "mse")
    other.optimizer.build(other.trainable_variables)
    hozon.train.Checkpoint(optimizer=other.optimizer).read(tmp_path / "c")
    for mine, true in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, true)


def node(name: str = "", **edges: int) -> TrackableNode:
    tensors = (SavedTensor("VARIABLE_VALUE", name, name),) if name else ()
    children = tuple(Edge(key.removeprefix("n"), value) for key, value in edges.items())
    return TrackableNode(children, tensors, (), None, None)


def test_names_that_leave_a_doubt_tell_nothing() -> None:
    def graph(*names: str) -> list[TrackableNode]:
        optimizer = node(_iterations=1, _variables=2)
        return [optimizer, node("iteration"), node(n0=1, n1=3), *map(node, names)]

    assert len(numbered_slots(graph("Adam/m/a/kernel", "a/kernel"), 0)) == 1
    assert len(numbered_slots(graph("adam/net_a_kernel_momentum", "net/a/kernel"), 0)) == 1
    assert numbered_slots(graph("Adam/m/a/kernel", "a/kernel", "a/kernel"), 0) == ()
    assert numbered_slots(graph("Adam/m/a/kernel", "b/kernel"), 0) == ()
