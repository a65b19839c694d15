"""Pooling and its gradients against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hozon.formats.protos.graph import TypeNumber
from tests.unit.graphs.ops.harness import (
    Case,
    answers,
    check,
    compare_values,
    ids,
    kernel,
    planned_once,
    traced_once,
)

RNG = np.random.default_rng(9)
KINDS = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
ROUGH = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 1e-5, "float64": 1e-12}


def normal(*shape: int, dtype: str = "float32") -> Any:
    return RNG.normal(size=shape).astype(KINDS[dtype])


def ties(*shape: int) -> Any:
    """Few different values, so that windows have several maxima."""
    return RNG.integers(0, 3, shape).astype("f4")


def close(dtype: str) -> dict[str, float]:
    return {"rtol": ROUGH[dtype], "atol": ROUGH[dtype]}


#: window, strides over height and width, padding
GEOMETRIES: tuple[tuple[Any, Any, str], ...] = (
    ((2, 2), (2, 2), "VALID"),
    ((3, 2), (1, 2), "SAME"),
    ((3, 2), (1, 2), "VALID"),
    ((3, 3), (2, 2), "SAME"),
    ((2, 2), (3, 3), "VALID"),
    ((4, 5), (1, 1), "SAME"),
)


def attributes(geometry: tuple[Any, Any, str]) -> dict[str, Any]:
    window, strides, padding = geometry
    return {"ksize": [1, *window, 1], "strides": [1, *strides, 1], "padding": padding}


def result_shape(spatial: Any, window: Any, strides: Any, padding: str) -> list[int]:
    reach = [1] * len(window) if padding == "SAME" else window
    return [(n - k) // s + 1 for n, k, s in zip(spatial, reach, strides, strict=True)]


def planes() -> Iterator[Case]:
    for geometry in GEOMETRIES:
        padding = geometry[2]
        attrs = attributes(geometry)
        x, t = normal(2, 7, 8, 3), ties(2, 7, 8, 3)
        steps = np.array(attrs["ksize"], "i4"), np.array(attrs["strides"], "i4")
        g = normal(2, *result_shape((7, 8), *geometry), 3)
        y = maxima(t, geometry)
        differentiated = geometry == GEOMETRIES[3]
        yield Case("MaxPool", [x], attrs, gradient=differentiated)
        yield Case("AvgPool", [x], attrs, gradient=differentiated)
        yield Case("MaxPoolGrad", [t, y, g], attrs, atol=1e-5)
        yield Case("AvgPoolGrad", [np.array(x.shape, "i4"), g], attrs, traced=(1,), atol=1e-5)
        for batched, index in ((False, "int64"), (True, "int32")):
            yield Case(
                "MaxPoolWithArgmax",
                [t],
                {**attrs, "Targmax": index, "include_batch_in_index": batched},
            )
        if not differentiated:
            continue
        yield Case("MaxPoolV2", [x, *steps], {"padding": padding}, traced=(0,))
        yield Case(
            "MaxPoolGradV2", [t, y, g, *steps], {"padding": padding}, traced=(0, 1, 2), atol=1e-5
        )
        yield Case("MaxPoolGradGrad", [t, y, normal(*t.shape)], attrs)
        yield Case(
            "MaxPoolGradGradV2",
            [t, y, normal(*t.shape), *steps],
            {"padding": padding},
            traced=(0, 1, 2),
        )
        places = RNG.permutation(7 * 8 * 3)[: g[0].size].reshape(g[0].shape)
        yield Case("MaxPoolGradWithArgmax", [t, g, np.stack([places] * 2)], attrs)


def maxima(x: Any, geometry: tuple[Any, Any, str]) -> Any:
    """The maxima of windows, which the gradient ops are given; SAME is padded with -inf."""
    window, strides, padding = geometry
    counts = result_shape(x.shape[1:3], *geometry)
    if padding == "SAME":
        totals = [
            max(0, (c - 1) * s + k - n)
            for c, s, k, n in zip(counts, strides, window, x.shape[1:3], strict=True)
        ]
        sides = [(n // 2, n - n // 2) for n in totals]
        x = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=-np.inf)
    views = np.lib.stride_tricks.sliding_window_view(x, window, (1, 2))
    return views[:, :: strides[0], :: strides[1]].max((-2, -1))


def of_dtypes() -> Iterator[Case]:
    attrs = attributes(((3, 2), (2, 2), "SAME"))
    for dtype in KINDS:
        x = normal(1, 5, 4, 2, dtype=dtype)
        for op in ("MaxPool", "AvgPool", "MaxPoolWithArgmax"):
            yield Case(op, [x], attrs, **close(dtype))
    for dtype in ("int8", "uint16", "int64"):
        whole = RNG.integers(0, 100, (1, 5, 4, 2)).astype(dtype)
        yield Case("MaxPool", [whole - 50 if dtype[0] == "i" else whole], attrs)
    for op in ("MaxPool", "AvgPool"):
        yield Case(op, [normal(0, 5, 4, 2)], attrs)
        along_depth = {"ksize": [1, 1, 1, 2], "strides": [1, 1, 1, 2], "padding": "SAME"}
        if op == "MaxPool":
            yield Case(op, [normal(2, 5, 4, 6)], along_depth)
    for pads in ((1, 0, 0, 1), (0, 1, 1, 1)):
        explicit = [0, 0, *pads, 0, 0]
        yield Case(
            "MaxPool",
            [normal(2, 5, 6, 2) - 9],
            {
                "ksize": [1, 3, 2, 1],
                "strides": [1, 2, 1, 1],
                "padding": "EXPLICIT",
                "explicit_paddings": explicit,
            },
        )


def volumes() -> Iterator[Case]:
    for window, strides, padding in (
        ((2, 2, 2), (2, 2, 2), "SAME"),
        ((2, 3, 1), (1, 2, 1), "VALID"),
    ):
        attrs = {"ksize": [1, *window, 1], "strides": [1, *strides, 1], "padding": padding}
        x = normal(2, 4, 5, 3, 2)
        g = normal(2, *result_shape((4, 5, 3), window, strides, padding), 2)
        yield Case("MaxPool3D", [x], attrs, gradient=window == (2, 2, 2))
        yield Case("AvgPool3D", [x], attrs, gradient=window == (2, 2, 2))
        yield Case("AvgPool3DGrad", [np.array(x.shape, "i4"), g], attrs, traced=(1,), atol=1e-5)
    x = normal(2, 4, 4, 4, 2)  # without ties, where TensorFlow's CPU rewards all maxima
    y = x.reshape(2, 2, 2, 2, 2, 2, 2, 2).max((2, 4, 6))
    attrs = {"ksize": [1, 2, 2, 2, 1], "strides": [1, 2, 2, 2, 1], "padding": "VALID"}
    yield Case("MaxPool3DGrad", [x, y, normal(*y.shape)], attrs)
    yield Case("MaxPool3DGradGrad", [x, y, normal(*x.shape)], attrs)
    yield Case("MaxPool3D", [normal(0, 4, 4, 4, 2)], attrs)


CASES = traced_once(planned_once([*planes(), *of_dtypes(), *volumes()]))


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_pool(name: str, told: Any) -> None:
    check(*told[name])


@pytest.mark.parametrize(
    ("op", "padding"),
    [("MaxPool", "SAME"), ("AvgPool", "SAME"), ("AvgPool3D", "VALID")],
)
def test_channels_first_is_channels_last_turned(op: str, padding: str) -> None:
    """TensorFlow's CPU pools channels last only; graphs made for GPUs hold the others."""
    rank = 3 if "3D" in op else 2
    layout = "NCDHW" if rank == 3 else "NCHW"
    x, window, strides = normal(2, *(5, 6, 4)[:rank], 3), (2, 3, 2)[:rank], (2, 1, 2)[:rank]
    last = {"ksize": (1, *window, 1), "strides": (1, *strides, 1), "padding": padding.encode()}
    first = {
        "ksize": (1, 1, *window),
        "strides": (1, 1, *strides),
        "padding": padding.encode(),
        "data_format": layout.encode(),
    }
    want, have = pooled(op, last, x), pooled(op, first, np.moveaxis(x, -1, 1))
    same(have, np.moveaxis(want, -1, 1))
    g = normal(*want.shape)
    turned, moved = np.moveaxis(x, -1, 1), np.moveaxis(g, -1, 1)
    if op.startswith("Max"):
        want_x = pooled(f"{op}Grad", last, x, want, g)
        have_x = pooled(f"{op}Grad", first, turned, have, moved)
    else:
        want_x = pooled(f"{op}Grad", last, np.array(x.shape, "i4"), g)
        have_x = pooled(f"{op}Grad", first, np.array(turned.shape, "i4"), moved)
    same(have_x, np.moveaxis(want_x, -1, 1))


def pooled(op: str, attrs: dict[str, Any], *inputs: Any) -> Any:
    return np.asarray(kernel(op, T=TypeNumber(1), **attrs)(*inputs))


def same(have: Any, want: Any) -> None:
    assert have.dtype == want.dtype
    assert have.shape == want.shape
    compare_values(have, want, 1e-5, 1e-6, "channels first")
