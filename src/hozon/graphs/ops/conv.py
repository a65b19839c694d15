"""Convolutions, their gradients, and dilations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hozon.graphs.kernels.convolution import convolution
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_ints

CONV = OpTable("conv")


class Geometry:
    """Strides, dilations and padding of a convolution node, for its spatial axes only."""

    def __init__(self, node: NodeView, rank: int) -> None:
        default = "NHWC" if rank == 2 else "NDHWC"
        self.data_format = node.text("data_format") if _declares(node, "data_format") else default
        self.first = self.data_format.startswith("NC")
        self.rank = rank
        self.strides = self._spatial(node.ints("strides"))
        self.dilations = (
            self._spatial(node.ints("dilations")) if _declares(node, "dilations") else (1,) * rank
        )
        self.padding = self._padding(node)

    def _spatial(self, values: tuple[int, ...]) -> tuple[int, ...]:
        return values[2:] if self.first else values[1:-1]

    def _padding(self, node: NodeView) -> str | list[tuple[int, int]]:
        padding = node.text("padding")
        if padding != "EXPLICIT":
            return padding
        flat = node.ints("explicit_paddings")
        return list(self._spatial(tuple(zip(flat[::2], flat[1::2], strict=True))))  # type: ignore[arg-type]

    @property
    def channel_axis(self) -> int:
        """The axis of channels in inputs and outputs."""
        return 1 if self.first else self.rank + 1

    def convolve(self, x: Value, kernel: Value, groups: int) -> Value:
        """The convolution of this geometry."""
        return convolution(
            jnp.asarray(x), jnp.asarray(kernel), strides=self.strides, padding=self.padding,
            dilations=self.dilations, groups=groups, data_format=self.data_format,
        )  # fmt: skip

    def grouped(self, x: Value, kernel: Value) -> Value:
        """A convolution whose number of groups follows from the shapes."""
        return self.convolve(x, kernel, x.shape[self.channel_axis] // kernel.shape[-2])

    def depthwise(self, x: Value, kernel: Value) -> Value:
        """A depthwise convolution: `kernel` is (*window, channels, multiplier)."""
        *window, channels, multiplier = kernel.shape
        return self.convolve(x, kernel.reshape(*window, 1, channels * multiplier), channels)


def _declares(node: NodeView, name: str) -> bool:
    return node.definition is not None and name in node.definition.attrs


@CONV.op("Conv2D", "Conv3D", "Conv")
def conv(node: NodeView) -> Kernel:
    return Geometry(node, 3 if node.op == "Conv3D" else 2).grouped


@CONV.op("DepthwiseConv2dNative")
def depthwise_conv(node: NodeView) -> Kernel:
    return Geometry(node, 2).depthwise


def _input_gradient(form: str) -> Any:
    def handler(node: NodeView) -> Kernel:
        geometry = Geometry(node, 3 if "3D" in node.op else 2)
        forward = getattr(geometry, form)

        def gradient(sizes: Value, kernel: Value, g: Value) -> Value:
            shape = _sizes(sizes, geometry, kernel, g)
            zeros = jax.ShapeDtypeStruct(shape, g.dtype)
            transpose = jax.linear_transpose(lambda x: forward(x, jnp.asarray(kernel)), zeros)
            return transpose(jnp.asarray(g))[0]

        return gradient

    return handler


def _sizes(sizes: Value, geometry: Geometry, kernel: Value, g: Value) -> tuple[int, ...]:
    """The input's shape; TensorFlow also takes the two spatial sizes alone."""
    given = static_ints(sizes, "the shape of a transposed convolution")
    if len(given) == geometry.rank:
        channels = (kernel.shape[-2],)
        given = (*channels, *given) if geometry.first else (*given, *channels)
        given = (g.shape[0], *given)
    return given


CONV.op("Conv2DBackpropInput", "Conv3DBackpropInputV2")(_input_gradient("grouped"))
CONV.op("DepthwiseConv2dNativeBackpropInput")(_input_gradient("depthwise"))


def _kernel_gradient(form: str) -> Any:
    def handler(node: NodeView) -> Kernel:
        geometry = Geometry(node, 3 if "3D" in node.op else 2)
        forward = getattr(geometry, form)

        def gradient(x: Value, sizes: Value, g: Value) -> Value:
            shape = static_ints(sizes, "the shape of a kernel")
            zeros = jax.ShapeDtypeStruct(shape, x.dtype)
            transpose = jax.linear_transpose(lambda k: forward(jnp.asarray(x), k), zeros)
            return transpose(jnp.asarray(g))[0]

        return gradient

    return handler


CONV.op("Conv2DBackpropFilter", "Conv3DBackpropFilterV2")(_kernel_gradient("grouped"))
CONV.op("DepthwiseConv2dNativeBackpropFilter")(_kernel_gradient("depthwise"))


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
