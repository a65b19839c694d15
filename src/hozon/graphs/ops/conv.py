"""Convolutions, their gradients, and dilations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hozon.graphs.kernels.convolution import (
    convolution,
    convolution_input_gradient,
    convolution_kernel_gradient,
    depthwise_convolution,
    grouped_kernel,
)
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_ints

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


@CONV.op("Dilation2D")
def dilation(node: NodeView) -> Kernel:
    """Grey-scale dilation: the maximum over the window of input plus filter."""
    strides = node.ints("strides")[1:3]
    rates = node.ints("rates")[1:3]
    padding = node.text("padding")

    def dilate(x: Value, kernel: Value) -> Value:
        x = jnp.asarray(x)
        height, width, channels = kernel.shape
        patches = jax.lax.conv_general_dilated_patches(
            x, (height, width), strides, "VALID" if padding == "VALID" else "SAME",
            rhs_dilation=rates, dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        inside = jax.lax.conv_general_dilated_patches(
            jnp.ones_like(x), (height, width), strides,
            "VALID" if padding == "VALID" else "SAME",
            rhs_dilation=rates, dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        shape = (*patches.shape[:3], channels, height * width)
        offsets = jnp.asarray(kernel).reshape(height * width, channels).T
        values = jnp.where(inside.reshape(shape) > 0, patches.reshape(shape) + offsets, -jnp.inf)
        return values.max(-1).astype(x.dtype)

    return dilate
