"""Convolutions and their gradients, in the form that suits the platform.

Accelerators get XLA's own convolution. XLA's CPU backend runs that one well only when every
output channel reads every input channel through more than one tap, so on CPU

* a depthwise convolution is a sum over kernel taps of shifted inputs times a kernel row, which
  compiles to one vectorized loop (two orders of magnitude faster at batch 16);
* a grouped convolution is a few dense ones, each over a block of groups;
* a one-tap convolution is a matrix product.

Transposed convolutions are as fast as TensorFlow's in XLA's own form.

The choice is made when a function is lowered (`jax.lax.platform_dependent`), so one traced
function serves every platform. All forms are differentiable and can be mapped with `jax.vmap`.

Kernels are laid out ``(*spatial, in_channels // groups, out_channels)``; strides, dilations and
explicit padding have one entry per spatial axis. One to three spatial axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array, lax

from hozon.graphs.kernels.windows import (
    DataFormat,
    Padding,
    Window,
    channels_last,
    from_channels_last,
    make_window,
    taps,
)

Form = Callable[[Array, Array, Window], Array]

# Unrolled taps cost compile time; larger depthwise kernels (rare) go by blocks of groups.
_MAX_TAPS = 128
# Channels per dense block of a grouped convolution: below this a matrix product starves.
_BLOCK_CHANNELS = 16
_MAX_BLOCKS = 64


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
    x = channels_last(x, data_format)
    window = make_window(x.shape[1:-1], kernel.shape[:-2], strides, dilations, padding)
    return from_channels_last(_convolve(x, kernel, window), data_format)


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
    gradient = channels_last(gradient, data_format)
    spatial, channels = _spatial_and_channels(input_shape, data_format)
    window = make_window(spatial, kernel.shape[:-2], strides, dilations, padding)
    groups = channels // kernel.shape[-2]
    result = _transpose(gradient, kernel, window, groups, spatial)
    return from_channels_last(result, data_format)


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
    x, gradient = channels_last(x, data_format), channels_last(gradient, data_format)
    window = make_window(x.shape[1:-1], kernel_shape[:-2], strides, dilations, padding)
    zero = jnp.zeros(tuple(kernel_shape), x.dtype)
    _, pull = jax.vjp(lambda kernel: _convolve(x, kernel, window), zero)
    (result,) = pull(gradient)
    return result


def _groups(x: Array, kernel: Array) -> int:
    channels, per_group = x.shape[-1], kernel.shape[-2]
    if per_group == 0 or channels % per_group or kernel.shape[-1] % (channels // per_group):
        raise ValueError(
            f"A kernel of shape {kernel.shape} does not divide {channels} input channels into "
            "groups of equal size."
        )
    return channels // per_group


def _spatial_and_channels(
    shape: Sequence[int], data_format: DataFormat
) -> tuple[tuple[int, ...], int]:
    if data_format == "channels_last":
        return tuple(shape[1:-1]), shape[-1]
    return tuple(shape[2:]), shape[1]


def _convolve(x: Array, kernel: Array, window: Window) -> Array:
    if 0 in (*x.shape, *kernel.shape, *window.output_shape(x.shape[1:-1])):
        return _empty(x, kernel, window)
    form = _cpu_form(_groups(x, kernel), kernel, window)
    if form is _native:
        return _native(x, kernel, window)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: form(x, kernel, window),
        default=lambda x, kernel: _native(x, kernel, window),
    )


def _empty(x: Array, kernel: Array, window: Window) -> Array:
    shape = (x.shape[0], *window.output_shape(x.shape[1:-1]), kernel.shape[-1])
    return jnp.zeros(shape, x.dtype)


def _cpu_form(groups: int, kernel: Array, window: Window) -> Form:
    if groups > 1 and kernel.shape[-2] == 1 and math.prod(window.size) <= _MAX_TAPS:
        return _by_taps
    if groups > 1:
        return _by_blocks
    return _by_product if window.is_point else _native


def _native(x: Array, kernel: Array, window: Window) -> Array:
    """XLA's own convolution."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.pads,
        rhs_dilation=window.dilations,
        dimension_numbers=_dimension_numbers(x.ndim),
        feature_group_count=_groups(x, kernel),
    )


def _dimension_numbers(ndim: int) -> lax.ConvDimensionNumbers:
    data = (0, ndim - 1, *range(1, ndim - 1))
    return lax.ConvDimensionNumbers(data, (ndim - 1, ndim - 2, *range(ndim - 2)), data)


def _by_taps(x: Array, kernel: Array, window: Window) -> Array:
    """Depthwise: the sum over taps of what the tap sees times the tap's row of the kernel."""
    multiplier = kernel.shape[-1] // x.shape[-1]
    wide = accumulator(x.dtype)
    total = sum(
        _repeat_channels(view, multiplier).astype(wide) * kernel[index[1:-1]][0].astype(wide)
        for index, view in taps(x, window.between_batch_and_channels)
    )
    return jnp.asarray(total).astype(x.dtype)


def _repeat_channels(x: Array, times: int) -> Array:
    return x if times == 1 else jnp.repeat(x, times, axis=-1)


def accumulator(dtype: jnp.dtype) -> jnp.dtype:
    """Sums of 16 bit floats are kept in 32 bits."""
    return jnp.promote_types(dtype, jnp.float32) if _is_small_float(dtype) else dtype


def _is_small_float(dtype: jnp.dtype) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating)) and dtype.itemsize < 4


def _by_product(x: Array, kernel: Array, window: Window) -> Array:
    """One tap: a matrix product over channels at the positions that the strides keep."""
    strides = (1, *window.strides, 1)
    view = lax.slice(x, (0,) * x.ndim, x.shape, strides)
    only = kernel.reshape(kernel.shape[-2:])
    wide = accumulator(x.dtype)
    contract = (((x.ndim - 1,), (0,)), ((), ()))
    product = lax.dot_general(view, only, contract, preferred_element_type=wide)
    return product.astype(x.dtype)


def _by_blocks(x: Array, kernel: Array, window: Window) -> Array:
    """Grouped: dense convolutions, each over as many groups as fill a matrix product.

    Inside a block the kernel is zero between groups, so a NaN or an infinity reaches the other
    groups of its block.
    """
    groups = _groups(x, kernel)
    per_block = _groups_per_block(groups, kernel.shape[-2])
    blocks = groups // per_block
    pairs = zip(jnp.split(x, blocks, -1), jnp.split(kernel, blocks, -1), strict=True)
    results = [_native(a, _dense(b, per_block), window) for a, b in pairs]
    return jnp.concatenate(results, -1)


def _groups_per_block(groups: int, per_group: int) -> int:
    channels = max(_BLOCK_CHANNELS, groups * per_group // _MAX_BLOCKS)
    wanted = max(1, channels // per_group)
    return max(n for n in range(1, min(wanted, groups) + 1) if groups % n == 0)


def _dense(kernel: Array, groups: int) -> Array:
    """A grouped kernel as the dense kernel that is zero wherever groups would mix."""
    if groups == 1:
        return kernel
    *size, per_group, outputs = kernel.shape
    split = kernel.reshape(*size, 1, per_group, groups, outputs // groups)
    same_group = jnp.eye(groups, dtype=bool)[:, None, :, None]
    dense = jnp.where(same_group, split, jnp.zeros((), kernel.dtype))
    return dense.reshape(*size, groups * per_group, outputs)


def _transpose(
    gradient: Array, kernel: Array, window: Window, groups: int, spatial: tuple[int, ...]
) -> Array:
    if 0 in (*gradient.shape, *kernel.shape, *spatial):
        shape = (gradient.shape[0], *spatial, kernel.shape[-2] * groups)
        return jnp.zeros(shape, gradient.dtype)
    if all(s == 1 for s in window.strides):
        flipped = _flip(kernel, groups)
        return _convolve(gradient, flipped, _unit_stride_window(gradient, window, spatial))
    return _transpose_native(gradient, kernel, window, groups, spatial)


def _flip(kernel: Array, groups: int) -> Array:
    """The kernel reversed in space with each group's input and output channels exchanged."""
    *size, inputs, outputs = kernel.shape
    rank = len(size)
    parts = kernel.reshape(*size, inputs, groups, outputs // groups)
    exchanged = parts.transpose(*range(rank), rank + 2, rank + 1, rank)
    return jnp.flip(exchanged, range(rank)).reshape(*size, outputs // groups, groups * inputs)


def _unit_stride_window(gradient: Array, window: Window, spatial: tuple[int, ...]) -> Window:
    """The window of the unit stride convolution over the stride-dilated gradient."""
    axes = zip(
        spatial, gradient.shape[1:-1], window.strides, window.reach, window.pads, strict=True
    )
    pads = []
    for length, steps, stride, reach, (low, _) in axes:
        before = reach - 1 - low
        pads.append((before, length + reach - 1 - ((steps - 1) * stride + 1) - before))
    return replace(window, strides=(1,) * len(spatial), pads=tuple(pads))


def _transpose_native(
    gradient: Array, kernel: Array, window: Window, groups: int, spatial: tuple[int, ...]
) -> Array:
    unit = _unit_stride_window(gradient, window, spatial)
    return lax.conv_general_dilated(
        gradient,
        _flip(kernel, groups),
        unit.strides,
        unit.pads,
        lhs_dilation=window.strides,
        rhs_dilation=window.dilations,
        dimension_numbers=_dimension_numbers(gradient.ndim),
        feature_group_count=groups,
    )
