"""Images of integers and half floats are resized as tf_keras resizes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
import os
out["resized"] = {}
for dtype in dtypes:
    i = keras.Input((4, 5, 2), dtype=dtype)
    kinds = [keras.layers.Resizing(3, 7, interpolation=k, dtype=dtype)(i) for k in interpolations]
    model = keras.Model(i, kinds)
    model.save(os.path.join(folder, dtype + ".keras"))
    out["resized"][dtype] = [np.asarray(y) for y in model(x.astype(dtype))]
"""
INTERPOLATIONS = [
    "area",
    "bicubic",
    "bilinear",
    "gaussian",
    "lanczos3",
    "lanczos5",
    "mitchellcubic",
    "nearest",
]
DTYPES = ["uint8", "int32", "float16", "float32"]


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_resizing_in_every_dtype(oracle: Oracle, tmp_path: Path) -> None:
    x = np.random.RandomState(0).rand(2, 4, 5, 2) * 200
    asked = {"dtypes": DTYPES, "interpolations": INTERPOLATIONS, "folder": str(tmp_path), "x": x}
    for dtype, wanted in oracle.python(WRITE, **asked)["resized"].items():
        model = hozon.load_model(tmp_path / f"{dtype}.keras")
        # 121.99999 and 122.0 are equal within float32, and not once they are truncated
        near = 1 if "int" in dtype else {"float16": 0.13}.get(dtype, 1e-3)  # 0.13: a step at 200
        for kind, have, want in zip(INTERPOLATIONS, model(x.astype(dtype)), wanted, strict=True):
            assert str(have.dtype) == str(want.dtype)
            np.testing.assert_allclose(
                np.asarray(have, "float64"),
                np.asarray(want, "float64"),
                rtol=0,
                atol=near,
                err_msg=f"{kind} {dtype}",
            )


FLOATS = """
out["resized"] = []
kinds = ["bilinear", "lanczos3", "nearest", "area"]
i = keras.Input((4, 5, 2), dtype="uint8")
layers = [keras.layers.Resizing(3, 7, interpolation=k) for k in kinds]
model = keras.Model(i, [layer(i) for layer in layers])
for end in ("", ".h5", ".keras"):
    model.save(path + end)
out["resized"] = [np.asarray(y) for y in model(x)]
"""


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_integers_become_floats_that_are_not_rounded(oracle: Oracle, tmp_path: Path) -> None:
    x = np.random.RandomState(0).randint(0, 256, (2, 4, 5, 2)).astype("uint8")
    wanted = oracle.python(FLOATS, path=str(tmp_path / "m"), x=x)["resized"]
    for end in ("", ".h5", ".keras"):
        model = hozon.load_model(tmp_path / f"m{end}")
        hozon.save_model(model, tmp_path / "again.keras")
        for read in (model, hozon.load_model(tmp_path / "again.keras")):
            for have, want in zip(read(x), wanted, strict=True):
                assert str(have.dtype) == str(want.dtype)
                np.testing.assert_allclose(have, want, atol=1e-3)
