"""State of optimizers that a class makes in its own `compile` waits for them, and is listed so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon


class Pair(keras.Model):  # type: ignore[misc]
    """Two layers, each with an optimizer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = keras.layers.Dense(2), keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.two(self.one(x))

    def compile(self, first: Any, second: Any) -> None:
        super().compile()
        self.first, self.second = first, second
        for optimizer, layer in ((first, self.one), (second, self.two)):
            optimizer.build(layer.trainable_variables)


def made() -> Pair:
    model = Pair()
    model(np.ones((2, 3), "float32"))
    return model


def test_a_checkpoint_s_optimizers_that_are_not_made_yet_are_deferred(tmp_path: Path) -> None:
    model = made()
    model.compile(keras.optimizers.Adam(), keras.optimizers.SGD(momentum=0.9))
    for optimizer, layer in ((model.first, model.one), (model.second, model.two)):
        variables = layer.trainable_variables
        optimizer.apply([keras.ops.ones(v.shape) for v in variables], variables)
    hozon.save_weights(model, tmp_path / "w", format="tf")
    other = made()
    report = hozon.load_weights(other, tmp_path / "w")
    assert any(name.startswith("first/") for name in report.deferred)
    assert any(name.startswith("second/") for name in report.deferred)
    assert report.unexpected == []
    other.compile(keras.optimizers.Adam(), keras.optimizers.SGD(momentum=0.9))
    for name in ("first", "second"):
        pairs = zip(getattr(model, name).variables, getattr(other, name).variables, strict=True)
        for ours, theirs in pairs:
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert report.deferred == []
