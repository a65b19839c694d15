"""Tests for `hozon.models.savedmodel.save.specs`: calls of which Keras noted no shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
import hozon.keras_private.called  # which any load imports, and hozon.keras
from tests.oracle.client import Oracle

SERVED = """
serve = tf.saved_model.load(path).signatures["serving_default"]
out["found"] = [next(iter(serve(tf.constant(x)).values())).numpy() for _ in range(2)]
"""


class Remembers(keras.Model):
    """Keras makes what stateful layers keep when they are called on data, not on symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.both = keras.layers.Bidirectional(
            keras.layers.GRU(3, stateful=True, return_sequences=True)
        )
        self.last = keras.layers.LSTM(3, stateful=True)
        self.head = keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.head(self.last(self.both(x)))


@pytest.mark.oracle
def test_a_class_with_stateful_layers_goes_on(oracle: Oracle, tmp_path: Path) -> None:
    x = np.random.RandomState(0).randn(2, 5, 4).astype("float32")
    model = Remembers()
    model(x)
    hozon.save_model(model, tmp_path / "m")
    own = {"Remembers": Remembers}
    live = [
        hozon.load_model(tmp_path / "m", compile=False),
        hozon.load_model(tmp_path / "m", compile=False, custom_objects=own),
    ]
    served = oracle.python(SERVED, path=str(tmp_path / "m"), x=x)["found"]
    for step in range(2):
        expected = np.asarray(model(x))
        for found in (served[step], *(each(x) for each in live)):
            np.testing.assert_allclose(found, expected, atol=1e-5)
