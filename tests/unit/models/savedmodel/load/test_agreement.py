"""Classes whose config does not tell what they were made with: never another number, unsaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon


class Scaled(keras.Model):  # type: ignore[misc]
    """Made of tensors; hides its factor under another name."""

    def __init__(self, inputs: Any, outputs: Any, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, **kwargs)
        self.k = factor

    def call(self, x: Any, training: Any = None) -> Any:
        return super().call(x, training=training) * self.k


class Coded(keras.Model):  # type: ignore[misc]
    """Made by code."""

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k, self.dense = factor, keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x) * self.k


OBJECTS = {"Scaled": Scaled, "Coded": Coded}
X = np.ones((2, 3), "float32")


def scaled(factor: float) -> keras.Model:
    x = keras.layers.Input((3,))
    return Scaled(x, keras.layers.Dense(2)(x), factor=factor)


def coded(factor: float) -> keras.Model:
    model = Coded(factor)
    model(X)
    return model


def nested(factor: float) -> keras.Model:
    return keras.Sequential([keras.layers.Input((3,)), scaled(factor)])


@pytest.mark.filterwarnings("ignore:No training configuration")
@pytest.mark.parametrize("make", [scaled, coded, nested])
def test_a_saved_model_that_computes_something_else_is_refused(
    make: Callable[[float], keras.Model], tmp_path: Path
) -> None:
    model = make(3.0)
    hozon.save_model(model, tmp_path / "m")
    with pytest.raises(hozon.MismatchError, match="does not tell factor"):
        hozon.load_model(tmp_path / "m", custom_objects=OBJECTS)
    model = make(1.0)
    hozon.save_model(model, tmp_path / "default")
    read = hozon.load_model(tmp_path / "default", custom_objects=OBJECTS)
    np.testing.assert_allclose(read(X), model(X), atol=1e-6)
    assert read.load_report.lost == []


@pytest.mark.parametrize("end", ["m.keras", "m.h5"])
@pytest.mark.parametrize("make", [scaled, nested])
@pytest.mark.filterwarnings("ignore:No training configuration")
def test_a_config_that_does_not_tell_an_argument_is_told(
    make: Callable[[float], keras.Model], end: str, tmp_path: Path
) -> None:
    hozon.save_model(make(3.0), tmp_path / end)
    read = hozon.load_model(tmp_path / end, custom_objects=OBJECTS)
    assert [line for line in read.load_report.lost if "the defaults of factor" in line]
