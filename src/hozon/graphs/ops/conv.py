"""Convolutions, their gradients, and dilations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_ints
from hozon.kernels.convolution import (
    convolution,
    convolution_input_gradient,
    convolution_kernel_gradient,
    depthwise_convolution,
    grouped_kernel,
)
from hozon.kernels.windows import Padding, make_window, taps

CONV = OpTable("conv")


class Geometry:
    """Strides, dilations and padding of a convolution node, for its spatial axes only."""

    def __init__(self, node: NodeView, rank: int) -> None:
        declared = node.definition.attrs if node.definition is not None else {}
        first = "data_format" in declared and node.text("data_format").startswith("NC")
        self.rank = rank
        self.first = first
        self.arguments: dict[str, Any] = {
            "strides": self._spatial(node.ints("strides")),
            "padding": self._padding(node),
            "data_format": "channels_first" if first else "channels_last",
        }
        if "dilations" in declared:
            self.arguments["dilations"] = self._spatial(node.ints("dilations"))

    def _spatial(self, values: Sequence[Any]) -> list[Any]:
        return list(values[2:] if self.first else values[1:-1])

    def _padding(self, node: NodeView) -> Any:
        padding = node.text("padding")
        if padding != "EXPLICIT":
            return padding
        flat = node.ints("explicit_paddings")
        return self._spatial(list(zip(flat[::2], flat[1::2], strict=True)))

    def input_shape(self, sizes: Value, channels: int, batch: int) -> tuple[int, ...]:
        """The shape of a gradient's input; TensorFlow also takes its spatial sizes alone."""
        given = static_ints(sizes, "the shape of a transposed convolution")
        if len(given) != self.rank:
            return given
        return (batch, channels, *given) if self.first else (batch, *given, channels)


def _rank(node: NodeView) -> int:
    return 3 if "3D" in node.op else 2


@CONV.op("Conv2D", "Conv3D")
def conv(node: NodeView) -> Kernel:
    arguments = Geometry(node, _rank(node)).arguments
    return lambda x, kernel: convolution(jnp.asarray(x), jnp.asarray(kernel), **arguments)


@CONV.op("FusedPadConv2D")
def padded_conv(node: NodeView) -> Kernel:
    """Mirror padding, then a convolution."""
    mode = node.text("mode").lower()
    arguments = Geometry(node, 2).arguments

    def run(x: Value, paddings: Value, kernel: Value) -> Value:
        flat = static_ints(paddings, "the padding")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        padded = jnp.pad(jnp.asarray(x), pairs, mode=mode)
        return convolution(padded, jnp.asarray(kernel), **arguments)

    return run


@CONV.op("DepthwiseConv2dNative")
def depthwise_conv(node: NodeView) -> Kernel:
    arguments = Geometry(node, 2).arguments
    return lambda x, kernel: depthwise_convolution(jnp.asarray(x), jnp.asarray(kernel), **arguments)


@CONV.op("Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput")
def input_gradient(node: NodeView) -> Kernel:
    geometry = Geometry(node, _rank(node))
    depthwise = node.op.startswith("Depthwise")

    def gradient(sizes: Value, kernel: Value, g: Value) -> Value:
        shape = geometry.input_shape(sizes, kernel.shape[-2], g.shape[0])
        kernel = jnp.asarray(kernel)
        kernel = grouped_kernel(kernel) if depthwise else kernel
        return convolution_input_gradient(jnp.asarray(g), kernel, shape, **geometry.arguments)

    return gradient


@CONV.op("Conv2DBackpropInputV2", "Conv3DBackpropInput")
def input_gradient_like(node: NodeView) -> Kernel:
    """As above, the shape being that of a tensor."""
    arguments = Geometry(node, _rank(node)).arguments
    return lambda x, kernel, g: convolution_input_gradient(
        jnp.asarray(g), jnp.asarray(kernel), x.shape, **arguments
    )


@CONV.op("Conv2DBackpropFilterV2", "Conv3DBackpropFilter")
def kernel_gradient_like(node: NodeView) -> Kernel:
    """As below, the shape being that of a tensor."""
    arguments = Geometry(node, _rank(node)).arguments
    return lambda x, kernel, g: convolution_kernel_gradient(
        jnp.asarray(x), jnp.asarray(g), kernel.shape, **arguments
    )


@CONV.op("Conv2DBackpropFilter", "Conv3DBackpropFilterV2", "DepthwiseConv2dNativeBackpropFilter")
def kernel_gradient(node: NodeView) -> Kernel:
    arguments = Geometry(node, _rank(node)).arguments
    depthwise = node.op.startswith("Depthwise")

    def gradient(x: Value, sizes: Value, g: Value) -> Value:
        shape = static_ints(sizes, "the shape of a kernel")
        *window, channels, multiplier = shape
        grouped = (*window, 1, channels * multiplier) if depthwise else shape
        x, g = jnp.asarray(x), jnp.asarray(g)
        return convolution_kernel_gradient(x, g, grouped, **arguments).reshape(shape)

    return gradient


def _dilator(node: NodeView) -> Kernel:
    """Grey-scale dilation: the maximum over the window of input plus filter.

    Padding never wins, nor does NaN; the gradient goes to the first maximum
    (tensorflow/core/kernels/dilation_ops.cc).
    """
    strides, rates = node.ints("strides")[1:3], node.ints("rates")[1:3]
    padding = cast("Padding", node.text("padding"))

    def dilate(x: Value, kernel: Value) -> Value:
        spatial = make_window(x.shape[1:3], kernel.shape[:2], strides, rates, padding)
        window = spatial.between_batch_and_channels
        best = jnp.full(
            window.output_shape(x.shape),
            jnp.finfo(x.dtype).min
            if jnp.issubdtype(x.dtype, jnp.floating)
            else jnp.iinfo(x.dtype).min,
            x.dtype,
        )
        inside = taps(jnp.ones((1, *x.shape[1:3], 1), bool), window)
        for (index, view), (_, within) in zip(taps(x, window), inside, strict=True):
            value = view + kernel[index[1:3]]
            best = jnp.where(within & (value > best), value, best)
        return best

    return dilate


@CONV.op("Dilation2D")
def dilation(node: NodeView) -> Kernel:
    dilate = _dilator(node)
    return lambda x, kernel: dilate(jnp.asarray(x), jnp.asarray(kernel))


@CONV.op("Dilation2DBackpropInput", "Dilation2DBackpropFilter")
def dilation_gradient(node: NodeView) -> Kernel:
    dilate = _dilator(node)
    operand = 0 if node.op.endswith("Input") else 1

    def gradient(x: Value, kernel: Value, g: Value) -> Value:
        _, pull = jax.vjp(dilate, jnp.asarray(x), jnp.asarray(kernel))
        return pull(jnp.asarray(g))[operand]

    return gradient


def _axes(node: NodeView) -> tuple[str, str]:
    return node.text("src_format"), node.text("dst_format")


@CONV.op("DataFormatDimMap")
def axis_of_format(node: NodeView) -> Kernel:
    """Numbers of axes in one layout as those of the same axes in another."""
    source, target = _axes(node)
    places = np.array([target.index(letter) for letter in source])
    return lambda x: ns(x).asarray(places.astype(x.dtype))[x % len(source)]


@CONV.op("DataFormatVecPermute")
def permute_to_format(node: NodeView) -> Kernel:
    """What belongs to each axis, or to each spatial one, in the order of another layout."""
    source, target = _axes(node)

    def permute(x: Value) -> Value:
        full = x.shape[0] == len(source)
        letters = source if full else "".join(a for a in source if a not in "NC")
        wanted = target if full else "".join(a for a in target if a not in "NC")
        return x[np.array([letters.index(letter) for letter in wanted])]

    return permute
