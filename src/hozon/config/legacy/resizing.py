"""Resizing as TensorFlow resizes, for the interpolations that Keras 3 lacks or computes otherwise.

Each side is one product with a matrix of weights, made of the kernels of TensorFlow's CPU ops
(tensorflow/core/kernels/image: resize_bicubic_op.cc, resize_area_op.cc, scale_and_translate_op.cc,
sampling_kernels.h), all with half-pixel centres and without antialiasing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from hozon.typing import Config, Shape

register = keras.saving.register_keras_serializable(package="hozon")
HEIGHT, WIDTH = -3, -2
Array = np.ndarray[Any, Any]
#: TensorFlow reads bicubic weights from a table with this many steps between two pixels.
STEPS = 1024


def bicubic(old: int, new: int) -> Array:
    """Keys' kernel with a = -0.5 on a grid of `STEPS`; weights outside the image are left out."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres)
    offsets = np.rint((centres - first) * STEPS) / STEPS
    weights = np.zeros((new, old))
    for shift in (-1, 0, 1, 2):
        distance = np.abs(offsets - shift)
        near = (1.5 * distance - 2.5) * distance**2 + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        _add(weights, first + shift, np.where(distance <= 1, near, far))
    return _normal(weights)


def area(old: int, new: int) -> Array:
    """What each new pixel covers of each old one."""
    edges = np.arange(new + 1) * old / new
    pixels = np.arange(old)
    ends = np.minimum(edges[1:, None], pixels + 1)
    return _normal(np.maximum(0, ends - np.maximum(edges[:-1, None], pixels)))


def sampled(kernel: Callable[[Array], Array]) -> Callable[[int, int], Array]:
    """A kernel taken at the distances of old pixels from a new one's centre."""

    def weights(old: int, new: int) -> Array:
        centres = (np.arange(new) + 0.5) * old / new
        return _normal(kernel(np.abs(np.arange(old) + 0.5 - centres[:, None])))

    return weights


def gaussian(distance: Array) -> Array:
    """Standard deviation 0.5, cut off at 1.5."""
    return np.where(distance < 1.5, np.exp(-2 * distance**2), 0)


def mitchell(distance: Array) -> Array:
    """Mitchell and Netravali's cubic with B = C = 1/3."""
    near = (7 / 6 * distance - 2) * distance**2 + 8 / 9
    far = ((-7 / 18 * distance + 2) * distance - 10 / 3) * distance + 16 / 9
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


def _add(weights: Array, columns: Array, values: Array) -> None:
    inside = (columns >= 0) & (columns < weights.shape[1])
    rows = np.arange(len(weights))[inside]
    weights[rows, columns[inside].astype(int)] += values[inside]


def _normal(weights: Array) -> Array:
    normal: Array = weights / weights.sum(axis=1, keepdims=True)
    return normal


WEIGHTS: Mapping[str, Callable[[int, int], Array]] = {
    "bicubic": bicubic,
    "area": area,
    "gaussian": sampled(gaussian),
    "mitchellcubic": sampled(mitchell),
}


def resized(images: Any, height: int, width: int, interpolation: str) -> Any:
    """Images (..., height, width, channels) of another size; theirs must be known.

    As in TensorFlow, integers and half floats are resized in float32 and cast back, which truncates
    and saturates.
    """
    dtype = keras.backend.standardize_dtype(images.dtype)
    wide = dtype if dtype == "float64" else "float32"
    made = WEIGHTS[interpolation]
    rows = keras.ops.cast(made(int(images.shape[HEIGHT]), height), wide)
    columns = keras.ops.cast(made(int(images.shape[WIDTH]), width), wide)
    images = keras.ops.cast(images, wide)
    found = keras.ops.einsum("ih,...hwc,jw->...ijc", rows, images, columns)
    return keras.ops.cast(found, dtype)


@register
class UpSampling2D(keras.layers.UpSampling2D):  # type: ignore[misc]
    """Keras 2's, with an interpolation of `WEIGHTS`; the images' size must be known in calls."""

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "bicubic",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = interpolation

    def call(self, inputs: Any) -> Any:
        """Images (batch, height, width, channels), or with the channels first, made larger."""
        first = self.data_format == "channels_first"
        images = keras.ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        images = keras.ops.cast(images, self.compute_dtype)
        height, width = (
            int(images.shape[axis]) * factor
            for axis, factor in zip((HEIGHT, WIDTH), self.size, strict=True)
        )
        made = resized(images, height, width, self.interpolation)
        return keras.ops.transpose(made, (0, 3, 1, 2)) if first else made

    def compute_output_spec(self, inputs: Any) -> Any:
        """See `compute_output_shape`."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)


@register
class Resizing(keras.layers.Layer):  # type: ignore[misc]
    """Keras 2's, with an interpolation of `WEIGHTS`; the images' size must be known."""

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bicubic",
        crop_to_aspect_ratio: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height, self.width = int(height), int(width)
        self.interpolation, self.crop_to_aspect_ratio = interpolation, crop_to_aspect_ratio
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Images (..., height, width, channels) to the target size, as floats."""
        images = keras.ops.cast(inputs, self.compute_dtype)
        if self.crop_to_aspect_ratio:
            images = self._window(images)
        return resized(images, self.height, self.width, self.interpolation)

    def _window(self, images: Any) -> Any:
        """The largest centred window of the target's aspect ratio."""
        rows, columns = int(images.shape[HEIGHT]), int(images.shape[WIDTH])
        height = min(rows, int(float(columns * self.height) / self.width))
        width = min(columns, int(float(rows * self.width) / self.height))
        top, left = (rows - height) // 2, (columns - width) // 2
        return images[..., top : top + height, left : left + width, :]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """``input_shape`` with the target's height and width."""
        return (*input_shape[:HEIGHT], self.height, self.width, input_shape[-1])

    def compute_output_spec(self, inputs: Any) -> Any:
        """See `compute_output_shape`."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
        }
