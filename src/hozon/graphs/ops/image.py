"""Resizing of images of shape (batch, height, width, channels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_shape

IMAGE = OpTable("image")

Array = np.ndarray[Any, Any]
SIZE = "the size of an image"


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

    def positions(self, source: int, target: int) -> Array:
        """The input coordinate of each output pixel, as float32."""
        at = np.arange(target, dtype=np.float32)
        scale = self.scale(source, target)
        return (at + np.float32(0.5)) * scale - np.float32(0.5) if self.half else at * scale


def _nearest(scaler: Scaler, source: int, target: int) -> Array:
    """Which input pixel each output pixel shows."""
    at = np.arange(target, dtype=np.float32)
    scale = scaler.scale(source, target)
    if scaler.half:
        found = np.floor((at + np.float32(0.5)) * scale)
    else:
        found = at * scale
        found = np.floor(found + np.float32(0.5)) if scaler.aligned else np.floor(found)
    return np.clip(found.astype(np.int64), 0, source - 1)


@IMAGE.op("ResizeNearestNeighbor")
def resize_nearest(node: NodeView) -> Kernel:
    scaler = Scaler(node)

    def kernel(images: Value, size: Value) -> Value:
        height, width = static_shape(size, SIZE)
        rows = _nearest(scaler, images.shape[1], height)
        columns = _nearest(scaler, images.shape[2], width)
        return ns(images).take(ns(images).take(images, rows, axis=1), columns, axis=2)

    return kernel


@IMAGE.op("ResizeNearestNeighborGrad")
def resize_nearest_gradient(node: NodeView) -> Kernel:
    scaler = Scaler(node)

    def chosen(source: int, target: int) -> Array:
        matrix = np.zeros((target, source), np.float32)
        matrix[np.arange(target), _nearest(scaler, source, target)] = 1
        return matrix

    def kernel(gradients: Value, size: Value) -> Value:
        height, width = static_shape(size, SIZE)
        rows, columns = chosen(height, gradients.shape[1]), chosen(width, gradients.shape[2])
        return product(rows.T, columns.T, gradients).astype(gradients.dtype)

    return kernel


def product(rows: Value, columns: Value, images: Value) -> Value:
    """Images of shape (batch, height, width, channels) under a matrix for each axis."""
    xp = ns(rows, columns, images)
    options: dict[str, Any] = {} if xp is np else {"precision": "highest"}
    images = xp.einsum("oh,bhwc->bowc", rows, images, **options)
    return xp.einsum("ow,bhwc->bhoc", columns, images, **options)


Weights = Callable[[Scaler, int, int], Array]


def _separable(weights: Weights) -> Callable[[NodeView], Kernel]:
    """A handler of a resize that is a matrix product along each axis; the result is float32."""

    def handler(node: NodeView) -> Kernel:
        scaler = Scaler(node)

        def kernel(images: Value, size: Value) -> Value:
            height, width = static_shape(size, SIZE)
            rows = weights(scaler, images.shape[1], height)
            columns = weights(scaler, images.shape[2], width)
            return product(rows, columns, images.astype(np.float32)).astype(np.float32)

        return kernel

    return handler


def _separable_gradient(weights: Weights) -> Callable[[NodeView], Kernel]:
    """A handler of the gradient of such a resize, of the shape and dtype of the image."""

    def handler(node: NodeView) -> Kernel:
        scaler = Scaler(node)

        def kernel(gradients: Value, image: Value) -> Value:
            rows = weights(scaler, image.shape[1], gradients.shape[1])
            columns = weights(scaler, image.shape[2], gradients.shape[2])
            return product(rows.T, columns.T, gradients).astype(image.dtype)

        return kernel

    return handler


def _bilinear(scaler: Scaler, source: int, target: int) -> Array:
    at = scaler.positions(source, target)
    low = np.floor(at)
    share = (at - low).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    lower = np.clip(low, 0, source - 1).astype(int)
    upper = np.clip(low + 1, 0, source - 1).astype(int)
    np.add.at(matrix, (np.arange(target), lower), 1 - share)
    np.add.at(matrix, (np.arange(target), upper), share)
    return matrix


def _bicubic(scaler: Scaler, source: int, target: int) -> Array:
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


def _area(scaler: Scaler, source: int, target: int) -> Array:
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


for _name, _weights in {"ResizeBilinear": _bilinear, "ResizeBicubic": _bicubic}.items():
    IMAGE.op(_name)(_separable(_weights))
    IMAGE.op(f"{_name}Grad")(_separable_gradient(_weights))


@IMAGE.op("ResizeArea")
def resize_area(node: NodeView) -> Kernel:
    scaler = AreaScaler(node)

    def kernel(images: Value, size: Value) -> Value:
        height, width = static_shape(size, SIZE)
        rows, columns = (
            _area(scaler, images.shape[1], height),
            _area(scaler, images.shape[2], width),
        )
        return product(rows, columns, images.astype(np.float32)).astype(np.float32)

    return kernel
