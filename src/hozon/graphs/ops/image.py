"""Resizing of images."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_ints

IMAGE = OpTable("image")

class Scaler:
    """Where output pixels lie in the input (tensorflow/core/kernels/image_resizer_state.h)."""

    def __init__(self, node: NodeView) -> None:
        self.aligned = bool(node.attr("align_corners"))
        self.half = bool(node.attr("half_pixel_centers"))

    def scale(self, source: int, target: int) -> np.float32:
        """Input pixels per output pixel."""
        if self.aligned and target > 1:
            return np.float32((source - 1) / np.float32(target - 1))
        return np.float32(source / np.float32(target))

    def positions(self, source: int, target: int) -> np.ndarray:
        """The input coordinate of each output pixel, as float32."""
        at = np.arange(target, dtype=np.float32)
        scale = self.scale(source, target)
        return (at + np.float32(0.5)) * scale - np.float32(0.5) if self.half else at * scale


@IMAGE.op("ResizeNearestNeighbor")
def resize_nearest(node: NodeView) -> Kernel:
    scaler = Scaler(node)

    def index(source: int, target: int) -> np.ndarray:
        at = np.arange(target, dtype=np.float32)
        scale = scaler.scale(source, target)
        if scaler.half:
            found = np.floor((at + np.float32(0.5)) * scale)
        else:
            found = at * scale
            found = np.floor(found + np.float32(0.5)) if scaler.aligned else np.floor(found)
        return np.clip(found.astype(np.int64), 0, source - 1)

    def kernel(images: Value, size: Value) -> Value:
        height, width = static_ints(size, "the size of an image")
        rows, columns = index(images.shape[1], height), index(images.shape[2], width)
        return ns(images).take(ns(images).take(images, rows, axis=1), columns, axis=2)

    return kernel


def _separable(weights: Callable[[Scaler, int, int], np.ndarray]) -> Callable[[NodeView], Kernel]:
    """A handler of a resize that is a matrix product along each axis; the result is float32."""

    def handler(node: NodeView) -> Kernel:
        scaler = Scaler(node)

        def kernel(images: Value, size: Value) -> Value:
            height, width = static_ints(size, "the size of an image")
            x = images.astype(np.float32)
            rows = weights(scaler, images.shape[1], height)
            columns = weights(scaler, images.shape[2], width)
            xp = ns(x)
            options = {} if xp is np else {"precision": "highest"}
            x = xp.einsum("oh,bhwc->bowc", rows, x, **options)
            return xp.einsum("ow,bhwc->bhoc", columns, x, **options).astype(np.float32)

        return kernel

    return handler


def _bilinear(scaler: Scaler, source: int, target: int) -> np.ndarray:
    at = scaler.positions(source, target)
    low = np.floor(at)
    share = (at - low).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    lower = np.clip(low, 0, source - 1).astype(int)
    upper = np.clip(low + 1, 0, source - 1).astype(int)
    np.add.at(matrix, (np.arange(target), lower), 1 - share)
    np.add.at(matrix, (np.arange(target), upper), share)
    return matrix


def _bicubic(scaler: Scaler, source: int, target: int) -> np.ndarray:
    """Keys' kernel with a = -0.5 for half pixel centres, -0.75 without (resize_bicubic_op.cc).

    TensorFlow keeps the kernel in a table of 1024 steps per pixel.
    """
    a = -0.5 if scaler.half else -0.75
    at = scaler.positions(source, target)
    low = np.floor(at).astype(int)
    at = low + np.rint((at - low) * np.float32(1024)).astype(np.float64) / 1024
    matrix = np.zeros((target, source), np.float64)
    for tap in range(-1, 3):
        distance = np.abs(at - (low + tap))
        near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
        far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
        weight = np.where(distance <= 1, near, np.where(distance < 2, far, 0))
        position = low + tap
        inside = (position >= 0) & (position < source)
        if scaler.half:
            weight = np.where(inside, weight, 0)
        np.add.at(matrix, (np.arange(target), np.clip(position, 0, source - 1)), weight)
    if scaler.half:
        matrix /= matrix.sum(1, keepdims=True)
    return matrix.astype(np.float32)


def _area(scaler: Scaler, source: int, target: int) -> np.ndarray:
    scale = float(scaler.scale(source, target))
    matrix = np.zeros((target, source), np.float64)
    for i in range(target):
        start, end = i * scale, (i + 1) * scale
        for j in range(int(np.floor(start)), min(int(np.ceil(end)), source + 1)):
            matrix[i, min(j, source - 1)] += min(j + 1, end) - max(j, start)
    return (matrix / scale).astype(np.float32)


class AreaScaler(Scaler):
    """``ResizeArea`` has no half pixel centres."""

    def __init__(self, node: NodeView) -> None:
        self.aligned = bool(node.attr("align_corners"))
        self.half = False


IMAGE.op("ResizeBilinear")(_separable(_bilinear))
IMAGE.op("ResizeBicubic")(_separable(_bicubic))


@IMAGE.op("ResizeArea")
def resize_area(node: NodeView) -> Kernel:
    scaler = AreaScaler(node)

    def kernel(images: Value, size: Value) -> Value:
        height, width = static_ints(size, "the size of an image")
        x = jnp.asarray(images).astype(np.float32)
        x = jnp.einsum("oh,bhwc->bowc", _area(scaler, images.shape[1], height), x,
                       precision="highest")  # fmt: skip
        return jnp.einsum("ow,bhwc->bhoc", _area(scaler, images.shape[2], width), x,
                          precision="highest")  # fmt: skip

    return kernel


@IMAGE.op("RGBToHSV")
def rgb_to_hsv(node: NodeView) -> Kernel:
    def kernel(images: Value) -> Value:
        xp = ns(images)
        red, green, blue = (images[..., i] for i in range(3))
        value = xp.max(images, axis=-1)
        span = value - xp.min(images, axis=-1)
        safe = xp.where(span > 0, span, 1)
        hue = xp.where(red == value, (green - blue) / safe,
                       xp.where(green == value, 2 + (blue - red) / safe,
                                4 + (red - green) / safe)) / 6  # fmt: skip
        hue = xp.where(span > 0, hue, 0)
        hue = xp.where(hue < 0, hue + 1, hue)
        saturation = xp.where(value > 0, span / xp.where(value > 0, value, 1), 0)
        return xp.stack([hue, saturation, value], axis=-1).astype(images.dtype)

    return kernel


@IMAGE.op("HSVToRGB")
def hsv_to_rgb(node: NodeView) -> Kernel:
    def kernel(images: Value) -> Value:
        xp = ns(images)
        hue, saturation, value = (images[..., i] for i in range(3))
        sector = hue * 6
        red = xp.clip(xp.abs(sector - 3) - 1, 0, 1)
        green = xp.clip(2 - xp.abs(sector - 2), 0, 1)
        blue = xp.clip(2 - xp.abs(sector - 4), 0, 1)
        low = 1 - saturation
        return xp.stack([(low + saturation * c) * value for c in (red, green, blue)],
                        axis=-1).astype(images.dtype)  # fmt: skip

    return kernel


@IMAGE.op("AdjustContrastv2")
def adjust_contrast(node: NodeView) -> Kernel:
    def kernel(images: Value, factor: Value) -> Value:
        mean = ns(images).mean(images, axis=(-3, -2), keepdims=True)
        return ((images - mean) * factor + mean).astype(images.dtype)

    return kernel
