"""Image ops against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids, planned_once

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
                yield Case(
                    op,
                    [images((2, 5, 4, 3)), np.array(size, "i4")],
                    attrs,
                    traced=[0],
                    atol=1e-4,
                    rtol=1e-4,
                )
        yield Case(
            op,
            [images((1, 3, 3, 1), "uint8"), np.array([5, 5], "i4")],
            traced=[0],
            atol=1e-3,
            rtol=1e-4,
        )
        yield Case(op, [images((0, 3, 3, 1)), np.array([5, 5], "i4")], traced=[0])
    for op in ("ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"):
        yield Case(op, [images((2, 3, 4, 2)), np.array([6, 8], "i4")], gradient=True, traced=[0])
    for size in SIZES:
        yield Case(
            "ResizeArea",
            [images((2, 5, 4, 3)), np.array(size, "i4")],
            traced=[0],
            atol=1e-4,
            rtol=1e-4,
        )


def colours() -> Iterator[Case]:
    for shape in ((2, 3, 3), (4, 3), (0, 3)):
        yield Case("RGBToHSV", [images(shape)])
        yield Case("HSVToRGB", [images(shape)], atol=1e-5)
    yield Case("RGBToHSV", [np.zeros((2, 3), "float32")])
    yield Case("AdjustContrastv2", [images((2, 4, 4, 3)), np.array(1.7, "f4")])

    for delta in (-0.4, 0.0, 0.7):
        yield Case("AdjustHue", [images((2, 3, 3)), np.array(delta, "f4")], atol=1e-5)
        yield Case("AdjustSaturation", [images((2, 3, 3)), np.array(delta + 1, "f4")], atol=1e-5)
    yield Case("AdjustHue", [images((2, 3, 3)) - np.float32(0.5), np.array(0.2, "f4")], atol=1e-5)


def gradients() -> Iterator[Case]:
    for centers, corners in ((False, False), (True, False), (False, True)):
        attrs = {"half_pixel_centers": centers, "align_corners": corners}
        for op in ("ResizeBilinearGrad", "ResizeBicubicGrad"):
            yield Case(
                op, [images((1, 4, 6, 2)), images((1, 5, 3, 2))], attrs, traced=[0], atol=1e-4
            )
        yield Case(
            "ResizeNearestNeighborGrad",
            [images((1, 4, 6, 2)), np.array([5, 3], "i4")],
            attrs,
            traced=[0],
        )


def filtered() -> Iterator[Case]:
    scale, shift = np.array([0.7, 1.6], "f4"), np.array([0.5, -1.0], "f4")
    for kind in (
        "lanczos1",
        "lanczos3",
        "lanczos5",
        "gaussian",
        "box",
        "triangle",
        "keyscubic",
        "mitchellcubic",
    ):
        for smooth in (True, False):
            attrs = {"kernel_type": kind, "antialias": smooth}
            yield Case(
                "ScaleAndTranslate",
                [images((1, 6, 5, 2)), np.array([4, 9], "i4"), scale, shift],
                attrs,
                traced=[0],
                atol=1e-4,
                rtol=1e-4,
            )
    yield Case(
        "ScaleAndTranslateGrad",
        [images((1, 4, 9, 2)), images((1, 6, 5, 2)), scale, shift],
        traced=[0],
        atol=1e-4,
    )


def crops() -> Iterator[Case]:
    boxes = np.array([[0.1, 0.2, 0.8, 0.9], [-0.3, 0.5, 1.2, 0.12], [0, 0, 1, 1]], "f4")
    owners = np.array([1, 0, 1], "i4")
    for method in ("bilinear", "nearest"):
        for size in ((3, 4), (1, 1), (6, 1)):
            yield Case(
                "CropAndResize",
                [images((2, 5, 6, 3)), boxes, owners, np.array(size, "i4")],
                {"method": method, "extrapolation_value": 0.5},
                traced=[0, 1],
                atol=1e-5,
            )
    yield Case(
        "CropAndResize", [images((1, 5, 6, 3)), boxes, owners, np.array([2, 2], "i4")], fails=True
    )
    yield Case(
        "CropAndResize",
        [images((2, 5, 6, 3), "uint8"), boxes, owners, np.array([2, 2], "i4")],
        traced=[0],
        atol=1e-4,
    )
    grown = [images((3, 4, 2, 3)), boxes, owners]
    for method in ("bilinear", "nearest"):
        yield Case(
            "CropAndResizeGradImage",
            [*grown, np.array([2, 5, 6, 3], "i4")],
            {"method": method, "T": "float32"},
            traced=[0, 1],
            atol=1e-5,
        )
    yield Case(
        "CropAndResizeGradBoxes",
        [grown[0], images((2, 5, 6, 3)), boxes, owners],
        traced=[0, 1, 2],
        atol=1e-4,
    )
    yield Case(
        "CropAndResize",
        [images((2, 5, 6, 3)), boxes, owners, np.array([3, 4], "i4")],
        {"method": "bilinear"},
        traced=[0, 1],
        atol=1e-5,
        gradient=True,
    )
    transforms = np.array(
        [[0.9, 0.3, -4.0, -0.2, 1.1, 2.0, 0.01, -0.02], [1.3, 0, 2.3, 0, 0.8, -9.1, 0, 0]], "f4"
    )
    for mode in ("CONSTANT", "REFLECT", "WRAP", "NEAREST"):
        for method in ("NEAREST", "BILINEAR"):
            for rows in (transforms, transforms[:1]):
                yield Case(
                    "ImageProjectiveTransformV3",
                    [images((2, 5, 6, 2)), rows, np.array([7, 8], "i4"), np.float32(0.3)],
                    {"fill_mode": mode, "interpolation": method},
                    traced=[0, 1],
                    atol=1e-4,
                )
    yield Case(
        "ImageProjectiveTransformV2",
        [images((2, 5, 6, 2), "uint8"), transforms, np.array([5, 6], "i4")],
        {"interpolation": "BILINEAR"},
        traced=[0],
    )


CASES = planned_once([*resizes(), *colours(), *gradients(), *filtered(), *crops()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_image(name: str, told: Any) -> None:
    check(*told[name])
