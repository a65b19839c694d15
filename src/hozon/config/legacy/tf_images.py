"""Functions of ``tf.image`` that Keras 2 put into graphs, as `keras.ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from hozon.config.legacy.tf_crops import CROPS
from hozon.errors import UnsupportedError

#: Interpolations that both compute in the same way.
METHODS = frozenset({"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"})


def resize(
    images: Any,
    size: Any,
    method: Any = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    """``tf.image.resize``: floats for every method but "nearest"."""
    method = getattr(method, "value", method)
    if preserve_aspect_ratio or method not in METHODS - {"area"}:
        raise UnsupportedError(f"tf.image.resize with method {method!r}", feature="image.resize")
    height, width = (int(side) for side in size)
    values = images if method == "nearest" else ops.cast(images, "float32")
    return ops.image.resize(
        values,
        (height, width),
        interpolation=method,
        antialias=antialias,
        data_format="channels_last",
    )


def flip(axis: int) -> Callable[[Any], Any]:
    """Mirror along an axis counted from the end."""
    return lambda image: ops.flip(image, axis=axis)


def rgb_to_grayscale(images: Any) -> Any:
    """``tf.image.rgb_to_grayscale``: weights 0.2989, 0.587, 0.114."""
    return (
        ops.rgb_to_grayscale(images)
        if hasattr(ops, "rgb_to_grayscale")
        else (ops.image.rgb_to_grayscale(images, data_format="channels_last"))
    )


def per_image_standardization(image: Any) -> Any:
    """``(x - mean) / max(std, 1/sqrt(size))`` for each image."""
    image = ops.cast(image, "float32")
    axes = (-3, -2, -1)
    size = 1.0
    for side in image.shape[-3:]:
        size *= float(side)
    spread = ops.maximum(ops.std(image, axis=axes, keepdims=True), size**-0.5)
    return (image - ops.mean(image, axis=axes, keepdims=True)) / spread


IMAGES: Mapping[str, Callable[..., Any]] = {
    "resize": resize,
    "resize_images": resize,
    "resize_images_v2": resize,
    "flip_left_right": flip(-2),
    "flip_up_down": flip(-3),
    "rgb_to_grayscale": rgb_to_grayscale,
    "per_image_standardization": per_image_standardization,
    "adjust_brightness": lambda image, delta: image + delta,
    **CROPS,
}
