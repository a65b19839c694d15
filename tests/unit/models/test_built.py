"""What is no model of Keras on this backend is refused with the reason, at every door."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox
import jax
import keras
import pytest

import hozon
from hozon.errors import ArgumentError

#: Calls that take a model.
DOORS: dict[str, Callable[[Any], object]] = {
    **{f"save_model {n}": lambda m, n=n: hozon.save_model(m, n) for n in ("m", "m.h5", "m.keras")},
    **{
        f"save_weights {n}": lambda m, n=n: hozon.save_weights(m, n)
        for n in ("w.h5", "w.weights.h5", "w.safetensors")
    },
    "load_weights": lambda m: hozon.load_weights(m, os.environ["HOZON_TEST_WEIGHTS"]),
    "diff": lambda m: hozon.diff(m, m),
}


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some weights to load, and an empty folder around each test."""
    path = tmp_path / "w.h5"
    hozon.save_weights(_model(), path)
    monkeypatch.setenv("HOZON_TEST_WEIGHTS", str(path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def _model() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.mark.parametrize("library", ["torch", "tensorflow"])
@pytest.mark.parametrize("door", DOORS)
def test_values_of_another_backend(door: str, library: str) -> None:
    model = _model()
    tensor = type("Tensor", (), {"__module__": f"{library}.inside"})
    model.layers[0].kernel._value = tensor()
    with pytest.raises(hozon.UnsupportedError, match=f"kernel.* holds a tensor of {library}"):
        DOORS[door](model)
    assert os.listdir() == []


@pytest.mark.parametrize("door", DOORS)
def test_models_of_another_library(door: str) -> None:
    for library in ("tf_keras", "torch"):
        other = type("Model", (), {"__module__": f"{library}.models"})()
        with pytest.raises(
            ArgumentError, match=rf"(Keras m|keras.M)odel.* This is one of {library}, which saves"
        ):
            DOORS[door](other)
    module = equinox.nn.Linear(2, 1, key=jax.random.key(0))
    with pytest.raises(
        ArgumentError, match=r"This is one of equinox, which .* hozon.saved_model.save"
    ):
        DOORS[door](module)
    assert os.listdir() == []
