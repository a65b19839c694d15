"""The rule for conv_general_dilated, of one, two or three spatial dimensions.

Everything is brought to TensorFlow's own layout first: batch, space, channels; and space, inputs,
outputs for the kernel. One spatial dimension gets a second one of size 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax import lax

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Dim, Tensor

CONVOLVE = Rules("convolve")

#: Dtypes that the ops take, by the number of spatial dimensions.
_DIRECT = {
    2: frozenset({"int32", "float16", "bfloat16", "float32", "float64"}),
    3: frozenset({"float16", "bfloat16", "float32", "float64"}),
}


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel moves: all members by spatial dimension."""

    strides: tuple[int, ...]
    pads: tuple[tuple[Dim, Dim], ...]
    spread: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int

    @property
    def rank(self) -> int:
        """The number of spatial dimensions."""
        return len(self.strides)


@CONVOLVE.rule("conv_general_dilated")
def conv_general_dilated(body: Body, eqn: Equation, lhs: Tensor, rhs: Tensor) -> Tensor:
    """Convolution in any layout, strided, dilated, transposed or in groups."""
    numbers, out = eqn.params["dimension_numbers"], eqn.out_avals[0]
    rank = len(numbers.lhs_spec) - 2
    if not 1 <= rank <= 3:
        raise NoRule(eqn.primitive)
    dtype = _computing_dtype(eqn, np.dtype(out.dtype), max(rank, 2))
    x = _to_layout(body, steps.cast(body, lhs, dtype), numbers.lhs_spec)
    kernel = steps.cast(body, rhs, dtype)
    kernel = steps.transpose(body, kernel, [*numbers.rhs_spec[2:], *_inputs_outputs(numbers)])
    window = _window(eqn)
    if rank == 1:
        x, kernel, window = _flat(body, x, kernel, window)
    batches = eqn.params["batch_group_count"]
    result = _by_batches(body, x, kernel, window, batches)
    if rank == 1:
        result = steps.reshape(body, result, (result.shape[0], *result.shape[2:]))
    return steps.cast(body, _from_layout(body, result, numbers.out_spec), out.dtype)


def _computing_dtype(eqn: Equation, dtype: np.dtype[Any], rank: int) -> np.dtype[Any]:
    if dtype.name in _DIRECT[rank]:
        return dtype
    if rank == 2 and dtype.kind in "iub" and dtype.itemsize <= 4:
        return np.dtype(np.int32)
    raise NoRule(eqn.primitive)


def _inputs_outputs(numbers: Any) -> tuple[int, int]:
    return numbers.rhs_spec[1], numbers.rhs_spec[0]


def _to_layout(body: Body, x: Tensor, spec: Sequence[int]) -> Tensor:
    return steps.transpose(body, x, [spec[0], *spec[2:], spec[1]])


def _from_layout(body: Body, x: Tensor, spec: Sequence[int]) -> Tensor:
    return steps.transpose(body, x, list(np.argsort([spec[0], *spec[2:], spec[1]])))


def _window(eqn: Equation) -> Window:
    params = eqn.params
    return Window(
        tuple(int(i) for i in params["window_strides"]),
        tuple((low, high) for low, high in params["padding"]),
        tuple(int(i) for i in params["lhs_dilation"]),
        tuple(int(i) for i in params["rhs_dilation"]),
        int(params["feature_group_count"]),
    )


def _flat(body: Body, x: Tensor, kernel: Tensor, window: Window) -> tuple[Tensor, Tensor, Window]:
    """One spatial dimension as the second of two; the first has size 1."""
    wide = Window(
        (window.strides[0], *window.strides),
        ((0, 0), *window.pads),
        (1, *window.spread),
        (1, *window.dilations),
        window.groups,
    )
    if window.spread[0] > 1:
        wide = replace(wide, strides=(1, *window.strides))
    return steps.expand(body, x, 1), steps.expand(body, kernel, 0), wide


def _by_batches(body: Body, x: Tensor, kernel: Tensor, window: Window, count: int) -> Tensor:
    """Parts of the batch meet parts of the outputs; their results are channels side by side."""
    if count == 1:
        return _convolve(body, x, kernel, window)
    inputs = steps.split_last(body, x, 0, count)
    kernels = steps.split_last(body, kernel, len(kernel.shape) - 1, count)
    parts = [_convolve(body, *pair, window) for pair in zip(inputs, kernels, strict=True)]
    return steps.concat(body, parts, len(x.shape) - 1)


def _convolve(body: Body, x: Tensor, kernel: Tensor, window: Window) -> Tensor:
    if any(spread > 1 for spread in window.spread):
        return _grouped(body, x, kernel, window, _transposed)
    if window.groups > 1 and window.groups == x.shape[-1] and window.rank == 2:
        return _depthwise(body, x, kernel, window)
    if window.rank == 2 and window.groups == 1:
        return _plain(body, x, kernel, window, "Conv2D")
    return _grouped(body, x, kernel, window, _undilated)


def _grouped(body: Body, x: Tensor, kernel: Tensor, window: Window, one: Any) -> Tensor:
    """Groups one after the other: the ops for several at once have no gradient on the CPU."""
    if window.groups == 1:
        return one(body, x, kernel, window)  # type: ignore[no-any-return]
    last = len(x.shape) - 1
    inputs = steps.split_last(body, x, last, window.groups)
    kernels = steps.split_last(body, kernel, last, window.groups)
    single = replace(window, groups=1)
    parts = [one(body, *pair, single) for pair in zip(inputs, kernels, strict=True)]
    return steps.concat(body, parts, last)


def _undilated(body: Body, x: Tensor, kernel: Tensor, window: Window) -> Tensor:
    if window.rank == 2:
        return _plain(body, x, kernel, window, "Conv2D")
    kernel, window = _without_dilation(body, kernel, window)
    return _plain(body, x, kernel, window, "Conv3D")


def _without_dilation(body: Body, kernel: Tensor, window: Window) -> tuple[Tensor, Window]:
    """Zeros between the kernel's elements instead of a dilation that the op does not know."""
    for axis, dilation in enumerate(window.dilations):
        kernel = _spread_axis(body, kernel, axis, dilation)
    return kernel, replace(window, dilations=(1,) * window.rank)


def _spread_axis(body: Body, x: Tensor, axis: int, step: int) -> Tensor:
    """`x` with step - 1 zeros between neighbours along `axis`."""
    if step == 1 or x.shape[axis] == 1:
        return x
    wide = steps.expand(body, x, axis + 1)
    pads: list[tuple[Dim, Dim]] = [(0, 0)] * len(wide.shape)
    pads[axis + 1] = (0, step - 1)
    wide = steps.pad(body, wide, pads)
    dims = (*x.shape[:axis], x.shape[axis] * step, *x.shape[axis + 1 :])
    flat = steps.reshape(body, wide, dims)
    size = (*x.shape[:axis], (x.shape[axis] - 1) * step + 1, *x.shape[axis + 1 :])
    return steps.cut(body, flat, [0] * len(size), size)


def _reach(kernel: Tensor, window: Window) -> list[int]:
    """How many elements the kernel spans in each dimension."""
    sizes = kernel.shape[: window.rank]
    if not steps.is_known(sizes):
        raise NoRule("conv_general_dilated")
    return [(int(k) - 1) * d + 1 for k, d in zip(sizes, window.dilations, strict=True)]


def padded(
    body: Body,
    x: Tensor,
    reach: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[tuple[Dim, Dim]],
    fill: Any = 0,
) -> tuple[Tensor, bytes]:
    """The input of an op and its padding attribute, for spatial dimensions 1, 2, ..."""
    if all(steps.is_known(pair) and pair == (0, 0) for pair in pads):
        return x, b"VALID"
    space = x.shape[1 : 1 + len(reach)]
    usual = lax.padtype_to_pads(space, tuple(reach), tuple(strides), "SAME")
    if all(steps.same_dims(a, b) for a, b in zip(usual, pads, strict=True)):
        return x, b"SAME"
    return steps.pad(body, x, [(0, 0), *pads, (0, 0)], fill), b"VALID"


def window_dims(
    x: Tensor, reach: Sequence[int], strides: Sequence[int], padding: bytes
) -> list[Dim]:
    """The spatial sizes of the result of an op on `x`."""
    space = x.shape[1 : 1 + len(reach)]
    if padding == b"SAME":
        return [-(-size // s) for size, s in zip(space, strides, strict=True)]
    triples = zip(space, reach, strides, strict=True)
    return [(size - r) // s + 1 for size, r, s in triples]


def _plain(body: Body, x: Tensor, kernel: Tensor, window: Window, name: str) -> Tensor:
    reach = _reach(kernel, window)
    x, padding = padded(body, x, reach, window.strides, window.pads)
    dims = (x.shape[0], *window_dims(x, reach, window.strides, padding), kernel.shape[-1])
    return steps.op(
        body,
        name,
        [x, kernel],
        x,
        dims,
        strides=(1, *window.strides, 1),
        padding=padding,
        dilations=(1, *window.dilations, 1),
    )


def _depthwise(body: Body, x: Tensor, kernel: Tensor, window: Window) -> Tensor:
    """One input per group. The op wants equal strides and, on the CPU, no dilations."""
    channels = x.shape[-1]
    multiplier = kernel.shape[-1] // channels
    kernel, window = _without_dilation(body, kernel, window)
    kernel = steps.reshape(body, kernel, (*kernel.shape[:2], channels, multiplier))
    reach = _reach(kernel, window)
    x, padding = padded(body, x, reach, window.strides, window.pads)
    strides = window.strides
    if len(set(strides)) > 1:
        if padding == b"SAME":
            x = steps.pad(body, x, [(0, 0), *window.pads, (0, 0)])
            padding = b"VALID"
        strides = (1, 1)
    dims = (x.shape[0], *window_dims(x, reach, strides, padding), channels * multiplier)
    result = steps.op(
        body,
        "DepthwiseConv2dNative",
        [x, kernel],
        x,
        dims,
        strides=(1, *strides, 1),
        padding=padding,
    )
    if strides != window.strides:
        result = steps.take_every(body, result, (1, *window.strides, 1))
    return result


def _transposed(body: Body, x: Tensor, kernel: Tensor, window: Window) -> Tensor:
    """The gradient of a strided convolution, whose kernel is this one turned round."""
    kernel, window = _without_dilation(body, kernel, window)
    rank = window.rank
    flipped = steps.reverse(body, kernel, list(range(rank)))
    flipped = steps.transpose(body, flipped, [*range(rank), rank + 1, rank])
    reach = _reach(kernel, window)
    amounts = [
        (r - 1 - low, r - 1 - high) for r, (low, high) in zip(reach, window.pads, strict=True)
    ]
    space = x.shape[1 : 1 + rank]
    pairs = zip(space, window.spread, strict=True)
    if all(_is_same(*item) for item in zip(reach, window.spread, amounts, strict=True)):
        size: list[Dim] = [dim * s for dim, s in pairs]
        result = _backward(body, x, flipped, window, size, b"SAME")
    else:
        size = [(dim - 1) * s + r for (dim, s), r in zip(pairs, reach, strict=True)]
        result = _backward(body, x, flipped, window, size, b"VALID")
        crop = [(-low, -high) for low, high in amounts]
        result = steps.pad(body, result, [(0, 0), *crop, (0, 0)])
    return steps.take_every(body, result, (1, *window.strides, 1))


def _is_same(reach: int, stride: int, amounts: tuple[Dim, Dim]) -> bool:
    """Whether cutting `amounts` off leaves `stride` times the input, as SAME padding does."""
    total = max(reach - stride, 0)
    low, high = amounts
    return bool(low == total // 2) and bool(low + high == reach - stride)


def _backward(
    body: Body, x: Tensor, kernel: Tensor, window: Window, size: Sequence[Dim], padding: bytes
) -> Tensor:
    dims = (x.shape[0], *size, kernel.shape[-2])
    name = "Conv2DBackpropInput" if window.rank == 2 else "Conv3DBackpropInputV2"
    inputs = [body.shape(dims), kernel, x]
    attrs = {"strides": (1, *window.spread, 1), "padding": padding}
    return steps.op(body, name, inputs, x, dims, **attrs)
