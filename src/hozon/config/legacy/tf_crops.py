"""Functions of ``tf.image`` that crop, turn and recolour, channels last; see `tf_images`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

ROWS, COLUMNS = -3, -2


def _side(image: Any, axis: int) -> int:
    return int(image.shape[axis])


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """``tf.image.crop_to_bounding_box``."""
    rows = slice(offset_height, offset_height + target_height)
    return image[..., rows, offset_width : offset_width + target_width, :]


def pad_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """``tf.image.pad_to_bounding_box``: zeros around the image."""
    below = target_height - offset_height - _side(image, ROWS)
    right = target_width - offset_width - _side(image, COLUMNS)
    lead = [(0, 0)] * (len(image.shape) - 3)
    return ops.pad(image, [*lead, (offset_height, below), (offset_width, right), (0, 0)])


def central_crop(image: Any, central_fraction: float) -> Any:
    """``tf.image.central_crop``."""
    height, width = _side(image, ROWS), _side(image, COLUMNS)
    top = int((height - height * central_fraction) / 2)
    left = int((width - width * central_fraction) / 2)
    return crop_to_bounding_box(image, top, left, height - 2 * top, width - 2 * left)


def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Any:
    """``tf.image.resize_with_crop_or_pad``: centred."""
    down, across = target_height - _side(image, ROWS), target_width - _side(image, COLUMNS)
    cropped = crop_to_bounding_box(
        image,
        max(-down // 2, 0),
        max(-across // 2, 0),
        min(target_height, _side(image, ROWS)),
        min(target_width, _side(image, COLUMNS)),
    )
    return pad_to_bounding_box(
        cropped, max(down // 2, 0), max(across // 2, 0), target_height, target_width
    )


def adjust_contrast(images: Any, contrast_factor: float) -> Any:
    """``tf.image.adjust_contrast`` of float images: away from the mean of each channel."""
    mean = ops.mean(images, axis=(ROWS, COLUMNS), keepdims=True)
    return (images - mean) * contrast_factor + mean


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False) -> Any:
    """``tf.image.convert_image_dtype`` between floats and from integers to floats.

    Integers span their dtype's positive range, floats [0, 1].
    """
    source, target = keras.backend.standardize_dtype(image.dtype), str(dtype)
    if source == target:
        return image
    if "int" in target:
        scale = np.iinfo(target).max + 0.5
        scaled = image * scale
        return ops.cast(ops.clip(scaled, 0, np.iinfo(target).max) if saturate else scaled, target)
    scale = 1.0 / np.iinfo(source).max if "int" in source else 1.0
    return ops.cast(image, target) * scale


CROPS: Mapping[str, Callable[..., Any]] = {
    "crop_to_bounding_box": crop_to_bounding_box,
    "pad_to_bounding_box": pad_to_bounding_box,
    "central_crop": central_crop,
    "resize_with_crop_or_pad": resize_with_crop_or_pad,
    "resize_image_with_crop_or_pad": resize_with_crop_or_pad,
    "adjust_contrast": adjust_contrast,
    "convert_image_dtype": convert_image_dtype,
    "rot90": lambda image, k=1: ops.rot90(image, k, axes=(ROWS, COLUMNS)),
    "grayscale_to_rgb": lambda images: ops.repeat(images, 3, axis=-1),
    "transpose": lambda image: ops.swapaxes(image, ROWS, COLUMNS),
}
