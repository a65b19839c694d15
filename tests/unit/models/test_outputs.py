"""Outputs of subclassed models, and the names of their logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon


@keras.saving.register_keras_serializable(package="test_outputs")
class PairOfOutputs(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.left, self.right = keras.layers.Dense(1), keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.left(x), self.right(x)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "saved"])
@pytest.mark.parametrize("dialect", [None, "keras2"])
def test_logs_of_a_class_of_keras3_keep_their_names(
    tmp_path: Path, name: str, dialect: str | None
) -> None:
    x = np.ones((4, 3), "float32")
    y = [np.ones((4, 1), "float32")] * 2
    model = PairOfOutputs()
    model.compile("sgd", keras.losses.CosineSimilarity(), run_eagerly=True)
    model.fit(x, y, verbose=0)
    hozon.save_model(model, tmp_path / name, dialect=None if name == "saved" else dialect)
    again = hozon.load_model(tmp_path / name)
    expected = model.fit(x, y, verbose=0).history
    assert again.fit(x, y, verbose=0).history.keys() == expected.keys()
