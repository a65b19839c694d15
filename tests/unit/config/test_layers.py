"""Layers of users' classes from their configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon


class Plain(keras.layers.Layer):
    """No constructor and no `get_config`: Keras writes its config by itself."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.scale


class Argued(Plain):
    """Plain arguments, and no `get_config`."""

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return super().call(x) * self.factor


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("suffix", ["", ".keras", ".h5"])
def test_a_class_without_get_config_can_be_saved_again_and_again(
    suffix: str, dtype: str, tmp_path: Path
) -> None:
    objects = {"Plain": Plain, "Argued": Argued}
    inputs = keras.Input((3,))
    outputs = Argued(2.0, dtype=dtype, name="b")(Plain(dtype=dtype, name="a")(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    for number in range(3):
        config = [layer.get_config() for layer in model.layers[1:]]
        hozon.save_model(model, tmp_path / f"{number}{suffix}")
        model = hozon.load_model(tmp_path / f"{number}{suffix}", custom_objects=objects)
        assert [type(layer) for layer in model.layers[1:]] == [Plain, Argued]
        assert [layer.get_config() for layer in model.layers[1:]] == config
        assert model.layers[-1].dtype_policy.name == dtype
    np.testing.assert_array_equal(model(np.ones((1, 3))), np.full((1, 3), 2))
