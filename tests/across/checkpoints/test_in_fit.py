"""Checkpoints that are saved while `fit` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon


def test_a_callback_that_holds_the_checkpoint(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    checkpoint = hozon.train.Checkpoint(model=model)
    seen: list[Any] = []

    def save(batch: int, logs: Any) -> None:
        checkpoint.write(tmp_path / str(batch))
        seen.append(np.asarray(model.weights[0]))

    x = np.ones((4, 3), np.float32)
    held = keras.callbacks.LambdaCallback(on_train_batch_end=save)
    model.fit(x, x[:, :2], batch_size=2, verbose=0, callbacks=[held])
    key = "model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    assert len(seen) == 2
    for batch, expected in enumerate(seen):
        found = hozon.train.load_checkpoint(tmp_path / str(batch)).get_tensor(key)
        np.testing.assert_array_equal(found, expected)
