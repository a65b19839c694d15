"""Colours: hue, saturation and contrast of images whose last axis is red, green, blue."""

from __future__ import annotations

import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns

COLOUR = OpTable("colour")


def _hue(images: Value) -> tuple[Value, Value, Value]:
    """Hue from 0 to 1, the largest and the smallest channel."""
    xp = ns(images)
    red, green, blue = (images[..., i] for i in range(3))
    largest, smallest = xp.max(images, axis=-1), xp.min(images, axis=-1)
    span = largest - smallest
    safe = xp.where(span > 0, span, 1)
    hue = (
        xp.where(
            red == largest,
            (green - blue) / safe,
            xp.where(green == largest, 2 + (blue - red) / safe, 4 + (red - green) / safe),
        )
        / 6
    )
    hue = xp.where(span > 0, hue, 0)
    return xp.where(hue < 0, hue + 1, hue), largest, smallest


def _to_hsv(images: Value) -> tuple[Value, Value, Value]:
    xp = ns(images)
    hue, value, smallest = _hue(images)
    saturation = xp.where(value > 0, (value - smallest) / xp.where(value > 0, value, 1), 0)
    return hue, saturation, value


def _ramps(hue: Value) -> list[Value]:
    """How much of red, green and blue a pure hue has, from 0 to 1."""
    xp, sector = ns(hue), hue * 6
    return [
        xp.clip(xp.abs(sector - 3) - 1, 0, 1),
        xp.clip(2 - xp.abs(sector - 2), 0, 1),
        xp.clip(2 - xp.abs(sector - 4), 0, 1),
    ]


def _to_rgb(hue: Value, saturation: Value, value: Value) -> Value:
    low = 1 - saturation
    channels = [(low + saturation * c) * value for c in _ramps(hue)]
    return ns(value).stack(channels, axis=-1)


@COLOUR.op("RGBToHSV")
def rgb_to_hsv(node: NodeView) -> Kernel:
    return lambda images: ns(images).stack(_to_hsv(images), axis=-1).astype(images.dtype)


@COLOUR.op("HSVToRGB")
def hsv_to_rgb(node: NodeView) -> Kernel:
    return lambda images: _to_rgb(*(images[..., i] for i in range(3))).astype(images.dtype)


@COLOUR.op("AdjustHue")
def adjust_hue(node: NodeView) -> Kernel:
    """The hue turned by `delta` of a whole turn; largest and smallest channel stay."""

    def kernel(images: Value, delta: Value) -> Value:
        wide = images.astype(np.float32)
        hue, largest, smallest = _hue(wide)
        turned = hue + delta
        ramps = _ramps(turned - ns(turned).floor(turned))
        channels = [smallest + c * (largest - smallest) for c in ramps]
        return ns(turned).stack(channels, axis=-1).astype(images.dtype)

    return kernel


@COLOUR.op("AdjustSaturation")
def adjust_saturation(node: NodeView) -> Kernel:
    def kernel(images: Value, scale: Value) -> Value:
        hue, saturation, value = _to_hsv(images.astype(np.float32))
        scaled = ns(saturation, scale).clip(saturation * scale, 0, 1)
        return _to_rgb(hue, scaled, value).astype(images.dtype)

    return kernel


@COLOUR.op("AdjustContrastv2")
def adjust_contrast(node: NodeView) -> Kernel:
    def kernel(images: Value, factor: Value) -> Value:
        mean = ns(images).mean(images, axis=(-3, -2), keepdims=True)
        return ((images - mean) * factor + mean).astype(images.dtype)

    return kernel
