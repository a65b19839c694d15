"""The engine by itself: whole or not at all, settled, nothing forgotten."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from hozon.errors import InternalError, MismatchError
from hozon.models.assignment import Assignment, apply, close_account, finalize_layers
from hozon.models.assignment.account import reachable
from hozon.models.assignment.assignment import Bundle
from hozon.models.tracking.leaves import KerasLeaf
from hozon.stored.lazy import lazy_array

L = keras.layers


def model() -> Any:
    layers = [keras.Input((3,)), L.Dense(2, name="a"), L.Dropout(0.5), L.Dense(1, name="b")]
    made = keras.Sequential(layers)
    made.compile("adam", "mse", metrics=["mae"])
    made.train_on_batch(np.ones((4, 3)), np.ones((4, 1)))
    return made


def assigned(live: Any, shapes: Any = None) -> Assignment:
    """An assignment of ones to each weight."""
    found = Assignment()
    for variable in live.weights:
        value = np.ones(variable.shape, "float32")
        found.pair(KerasLeaf(variable), lazy_array(variable.path, value), variable.path)
    return found


def test_a_forgotten_variable_is_a_fault() -> None:
    live = model()
    found = assigned(live)
    for variable in live.optimizer.variables:
        found.keep("optimizer", variable)
    close_account(found, [v.path for v in live.weights], live)
    assert any("metrics begin anew" in line for line in found.report.kept)
    assert any("random numbers" in line for line in found.report.kept)
    found.variables.discard(id(live.weights[0]))
    with pytest.raises(InternalError, match=r"variable .*a/kernel \(weight\)"):
        close_account(found, (), live)


def test_a_forgotten_tensor_is_a_fault() -> None:
    live = L.Dense(2)
    live.build((None, 3))
    with pytest.raises(InternalError, match="tensor of nobody"):
        close_account(assigned(live), ["of nobody"], live)


def test_all_that_can_be_reached_is_counted() -> None:
    live = model()
    live.second = keras.optimizers.SGD(0.1, momentum=0.9)
    live.second.build(live.trainable_variables)
    kinds = [item.kind for item in reachable(live)]
    assert kinds.count("weight") == 4
    assert kinds.count("seed") == 1
    assert kinds.count("optimizer") == len(live.optimizer.variables) + len(live.second.variables)
    assert kinds.count("metric") >= 4


def test_shapes_are_compared_before_anything_changes() -> None:
    live = model()
    found = assigned(live)
    found.pair(KerasLeaf(live.weights[0]), lazy_array("x", np.ones((7, 7), "float32")), "x")
    before = live.get_weights()
    with pytest.raises(MismatchError, match=r"x has shape \(3, 2\), the file holds \(7, 7\)"):
        apply(found, "file")
    for got, want in zip(live.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, want)


def test_an_object_that_refuses_leaves_all_as_it_was() -> None:
    live = model()
    found, before = assigned(live), live.get_weights()

    def take(store: Any) -> None:
        live.layers[0].kernel.assign(store["0"])
        raise ValueError("not mine")

    tensors = {"0": lazy_array("0", np.full((3, 2), 5, "float32"))}
    variables = tuple(live.layers[0].weights)
    found.bundle(Bundle(take, tensors, "a", ("a/0",), variables))
    with pytest.raises(MismatchError, match="not mine"):
        apply(found, "file")
    for got, want in zip(live.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, want)


def test_layers_are_settled_at_any_depth() -> None:
    inner = L.Normalization()
    live = keras.Sequential(
        [keras.Input((2, 3)), L.TimeDistributed(keras.Sequential([keras.Input((3,)), inner]))]
    )
    inner.adapt_mean.assign([1.0, 2.0, 3.0])
    finalize_layers(live)
    np.testing.assert_allclose(np.ravel(inner.mean), [1, 2, 3])
