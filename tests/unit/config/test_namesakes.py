"""Losses that share a name, by which files keep them, are told at saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import hozon


def weighted(weight: float) -> Callable[[Any, Any], Any]:
    def loss(y: Any, p: Any) -> Any:
        return weight * keras.ops.mean(keras.ops.square(y - p), axis=-1)

    return loss


def model(*losses: Callable[[Any, Any], Any] | str) -> keras.Model:
    x = keras.layers.Input((3,))
    made = keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])
    made.compile("sgd", list(losses))
    return made


@pytest.mark.parametrize("end", ["m", "m.h5", "m.keras"])
def test_different_losses_of_one_name_are_told(end: str, tmp_path: Path) -> None:
    one, other = weighted(1.0), weighted(5.0)
    report = hozon.save_model(model(one, other), tmp_path / end)
    assert [line for line in report.lost if line.startswith("loss: 2 different")]
    report = hozon.save_model(model(one, one), tmp_path / end)
    assert not [line for line in report.lost if "different" in line]


@pytest.mark.parametrize("end", ["m", "m.h5", "m.keras"])
def test_one_that_takes_the_place_of_several_is_told_after_loading(
    end: str, tmp_path: Path
) -> None:
    one, other = weighted(1.0), weighted(5.0)
    for losses, lines in (((one, other), 1), ((one, "mse"), 0)):
        hozon.save_model(model(*losses), tmp_path / end)
        again = hozon.load_model(tmp_path / end, custom_objects={"loss": one})
        told = [x for x in again.load_report.converted if x.startswith("loss stands 2 times")]
        assert len(told) == lines


def steeper(factor: float) -> Callable[[Any], Any]:
    def slope(x: Any) -> Any:
        return keras.ops.tanh(x) * factor

    return slope


@pytest.mark.parametrize("end", ["m", "m.h5", "m.keras"])
def test_different_functions_of_one_name_in_layers_are_told(end: str, tmp_path: Path) -> None:
    one, other = steeper(1.0), steeper(5.0)
    for functions, told in (([one, other], 1), ([one, one], 0)):
        dense = [keras.layers.Dense(2, activation=function) for function in functions]
        sequential = keras.Sequential([keras.Input((3,)), *dense])
        report = hozon.save_model(sequential, tmp_path / end)
        lines = [line for line in report.lost if line.startswith("slope: 2 different functions")]
        assert len(lines) == told
