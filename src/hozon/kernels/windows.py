"""Sliding windows: how kernel taps, strides, dilations and padding land on an input."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Pads = tuple[tuple[int, int], ...]
Padding = Literal["SAME", "VALID"] | Sequence[tuple[int, int]]
DataFormat = Literal["channels_last", "channels_first"]


@dataclass(frozen=True)
class Window:
    """A window over some axes. Every tuple has one entry per axis."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads

    @property
    def reach(self) -> tuple[int, ...]:
        """Input positions from a window's first tap to its last, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilations, strict=True))

    @property
    def is_point(self) -> bool:
        """Whether each output position reads one input position and no padding."""
        return all(k == 1 for k in self.size) and not any(itertools.chain(*self.pads))

    @property
    def between_batch_and_channels(self) -> Window:
        """The window over all axes of ``(batch, *spatial, channels)`` from a spatial one."""
        return Window(
            (1, *self.size, 1),
            (1, *self.strides, 1),
            (1, *self.dilations, 1),
            ((0, 0), *self.pads, (0, 0)),
        )

    def output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that sliding over axes of the lengths ``shape`` gives."""
        steps = zip(shape, self.pads, self.reach, self.strides, strict=True)
        return tuple(max(0, (n + sum(p) - r) // s + 1) for n, p, r, s in steps)


def make_window(
    spatial: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    padding: Padding,
) -> Window:
    """The window over an input of shape ``spatial``, its padding resolved to counts."""
    strides = tuple(strides) if strides else (1,) * len(size)
    dilations = tuple(dilations) if dilations else (1,) * len(size)
    if not isinstance(padding, str):
        pads = tuple((int(low), int(high)) for low, high in padding)
    elif padding == "VALID":
        pads = ((0, 0),) * len(size)
    else:
        axes = zip(spatial, size, strides, dilations, strict=True)
        pads = tuple(_same_pads(*axis) for axis in axes)
    return Window(tuple(size), strides, dilations, pads)


def _same_pads(length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME: ceil(length / stride) outputs, the odd padding at the end."""
    reach = (size - 1) * dilation + 1
    total = max(0, (-(-length // stride) - 1) * stride + reach - length)
    return total // 2, total - total // 2


def pad(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """``x`` with ``value`` around each axis; negative counts crop."""
    if not any(itertools.chain(*pads)):
        return x
    return lax.pad(x, np.asarray(value, x.dtype), [(low, high, 0) for low, high in pads])


def taps(x: Array, window: Window, fill: float = 0.0) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each tap of a window over all axes of ``x``, with ``x`` (padded by ``fill``) as it sees it.

    Yields the tap's index in the window and an array of the window's output shape.
    """
    # Without the barrier XLA works the padding out again in every tap's read.
    seen = lax.optimization_barrier(pad(x, window.pads, fill))
    yield from _views(seen, window, window.output_shape(x.shape))


def _views(
    padded: Array, window: Window, output: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Array]]:
    for index in itertools.product(*map(range, window.size)):
        starts = [i * d for i, d in zip(index, window.dilations, strict=True)]
        steps = zip(starts, output, window.strides, strict=True)
        limits = [start + (n - 1) * s + 1 for start, n, s in steps]
        yield index, lax.slice(padded, starts, limits, window.strides)


def channels_last(x: Array, data_format: DataFormat) -> Array:
    """``x`` with its channel axis moved to the end."""
    return x if data_format == "channels_last" else jnp.moveaxis(x, 1, -1)


def from_channels_last(x: Array, data_format: DataFormat) -> Array:
    """The inverse of `channels_last`."""
    return x if data_format == "channels_last" else jnp.moveaxis(x, -1, 1)
