"""Convolutions and their gradients, in the form that suits the platform.

Accelerators get XLA's own convolution, CPUs the forms of `hozon.kernels.on_cpu`. The choice is made
when a function is lowered, so one traced function serves every platform. All forms can be
differentiated and mapped with `jax.vmap`.

Kernels are laid out ``(*spatial, in_channels // groups, out_channels)``; strides, dilations and
explicit padding have one entry per spatial axis. One to three spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive

from hozon.kernels.operations import (
    CONVOLUTION,
    INPUT_GRADIENT,
    KERNEL_GRADIENT,
    NATIVE,
    Geometry,
)
from hozon.kernels.windows import DataFormat, Padding, make_window


def convolution(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    dilations: Sequence[int] | None = None,
    data_format: DataFormat = "channels_last",
) -> Array:
    """Cross-correlation of ``x`` with ``kernel``.

    The number of groups follows from the channel counts of ``x`` and ``kernel``. The result
    has ``x``'s dtype and layout.
    """
    geometry = _geometry(x.shape, kernel.shape, strides, padding, dilations, data_format)
    return _apply(CONVOLUTION, x, kernel, geometry)


def depthwise_convolution(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    dilations: Sequence[int] | None = None,
    data_format: DataFormat = "channels_last",
) -> Array:
    """Convolution of each channel alone; ``kernel`` is ``(*spatial, channels, multiplier)``.

    Output channel ``c * multiplier + m`` is input channel ``c`` through ``kernel[..., c, m]``.
    """
    return convolution(
        x,
        grouped_kernel(kernel),
        strides=strides,
        padding=padding,
        dilations=dilations,
        data_format=data_format,
    )


def grouped_kernel(depthwise: Array) -> Array:
    """A depthwise kernel ``(*spatial, channels, multiplier)`` as one of ``channels`` groups."""
    return depthwise.reshape(*depthwise.shape[:-2], 1, -1)


def convolution_input_gradient(
    gradient: Array,
    kernel: Array,
    input_shape: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    dilations: Sequence[int] | None = None,
    data_format: DataFormat = "channels_last",
) -> Array:
    """The gradient of `convolution` for an input of ``input_shape``: transposed convolution.

    ``gradient`` has the shape of that convolution's output; the other arguments are the
    convolution's own.
    """
    geometry = _geometry(input_shape, kernel.shape, strides, padding, dilations, data_format)
    return _apply(INPUT_GRADIENT, gradient, kernel, geometry)


def convolution_kernel_gradient(
    x: Array,
    gradient: Array,
    kernel_shape: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    dilations: Sequence[int] | None = None,
    data_format: DataFormat = "channels_last",
) -> Array:
    """The gradient of `convolution` for a kernel of ``kernel_shape``."""
    geometry = _geometry(x.shape, kernel_shape, strides, padding, dilations, data_format)
    return _apply(KERNEL_GRADIENT, x, gradient, geometry)


def _geometry(
    inputs: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
    dilations: Sequence[int] | None,
    data_format: DataFormat,
) -> Geometry:
    first = data_format == "channels_first"
    channels, spatial = (inputs[1], inputs[2:]) if first else (inputs[-1], inputs[1:-1])
    per_group = kernel[-2]
    if per_group == 0 or channels % per_group or kernel[-1] % (channels // per_group):
        raise ValueError(
            f"A kernel of shape {tuple(kernel)} does not divide {channels} input channels into "
            "groups of equal size."
        )
    window = make_window(spatial, kernel[:-2], strides, dilations, padding)
    return Geometry(window, tuple(inputs[1:]), tuple(kernel), data_format)


def _apply(primitive: Primitive, a: Array, b: Array, geometry: Geometry) -> Array:
    """The operation, or XLA's own form of it for numbers and sizes that have no other one."""
    sizes = (*geometry.inputs, *geometry.kernel)
    if all(isinstance(n, int) for n in sizes):
        if 0 in (*a.shape, *b.shape, *geometry.inputs, *geometry.outputs):
            return _empty(primitive, a, geometry)
        if a.dtype == b.dtype and jnp.issubdtype(a.dtype, jnp.floating):
            return primitive.bind(a, b, geometry=geometry)
    return NATIVE[primitive.name](a, b, geometry)


def _empty(primitive: Primitive, a: Array, geometry: Geometry) -> Array:
    """The result where an operand, the input or the output has no elements."""
    shapes = {
        CONVOLUTION: (a.shape[0], *geometry.outputs),
        INPUT_GRADIENT: (a.shape[0], *geometry.inputs),
        KERNEL_GRADIENT: geometry.kernel,
    }
    return jnp.zeros(shapes[primitive], a.dtype)
