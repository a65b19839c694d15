"""Convolutions, their gradients and dilations against TensorFlow."""

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

RNG = np.random.default_rng(6)
TOLERANCES = {"float16": 1e-2, "bfloat16": 6e-2, "float32": 1e-4, "float64": 1e-10}
DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}


def close(dtype: str) -> dict[str, float]:
    return {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}


def normal(*shape: int, dtype: str = "float32") -> Any:
    return RNG.normal(size=shape).astype(DTYPES[dtype])


def sizes(*shape: int) -> Any:
    return np.array(shape, "i4")


#: strides, dilations, padding (pairs when explicit) over height and width
GEOMETRIES: tuple[tuple[Any, Any, Any], ...] = (
    ((1, 1), (1, 1), "SAME"),
    ((1, 1), (1, 1), "VALID"),
    ((2, 2), (1, 1), "SAME"),
    ((2, 3), (1, 2), "VALID"),
    ((1, 1), (2, 2), "SAME"),
    ((2, 2), (1, 1), ((0, 2), (1, 1))),
)


def attributes(geometry: tuple[Any, Any, Any]) -> dict[str, Any]:
    strides, dilations, padding = geometry
    attrs: dict[str, Any] = {"strides": [1, *strides, 1], "dilations": [1, *dilations, 1]}
    if isinstance(padding, str):
        return {**attrs, "padding": padding}
    flat = [0, 0, *(n for pair in padding for n in pair), 0, 0]
    return {**attrs, "padding": "EXPLICIT", "explicit_paddings": flat}


def result_shape(
    geometry: tuple[Any, Any, Any], spatial: tuple[int, ...], window: tuple[int, ...]
) -> list[int]:
    strides, dilations, padding = geometry
    pads = padding if not isinstance(padding, str) else [(0, 0)] * len(spatial)
    counts = []
    for n, k, s, d, (low, high) in zip(spatial, window, strides, dilations, pads, strict=True):
        reach = 1 if padding == "SAME" else (k - 1) * d + 1
        counts.append((n + low + high - reach) // s + 1)
    return counts


def planes() -> Iterator[Case]:
    for geometry in GEOMETRIES:
        attrs = attributes(geometry)
        uniform = geometry[0][0] == geometry[0][1]
        x, k, d = normal(2, 7, 8, 3), normal(3, 2, 3, 4), normal(3, 2, 3, 2)
        g = normal(2, *result_shape(geometry, (7, 8), (3, 2)), 4)
        h = normal(2, *result_shape(geometry, (7, 8), (3, 2)), 6)
        yield Case("Conv2D", [x, k], attrs, **close("float32"))
        yield Case(
            "Conv2DBackpropInput",
            [sizes(2, 7, 8, 3), k, g],
            attrs,
            **close("float32"),
            traced=(1, 2),
        )
        yield Case(
            "Conv2DBackpropFilter",
            [x, sizes(3, 2, 3, 4), g],
            attrs,
            **close("float32"),
            traced=(0, 2),
        )
        if not uniform or (geometry[0] != (1, 1) and geometry[1] != (1, 1)):
            continue  # depthwise ops of TensorFlow know one stride only
        yield Case("DepthwiseConv2dNative", [x, d], attrs, **close("float32"))
        if geometry[1] != (1, 1):
            continue  # these gradients ignore dilations on TensorFlow's CPU
        yield Case(
            "DepthwiseConv2dNativeBackpropInput",
            [sizes(2, 7, 8, 3), d, h],
            attrs,
            **close("float32"),
            traced=(1, 2),
        )
        yield Case(
            "DepthwiseConv2dNativeBackpropFilter",
            [x, sizes(3, 2, 3, 2), h],
            attrs,
            **close("float32"),
            traced=(0, 2),
        )


def of_dtypes() -> Iterator[Case]:
    same = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    for dtype in DTYPES:
        x, k, d = (normal(*s, dtype=dtype) for s in ((1, 5, 4, 2), (3, 3, 2, 3), (3, 3, 2, 2)))
        g, h = normal(1, 3, 2, 3, dtype=dtype), normal(1, 3, 2, 4, dtype=dtype)
        wide = close(dtype)
        yield Case("Conv2D", [x, k], same, **wide)
        yield Case("DepthwiseConv2dNative", [x, d], same, **wide)
        if dtype in ("float32", "float64"):
            continue
        yield Case("Conv2DBackpropInput", [sizes(1, 5, 4, 2), k, g], same, **wide)
        yield Case("Conv2DBackpropFilter", [x, sizes(3, 3, 2, 3), g], same, **wide)
        yield Case("DepthwiseConv2dNativeBackpropInput", [sizes(1, 5, 4, 2), d, h], same, **wide)
        yield Case("DepthwiseConv2dNativeBackpropFilter", [x, sizes(3, 3, 2, 2), h], same, **wide)
    whole = np.arange(40, dtype="i4").reshape(1, 5, 4, 2)
    yield Case("Conv2D", [whole, np.arange(36, dtype="i4").reshape(3, 3, 2, 2)], same)


def differentiated() -> Iterator[Case]:
    for attrs in (
        {"strides": [1, 2, 2, 1], "padding": "SAME"},
        {"strides": [1, 1, 1, 1], "dilations": [1, 2, 2, 1], "padding": "VALID"},
    ):
        wide = close("float32")
        yield Case("Conv2D", [normal(1, 6, 6, 2), normal(3, 2, 2, 2)], attrs, gradient=True, **wide)
        grouped = [normal(1, 6, 6, 4), normal(3, 2, 2, 6)]
        yield Case("Conv2D", grouped, attrs, **wide)
    yield Case(
        "DepthwiseConv2dNative",
        [normal(1, 6, 6, 2), normal(3, 2, 2, 2)],
        {"strides": [1, 2, 2, 1], "padding": "SAME"},
        gradient=True,
        **wide,
    )
    yield Case(
        "Conv3D",
        [normal(1, 4, 4, 3, 2), normal(2, 3, 2, 2, 2)],
        {"strides": [1, 1, 2, 1, 1], "padding": "SAME"},
        gradient=True,
        **wide,
    )
    yield Case(
        "Dilation2D",
        [normal(1, 6, 5, 2), normal(3, 2, 2)],
        {"strides": [1, 1, 2, 1], "rates": [1, 1, 1, 1], "padding": "SAME"},
        gradient=True,
        planned=False,
        traced=(),
        **wide,
    )


def groups_and_sizes() -> Iterator[Case]:
    wide = close("float32")
    unit = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    for groups in (2, 6):
        x, k = normal(2, 5, 4, 6), normal(3, 3, 6 // groups, 2 * groups)
        g = normal(2, 5, 4, 2 * groups)
        yield Case("Conv2D", [x, k], unit, **wide)
        yield Case("Conv2DBackpropInput", [sizes(2, 5, 4, 6), k, g], unit, **wide)
        yield Case("Conv2DBackpropFilter", [x, sizes(*k.shape), g], unit, **wide)
    yield Case("Conv2D", [normal(2, 5, 4, 3), normal(1, 1, 3, 4)], unit, **wide)
    yield Case(
        "Conv2D",
        [normal(2, 5, 4, 3), normal(1, 1, 3, 4)],
        {"strides": [1, 3, 2, 1], "padding": "VALID"},
        **wide,
    )
    yield Case("Conv2D", [normal(2, 2, 2, 3), normal(5, 5, 3, 4)], unit, **wide)
    for shape in ((0, 5, 4, 3), (2, 0, 4, 3)):  # (TensorFlow miscounts other channels here)
        yield Case("Conv2D", [normal(*shape), normal(3, 3, 3, 3)], unit)
        yield Case("DepthwiseConv2dNative", [normal(*shape), normal(3, 3, 3, 1)], unit)
    yield Case(
        "Conv2DBackpropInput", [sizes(0, 5, 4, 3), normal(3, 3, 3, 2), normal(0, 5, 4, 2)], unit
    )
    yield Case(
        "Conv2DBackpropFilter", [normal(0, 5, 4, 3), sizes(3, 3, 3, 2), normal(0, 5, 4, 2)], unit
    )
    yield Case(
        "Conv2DBackpropInput",
        [sizes(5, 4), normal(3, 3, 3, 2), normal(2, 5, 4, 2)],
        unit,
        **wide,
        traced=(1, 2),
        known_shapes=False,
    )
    yield Case(
        "Conv2D", [normal(2, 5, 5, 3), normal(3, 3, 2, 2)], unit, known_shapes=False, fails=True
    )


def volumes() -> Iterator[Case]:
    for strides, dilations, padding in (
        ((1, 2, 1), (1, 1, 1), "VALID"),
        ((2, 1, 3), (1, 1, 1), "SAME"),
        ((1, 1, 1), (2, 1, 2), "VALID"),
    ):
        attrs = {"strides": [1, *strides, 1], "dilations": [1, *dilations, 1], "padding": padding}
        x, k = normal(1, 5, 4, 6, 2), normal(3, 2, 2, 2, 3)
        g = normal(1, *result_shape((strides, dilations, padding), (5, 4, 6), (3, 2, 2)), 3)
        yield Case("Conv3D", [x, k], attrs, **close("float32"))
        if dilations != (1, 1, 1):
            continue  # TensorFlow's CPU has no such gradients
        yield Case(
            "Conv3DBackpropInputV2",
            [sizes(1, 5, 4, 6, 2), k, g],
            attrs,
            traced=(1, 2),
            **close("float32"),
        )
        yield Case(
            "Conv3DBackpropFilterV2",
            [x, sizes(3, 2, 2, 2, 3), g],
            attrs,
            traced=(0, 2),
            **close("float32"),
        )
    same = {"strides": [1, 1, 1, 1, 1], "padding": "SAME"}
    for dtype in DTYPES:
        x, k = normal(1, 3, 3, 3, 2, dtype=dtype), normal(2, 2, 2, 2, 2, dtype=dtype)
        yield Case("Conv3D", [x, k], same, **close(dtype))
    yield Case("Conv3D", [normal(0, 3, 3, 3, 2), normal(2, 2, 2, 2, 2)], same)


def rarities() -> Iterator[Case]:
    wide = close("float32")
    same = {"strides": [1, 2, 1, 1], "padding": "SAME"}
    for mode in ("REFLECT", "SYMMETRIC"):  # (TensorFlow gives every picture the first's answer)
        pads = np.array([[0, 0], [1, 2], [0, 1], [0, 0]], "i4")
        yield Case(
            "FusedPadConv2D",
            [normal(1, 5, 4, 2), pads, normal(3, 3, 2, 3)],
            {**same, "mode": mode},
            traced=(0, 2),
            **wide,
        )
    for source, target in (("NHWC", "NCHW"), ("NCHW", "NHWC"), ("NHWC", "HWNC")):
        formats = {"src_format": source, "dst_format": target}
        yield Case("DataFormatDimMap", [np.array([-4, 0, 3, -1, 1], "i4")], formats)
        yield Case("DataFormatVecPermute", [np.array([7, 4, 9, 3], "i4")], formats)
        yield Case("DataFormatVecPermute", [np.arange(8).reshape(4, 2)], formats)
        yield Case("DataFormatVecPermute", [np.array([4, 9], "i4")], formats)


def dilations() -> Iterator[Case]:
    geometries = (((1, 1), (2, 1), "SAME"), ((2, 1), (1, 1), "VALID"), ((2, 2), (1, 2), "SAME"))
    for dtype in (*DTYPES, "int32"):
        for strides, rates, padding in geometries if dtype == "float32" else geometries[:1]:
            x, k = (
                (RNG.normal(size=s) * 9).astype(DTYPES.get(dtype, dtype))
                for s in ((2, 7, 6, 3), (3, 2, 3))
            )
            attrs = {"strides": [1, *strides, 1], "rates": [1, *rates, 1], "padding": padding}
            yield Case("Dilation2D", [x, k], attrs)
            shape = result_shape((strides, rates, padding), (7, 6), (3, 2))
            if dtype == "float32":
                g = normal(2, *shape, 3, dtype=dtype)
                yield Case("Dilation2DBackpropInput", [x, k, g], attrs)
                yield Case("Dilation2DBackpropFilter", [x, k, g], attrs, atol=1e-5)
    infinite = normal(1, 4, 4, 2)
    infinite[0, 1, 1] = np.inf
    infinite[0, 3, 3] = np.nan
    attrs = {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"}
    yield Case("Dilation2D", [infinite[:, :3], normal(2, 2, 2)], attrs)
    yield Case("Dilation2D", [normal(0, 4, 4, 2), normal(2, 2, 2)], attrs)


CASES = traced_once(
    planned_once(
        [
            *planes(),
            *of_dtypes(),
            *differentiated(),
            *groups_and_sizes(),
            *volumes(),
            *rarities(),
            *dilations(),
        ]
    )
)


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_conv(name: str, told: Any) -> None:
    check(*told[name])


def first(x: Any) -> Any:
    """Channels after the batch instead of last."""
    return np.moveaxis(np.asarray(x), -1, 1)


def turned(values: Any) -> list[int]:
    return [values[0], values[-1], *values[1:-1]]


@pytest.mark.parametrize("geometry", GEOMETRIES[-2:], ids=str)
@pytest.mark.parametrize("op", ["Conv2D", "DepthwiseConv2dNative"])
def test_channels_first_is_channels_last_turned(op: str, geometry: Any) -> None:
    """TensorFlow's CPU has no NCHW convolutions; graphs made for GPUs hold them."""
    attrs = attributes(geometry)
    moved = {**attrs, "strides": turned(attrs["strides"]), "dilations": turned(attrs["dilations"])}
    if "explicit_paddings" in attrs:
        flat = attrs["explicit_paddings"]
        moved["explicit_paddings"] = (0, 0, 0, 0, *flat[2:6])
    moved["data_format"] = "NCHW"
    x, k = normal(2, 7, 8, 3), normal(3, 2, 3, 4)
    last, moved_kernel = (_kernel(op, a) for a in (attrs, moved))
    want = last(x, k)
    _same(moved_kernel(first(x), k), first(want))
    of_input, of_kernel = f"{op}BackpropInput", f"{op}BackpropFilter"
    g = normal(*want.shape)
    want_x = _kernel(of_input, attrs)(sizes(*x.shape), k, g)
    have_x = _kernel(of_input, moved)(sizes(*first(x).shape), k, first(g))
    _same(have_x, first(want_x))
    want_k = _kernel(of_kernel, attrs)(x, sizes(*k.shape), g)
    have_k = _kernel(of_kernel, moved)(first(x), sizes(*k.shape), first(g))
    _same(have_k, want_k)


def test_volumes_with_channels_first() -> None:
    attrs = {"strides": [1, 1, 2, 1, 1], "padding": "SAME"}
    moved = {"strides": [1, 1, 1, 2, 1], "padding": "SAME", "data_format": "NCDHW"}
    x, k = normal(1, 4, 5, 3, 2), normal(2, 3, 2, 2, 3)
    _same(_kernel("Conv3D", moved)(first(x), k), first(_kernel("Conv3D", attrs)(x, k)))


def test_gradients_may_be_given_a_tensor_of_their_shape() -> None:
    """TensorFlow's CPU has no kernels for these."""
    for rank in (2, 3):
        like = {2: "V2", 3: ""}[rank]
        x, k = normal(1, *(4, 5, 3)[:rank], 2), normal(*(2, 3, 2)[:rank], 2, 3)
        attrs = {"strides": [1] * (rank + 2), "padding": "SAME"}
        g = normal(*np.asarray(_kernel(f"Conv{rank}D", attrs)(x, k)).shape)
        usual = {2: "", 3: "V2"}[rank]
        for end, shape, given in (("Input", x, (k, g)), ("Filter", k, (x, g))):
            want = _ordered(f"Conv{rank}DBackprop{end}{usual}", attrs, sizes(*shape.shape), *given)
            have = _ordered(f"Conv{rank}DBackprop{end}{like}", attrs, shape, *given)
            _same(have, want)


def _ordered(op: str, attrs: dict[str, Any], shape: Any, other: Any, g: Any) -> Any:
    operands = (shape, other, g) if "Input" in op else (other, shape, g)
    return _kernel(op, attrs)(*operands)


def _kernel(op: str, attrs: dict[str, Any]) -> Any:
    encoded = {k: v.encode() if isinstance(v, str) else v for k, v in attrs.items()}
    return kernel(op, T=TypeNumber(1), **encoded)


def _same(have: Any, want: Any) -> None:
    have, want = np.asarray(have), np.asarray(want)
    assert have.dtype == want.dtype
    assert have.shape == want.shape
    compare_values(have, want, 1e-4, 1e-4, "channels first")
