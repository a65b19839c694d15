"""Image ops against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids

RNG = np.random.default_rng(5)
SIZES = [(4, 6), (1, 1), (7, 3), (3, 9)]


def images(shape: Any, dtype: str = "float32") -> Any:
    if dtype.startswith("float"):
        return RNG.random(shape).astype(dtype)
    return RNG.integers(0, 200, shape).astype(dtype)


def resizes() -> Iterator[Case]:
    for op in ("ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"):
        for centers, corners in ((False, False), (True, False), (False, True)):
            for size in SIZES:
                attrs = {"half_pixel_centers": centers, "align_corners": corners}
                yield Case(op, [images((2, 5, 4, 3)), np.array(size, "i4")], attrs, traced=[0],
                           atol=1e-4, rtol=1e-4)  # fmt: skip
        yield Case(op, [images((1, 3, 3, 1), "uint8"), np.array([5, 5], "i4")], traced=[0],
                   atol=1e-3, rtol=1e-4)  # fmt: skip
        yield Case(op, [images((0, 3, 3, 1)), np.array([5, 5], "i4")], traced=[0])
    for op in ("ResizeNearestNeighbor", "ResizeBilinear"):
        yield Case(op, [images((2, 3, 4, 2)), np.array([6, 8], "i4")], gradient=True, traced=[0])
    for size in SIZES:
        yield Case("ResizeArea", [images((2, 5, 4, 3)), np.array(size, "i4")], traced=[0],
                   atol=1e-4, rtol=1e-4)  # fmt: skip


def colours() -> Iterator[Case]:
    for shape in ((2, 3, 3), (4, 3), (0, 3)):
        yield Case("RGBToHSV", [images(shape)])
        yield Case("HSVToRGB", [images(shape)], atol=1e-5)
    yield Case("RGBToHSV", [np.zeros((2, 3), "float32")])
    yield Case("AdjustContrastv2", [images((2, 4, 4, 3)), np.array(1.7, "f4")])


CASES = [*resizes(), *colours()]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_image(name: str, told: Any) -> None:
    check(*told[name])
