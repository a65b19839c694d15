"""Sliding windows: how kernel taps, strides, dilations and padding land on an input.

Everything here is about the spatial axes only; an array is laid out channels last,
``(batch, *spatial, channels)``, unless a function says otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jax import Array, lax

Pads = tuple[tuple[int, int], ...]
Padding = Literal["SAME", "VALID"] | Sequence[tuple[int, int]]
DataFormat = Literal["channels_last", "channels_first"]


@dataclass(frozen=True)
class Window:
    """A window over spatial axes. Every tuple has one entry per spatial axis."""

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

    def output_shape(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The spatial shape that sliding over an input of shape ``spatial`` gives."""
        steps = zip(spatial, self.pads, self.reach, self.strides, strict=True)
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


def pad_spatial(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """``x`` with ``value`` around its spatial axes; negative counts crop."""
    if not any(itertools.chain(*pads)):
        return x
    config = [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)]
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def taps(x: Array, window: Window) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each tap of the window with the (already padded) input as that tap sees it.

    Yields the tap's index in the kernel and an array of shape
    ``(batch, *output, channels)``.
    """
    spatial = x.shape[1:-1]
    output = Window(
        window.size, window.strides, window.dilations, ((0, 0),) * len(spatial)
    ).output_shape(spatial)
    for index in itertools.product(*map(range, window.size)):
        starts = [i * d for i, d in zip(index, window.dilations, strict=True)]
        steps = zip(starts, output, window.strides, strict=True)
        limits = [start + (n - 1) * s + 1 for start, n, s in steps]
        yield (
            index,
            lax.slice(
                x,
                (0, *starts, 0),
                (x.shape[0], *limits, x.shape[-1]),
                (1, *window.strides, 1),
            ),
        )


def channels_last(x: Array, data_format: DataFormat) -> Array:
    """``x`` with its channel axis moved to the end."""
    return x if data_format == "channels_last" else jnp.moveaxis(x, 1, -1)


def from_channels_last(x: Array, data_format: DataFormat) -> Array:
    """The inverse of `channels_last`."""
    return x if data_format == "channels_last" else jnp.moveaxis(x, -1, 1)
