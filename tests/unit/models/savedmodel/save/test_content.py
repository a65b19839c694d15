"""What a SavedModel cannot say of a live model is told when it is saved."""

from __future__ import annotations

from pathlib import Path

import keras

import hozon


def test_scales_of_float8_are_told(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="e")])
    assert hozon.save_model(model, tmp_path / "plain").lost == []
    model.layers[0].quantize("float8")
    lost = hozon.save_model(model, tmp_path / "m").lost
    assert len([line for line in lost if "kernel_scale" in line and "steps differ" in line]) == 1
    report = hozon.save_model(model, tmp_path / "m.keras")
    assert report.lost == []
