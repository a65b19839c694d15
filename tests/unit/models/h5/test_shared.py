"""Layers in several places of H5 files that do not mark them are told by their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.config.build import build_model

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
Y = X[:, :3]


def inner(name: str, *parts: Any) -> keras.Model:
    x = i = keras.Input((6,))
    for part in parts:
        x = part(x)
    return keras.Model(i, x, name=name)


def across_levels() -> keras.Model:
    d, i = layers.Dense(6, "tanh"), keras.Input((6,))
    h = layers.Add()([inner("one", d, layers.Dense(6))(i), d(i)])
    return keras.Model(i, layers.Dense(3)(h))


def between_models() -> keras.Model:
    d, i = layers.Dense(6, "tanh"), keras.Input((6,))
    one, two = inner("one", d, layers.Dense(6)), inner("two", d, layers.Dense(6))
    return keras.Model(i, layers.Dense(3)(layers.Add()([one(i), two(i)])))


def wrapped() -> keras.Model:
    d, i = layers.Dense(3, "tanh"), keras.Input((6,))
    steps = layers.Reshape((2, 3))(i)
    h = layers.Add()([layers.TimeDistributed(d)(steps), layers.TimeDistributed(d)(steps), d(steps)])
    return keras.Model(i, layers.Dense(3)(layers.Flatten()(h)))


def cells() -> keras.Model:
    cell, i = layers.LSTMCell(3), keras.Input((6,))
    steps = layers.Reshape((2, 3))(i)
    h = [layers.RNN(cell)(steps), layers.RNN([layers.GRUCell(3), cell])(steps)]
    return keras.Model(i, layers.Dense(3)(layers.Concatenate()(h)))


SHARED: Mapping[str, Callable[[], keras.Model]] = {
    "across levels": across_levels,
    "between models": between_models,
    "in wrappers": wrapped,
    "cells": cells,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SHARED)
def test_what_keras_3_wrote_is_one_layer_and_trains_on(name: str, tmp_path: Path) -> None:
    model = SHARED[name]()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    keras.saving.save_model(model, tmp_path / "m.h5")
    again = hozon.load_model(tmp_path / "m.h5")
    assert len(again.weights) == len(model.weights)
    assert not again.load_report.lost
    for one in (model, again):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(again(X), model(X), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("same", [False, True])
def test_copies_are_no_places_of_one_layer(same: bool, tmp_path: Path) -> None:
    i = keras.Input((6,))
    one, two = (
        inner(name, layers.Dense(6, "tanh", name="a"), layers.Dense(6, name="b"))
        for name in ("one", "two")
    )
    model = keras.Model(i, layers.Dense(3)(layers.Subtract()([one(i), two(-i)])))
    if same:
        two.set_weights(one.get_weights())
    keras.saving.save_model(model, tmp_path / "m.h5")
    again = hozon.load_model(tmp_path / "m.h5")
    assert len(again.weights) == len(model.weights) == 10
    np.testing.assert_array_equal(again(X), model(X))
    told = [line for line in again.load_report.lost if "does not tell" in line]
    assert len(told) == (2 if same else 0)


def entry(kind: str, name: str, reads: str | None, **config: Any) -> dict[str, Any]:
    calls = [] if reads is None else [[[reads, 0, 0, {}]]]
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": calls,
    }


def of_keras_2(between: list[dict[str, Any]]) -> dict[str, Any]:
    """A model that calls a layer of a later model inside: the latter's call stands in both."""
    shared = {**entry("Dense", "d", "j", units=6), "shared_object_id": 1}
    ends = {"input_layers": [["j", 0, 0]], "output_layers": [["d", 0, 0]]}
    source = entry("InputLayer", "j", None, batch_input_shape=[None, 6])
    later = entry("Functional", "later", "d", layers=[source, shared], **ends)
    around = entry("InputLayer", "i", None, batch_input_shape=[None, 6])
    config = {
        "name": "m",
        "layers": [around, *between, shared, later],
        "input_layers": [["i", 0, 0]],
        "output_layers": [["later", 1, 0]],
    }
    return {"class_name": "Functional", "config": config}


def test_a_call_that_keras_2_wrote_over_is_told_by_what_nothing_reads() -> None:
    changes: list[str] = []
    model = build_model(of_keras_2([entry("ReLU", "r", "i")]), dialect="keras2", report=changes)
    assert any("'d' is called on 'r'" in line for line in changes)
    kernel, bias = model.get_weights()
    want = (np.maximum(X, 0) @ kernel + bias) @ kernel + bias
    np.testing.assert_allclose(model(X), want, rtol=1e-5, atol=1e-6)


def test_a_call_that_nothing_tells_is_refused() -> None:
    between = [entry("ReLU", "r", "i"), entry("ReLU", "s", "i")]
    with pytest.raises(hozon.UnsupportedError, match="wrote the calls of 'd'"):
        build_model(of_keras_2(between), dialect="keras2")
