"""Custom gradients that a file does not hold are told where saved functions run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hozon
from tests.oracle.client import Oracle

SAVE = """
import tf_keras
@tf.custom_gradient
def clipped(x):
    return tf.sin(x), lambda dy: tf.clip_by_value(dy, -0.1, 0.1)

class Clipped(tf_keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")
    def call(self, x):
        return clipped(x * self.scale)

for name, layer, kept in (
    ("without", Clipped(), False), ("with", Clipped(), True),
    ("built in", tf_keras.layers.Dense(3, "swish"), False),
):
    model = tf_keras.Sequential([tf_keras.Input((3,)), layer, tf_keras.layers.Dense(2, "swish")])
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=kept)
    model.save(f"{folder}/{name}", save_format="tf", options=options)
"""


@pytest.fixture(scope="module")
def folder(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("plain")
    oracle.python(SAVE, folder=str(at))
    return at


@pytest.mark.parametrize(("name", "told"), [("without", 1), ("with", 0), ("built in", 0)])
def test_they_are_lost_where_functions_run(folder: Path, name: str, told: int) -> None:
    model: Any = hozon.load_model(folder / name, compile=False)
    lines = [line for line in model.load_report.lost if "custom gradient" in line]
    assert bool(lines) == bool(told), model.load_report.lost
