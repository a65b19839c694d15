"""Recurrent models without their classes are saved again, and run on batches of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITTEN = """
class Recurrent(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.table = keras.layers.Embedding(20, 4)
        self.layer = layer
        self.last = keras.layers.Dense(2)
    def call(self, x):
        return self.last(self.layer(self.table(x)))

layers = {
    "lstm": keras.layers.LSTM(5),
    "sequences": keras.layers.GRU(5, return_sequences=True),
    "both": keras.layers.Bidirectional(keras.layers.LSTM(3)),
    "cells": keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.GRUCell(4)]),
}
for name, layer in layers.items():
    model = Recurrent(layer)
    out[name] = np.asarray(model(x))
    model.save(f"{folder}/{name}")
"""
READ = """
for name in names:
    model = tf.saved_model.load(f"{folder}/{name}_again")
    out[name] = [np.asarray(model(x[:n])) for n in (6, 1)]
"""
NAMES = ["lstm", "sequences", "both", "cells"]


@pytest.mark.filterwarnings("ignore:No training configuration")
def test_of_any_batch(oracle: Oracle, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 20, (6, 7)).astype(np.int32)
    expected = oracle.python(WRITTEN, x=x, folder=str(tmp_path))
    for name in NAMES:
        model = hozon.load_model(tmp_path / name)
        assert model.load_report.rung("root") == "saved functions"
        hozon.save_model(model, tmp_path / f"{name}_again")
    found = oracle.python(READ, x=x, folder=str(tmp_path), names=NAMES)
    for name in NAMES:
        whole, first = found[name]
        np.testing.assert_allclose(whole, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(first, expected[name][:1], rtol=1e-5, atol=1e-6, err_msg=name)
