"""Weights named by path that do not fit the model: told line by line, or left out on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import MismatchError

SUFFIXES = [".weights.h5", ".weights.json", ".safetensors"]


def chain(units: int, use_bias: bool = True) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.Dense(units, use_bias=use_bias)]
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("other", [(5, True), (2, False)])
def test_nothing_changes_or_what_fits_does(
    other: tuple[int, bool], suffix: str, tmp_path: Path
) -> None:
    source, model = chain(2), chain(*other)
    path = tmp_path / f"w{suffix}"
    hozon.save_weights(source, path)
    before = model.get_weights()
    with pytest.raises(MismatchError, match="layers/dense_1"):
        hozon.load_weights(model, path)
    for have, want in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(have, want)
    report = hozon.load_weights(model, path, skip_mismatch=True)
    assert len(report.matched) == 2
    assert len(report.mismatched) in (1, 2)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], source.get_weights()[0])
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], before[2])


class Before(keras.layers.Dense):  # type: ignore[misc]
    """A layer as it was called when it was saved."""


class After(keras.layers.Dense):  # type: ignore[misc]
    """The same one under its present name."""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_whose_class_was_renamed_is_told(suffix: str, tmp_path: Path) -> None:
    made = [
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), kind(2)])
        for kind in (Before, After)
    ]
    hozon.save_weights(made[0], tmp_path / f"w{suffix}")
    report = hozon.load_weights(made[1], tmp_path / f"w{suffix}")
    np.testing.assert_array_equal(made[1].layers[1].kernel, made[0].layers[1].kernel)
    assert report.converted == [
        "layers/after: the file has it as layers/before, the only one left over"
    ]


def test_two_layers_whose_classes_were_renamed_are_not_told_apart(tmp_path: Path) -> None:
    made = [keras.Sequential([keras.Input((4,)), kind(4), kind(4)]) for kind in (Before, After)]
    hozon.save_weights(made[0], tmp_path / "w.weights.h5")
    with pytest.raises(MismatchError, match="layers/after"):
        hozon.load_weights(made[1], tmp_path / "w.weights.h5")
