"""Convolutions and their gradients in forms that XLA's CPU backend runs well.

It runs its own convolution well only where every output channel reads every input channel. So

* a depthwise convolution is a sum over kernel taps of shifted inputs times a kernel row, which
  compiles to one vectorized loop (two orders of magnitude faster at batch 16);
* a grouped convolution is a few dense ones, each over a block of groups;
* a one-tap convolution is a matrix product;
* the gradient for an input is, for each phase of the strides, a convolution of the output's
  gradient at unit stride with the taps that meet in this phase;
* the gradient for a depthwise kernel is a sum over output rows of products of whole rows.

Everything here has its channels last.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array, lax

from hozon.kernels.windows import Window, pad, taps

# Unrolled taps cost compile time; larger depthwise kernels (rare) go by blocks of groups.
_MAX_TAPS = 128
# Channels per dense block of a grouped convolution: below this a matrix product starves.
_BLOCK_CHANNELS = 16
_MAX_BLOCKS = 64


def convolution(x: Array, kernel: Array, window: Window, groups: int) -> Array:
    """The convolution of ``x`` in `groups` groups of channels."""
    if window.is_point and groups == 1:
        return _by_product(x, kernel, window)
    if _is_depthwise(kernel.shape, groups):
        return _by_taps(x, kernel, window)
    if groups > 1:
        return _by_blocks(x, kernel, window, groups)
    return _dense(x, kernel, window)


def input_gradient(
    g: Array, kernel: Array, window: Window, groups: int, spatial: Sequence[int]
) -> Array:
    """The gradient of `convolution` for an input of the sizes `spatial`; ``g`` is its output's."""
    lengths = [-(-n // s) for n, s in zip(spatial, window.strides, strict=True)]
    axes = zip(spatial, window.size, window.strides, window.dilations, window.pads, strict=True)
    phases = list(
        itertools.product(*(_phases(*axis, g.shape[1 + i]) for i, axis in enumerate(axes)))
    )
    parts = [_phase(g, kernel, groups, phase, lengths) for phase in phases]
    return _interleaved(parts, window.strides, spatial)


def kernel_gradient(x: Array, g: Array, window: Window, groups: int) -> Array:
    """The gradient of `convolution` for its kernel; ``g`` is the output's gradient."""
    shape = (*window.size, x.shape[-1] // groups, g.shape[-1])
    if window.is_point and groups == 1:
        return _product_of_positions(x, g, window).reshape(shape)
    if _is_depthwise(shape, groups):
        return _by_rows(x, g, window).reshape(shape)
    if groups > 1:
        return _blocks_of_kernel(x, g, window, groups)
    return _dense_kernel(x, g, window)


def accumulator(dtype: jnp.dtype) -> jnp.dtype:
    """Sums of 16 bit floats are kept in 32 bits."""
    return jnp.promote_types(dtype, jnp.float32) if _is_small_float(dtype) else dtype


def _is_small_float(dtype: jnp.dtype) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating)) and dtype.itemsize < 4


def _is_depthwise(kernel: Sequence[int], groups: int) -> bool:
    return groups > 1 and kernel[-2] == 1 and math.prod(kernel[:-2]) <= _MAX_TAPS


def _dense(x: Array, kernel: Array, window: Window) -> Array:
    """XLA's own convolution, of one group."""
    data = (0, x.ndim - 1, *range(1, x.ndim - 1))
    numbers = lax.ConvDimensionNumbers(data, (x.ndim - 1, x.ndim - 2, *range(x.ndim - 2)), data)
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.pads,
        rhs_dilation=window.dilations,
        dimension_numbers=numbers,
    )


def _dense_kernel(x: Array, g: Array, window: Window) -> Array:
    like = jax.ShapeDtypeStruct((*window.size, x.shape[-1], g.shape[-1]), g.dtype)
    (result,) = jax.linear_transpose(lambda kernel: _dense(x, kernel, window), like)(g)
    return result


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


def _by_product(x: Array, kernel: Array, window: Window) -> Array:
    """One tap: a matrix product over channels at the positions that the strides keep."""
    only = kernel.reshape(kernel.shape[-2:])
    return _dot(_kept(x, window), only, ((x.ndim - 1,), (0,)))


def _product_of_positions(x: Array, g: Array, window: Window) -> Array:
    positions = tuple(range(x.ndim - 1))
    return _dot(_kept(x, window), g, (positions, positions))


def _kept(x: Array, window: Window) -> Array:
    """The positions that the strides keep."""
    return lax.slice(x, (0,) * x.ndim, x.shape, (1, *window.strides, 1))


def _dot(a: Array, b: Array, contracted: tuple[tuple[int, ...], tuple[int, ...]]) -> Array:
    wide = accumulator(a.dtype)
    product = lax.dot_general(a, b, (contracted, ((), ())), preferred_element_type=wide)
    return product.astype(a.dtype)


def _by_blocks(x: Array, kernel: Array, window: Window, groups: int) -> Array:
    """Grouped: dense convolutions, each over as many groups as fill a matrix product.

    Inside a block the kernel is zero between groups, so a NaN or an infinity reaches the other
    groups of its block.
    """
    per_block = _groups_per_block(groups, kernel.shape[-2])
    blocks = groups // per_block
    pairs = zip(jnp.split(x, blocks, -1), jnp.split(kernel, blocks, -1), strict=True)
    results = [convolution(a, _spread(b, per_block), window, 1) for a, b in pairs]
    return jnp.concatenate(results, -1)


def _blocks_of_kernel(x: Array, g: Array, window: Window, groups: int) -> Array:
    per_block = _groups_per_block(groups, x.shape[-1] // groups)
    blocks = groups // per_block
    pairs = zip(jnp.split(x, blocks, -1), jnp.split(g, blocks, -1), strict=True)
    results = [_gathered(kernel_gradient(a, b, window, 1), per_block) for a, b in pairs]
    return jnp.concatenate(results, -1)


def _groups_per_block(groups: int, per_group: int) -> int:
    channels = max(_BLOCK_CHANNELS, groups * per_group // _MAX_BLOCKS)
    wanted = max(1, channels // per_group)
    return max(n for n in range(1, min(wanted, groups) + 1) if groups % n == 0)


def _spread(kernel: Array, groups: int) -> Array:
    """A grouped kernel as the dense kernel that is zero wherever groups would mix."""
    if groups == 1:
        return kernel
    *size, per_group, outputs = kernel.shape
    split = kernel.reshape(*size, 1, per_group, groups, outputs // groups)
    same_group = jnp.eye(groups, dtype=bool)[:, None, :, None]
    dense = jnp.where(same_group, split, jnp.zeros((), kernel.dtype))
    return dense.reshape(*size, groups * per_group, outputs)


def _gathered(dense: Array, groups: int) -> Array:
    """The grouped kernel in a dense one: the inverse of `_spread`."""
    if groups == 1:
        return dense
    *size, inputs, outputs = dense.shape
    split = dense.reshape(*size, groups, inputs // groups, groups, outputs // groups)
    own = jnp.diagonal(split, axis1=len(size), axis2=len(size) + 2)
    return jnp.moveaxis(own, -1, -2).reshape(*size, inputs // groups, outputs)


def flipped(kernel: Array, groups: int) -> Array:
    """The kernel reversed in space with each group's input and output channels exchanged."""
    *size, inputs, outputs = kernel.shape
    rank = len(size)
    parts = kernel.reshape(*size, inputs, groups, outputs // groups)
    exchanged = parts.transpose(*range(rank), rank + 2, rank + 1, rank)
    return jnp.flip(exchanged, range(rank)).reshape(*size, outputs // groups, groups * inputs)


@dataclass(frozen=True)
class _Phase:
    """The input positions of one axis that are `phase` modulo the stride.

    Attributes:
        taps: those of the kernel that reach them.
        dilation: output positions between what neighbouring taps read.
        pads: what the output's gradient is padded with.
    """

    taps: range
    dilation: int
    pads: tuple[int, int]


def _phases(
    length: int, size: int, stride: int, dilation: int, pads: tuple[int, int], outputs: int
) -> Iterator[_Phase]:
    positions = -(-length // stride)
    for phase in range(stride):
        start = phase + pads[0]
        reaching = [i for i in range(size) if (start - i * dilation) % stride == 0]
        if not reaching:
            yield _Phase(range(0), 1, (0, 0))
            continue
        step = reaching[1] - reaching[0] if len(reaching) > 1 else 1
        first, last = ((start - i * dilation) // stride for i in (reaching[-1], reaching[0]))
        after = positions - 1 + last - (outputs - 1)
        kept = range(reaching[0], reaching[-1] + 1, step)
        yield _Phase(kept, step * dilation // stride or 1, (-first, after))


def _phase(
    g: Array, kernel: Array, groups: int, phase: Sequence[_Phase], lengths: Sequence[int]
) -> Array:
    """The gradient at the input positions of one phase: a convolution at unit stride."""
    channels = kernel.shape[-2] * groups
    if not all(axis.taps for axis in phase):
        return jnp.zeros((g.shape[0], *lengths, channels), g.dtype)
    reaching = kernel[tuple(slice(r.start, r.stop, r.step) for r in (axis.taps for axis in phase))]
    cropped = pad(g, ((0, 0), *(_below_zero(axis.pads) for axis in phase), (0, 0)))
    window = Window(
        tuple(len(axis.taps) for axis in phase),
        (1,) * len(phase),
        tuple(axis.dilation for axis in phase),
        tuple((max(axis.pads[0], 0), max(axis.pads[1], 0)) for axis in phase),
    )
    return convolution(cropped, flipped(reaching, groups), window, groups)


def _below_zero(pads: tuple[int, int]) -> tuple[int, int]:
    return min(pads[0], 0), min(pads[1], 0)


def _interleaved(parts: Sequence[Array], strides: Sequence[int], spatial: Sequence[int]) -> Array:
    """Arrays of the positions of each phase, phases in order, as one array of all positions."""
    if len(parts) == 1:
        return parts[0]
    batch, *lengths, channels = parts[0].shape
    rank = len(strides)
    stacked = jnp.stack(parts).reshape(*strides, batch, *lengths, channels)
    order = itertools.chain.from_iterable((rank + 1 + i, i) for i in range(rank))
    mixed = stacked.transpose(rank, *order, 2 * rank + 1)
    sizes = [n * s for n, s in zip(lengths, strides, strict=True)]
    whole = mixed.reshape(batch, *sizes, channels)
    return lax.slice(whole, (0,) * whole.ndim, (batch, *spatial, channels))


def _by_rows(x: Array, g: Array, window: Window) -> Array:
    """The gradient of a depthwise kernel, of the shape ``(*size, out_channels)``.

    For each tap, products of an input row and a row of ``g`` are summed up over the rows, then over
    the positions in a row. A sum over all positions at once would be a scalar loop.
    """
    wide = accumulator(x.dtype)
    multiplier = g.shape[-1] // x.shape[-1]
    padded = pad(x, ((0, 0), *window.pads, (0, 0)))
    *rows, length, _ = g.shape
    indices = list(itertools.product(*map(range, window.size)))

    def add(number: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        at = jnp.unravel_index(number, rows)
        row = _row(g, at)
        starts = (at[0], *(i * s for i, s in zip(at[1:], window.strides, strict=False)))
        seen = _rows(padded, starts, window.reach)
        products = (_seen(seen, index, window, length) for index in indices)
        return tuple(
            total + _repeat_channels(view, multiplier).astype(wide) * row.astype(wide)
            for total, view in zip(sums, products, strict=True)
        )

    zeros = tuple(jnp.zeros((length, g.shape[-1]), wide) for _ in indices)
    sums = lax.fori_loop(0, math.prod(rows), add, zeros)
    return jnp.stack([total.sum(0) for total in sums]).astype(x.dtype)


def _row(g: Array, at: Sequence[Array]) -> Array:
    return functools.reduce(lambda a, i: lax.dynamic_index_in_dim(a, i, 0, False), at, g)


def _rows(padded: Array, starts: Sequence[Array], reach: Sequence[int]) -> Array:
    """What all taps see of an input for one row of the output, without its batch."""
    zero = jnp.zeros((), starts[0].dtype)
    sizes = (1, *reach[:-1], *padded.shape[-2:])
    return lax.dynamic_slice(padded, (*starts, zero, zero), sizes)[0]


def _seen(seen: Array, index: Sequence[int], window: Window, length: int) -> Array:
    """What one tap sees."""
    before = [i * d for i, d in zip(index, window.dilations, strict=True)]
    stop = before[-1] + (length - 1) * window.strides[-1] + 1
    return seen[(*before[:-1], slice(before[-1], stop, window.strides[-1]))]
