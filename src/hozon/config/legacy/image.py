"""Image preprocessing layers that Keras 3 dropped or gave another meaning at inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np

from hozon.errors import UnsupportedError
from hozon.typing import Config, Shape

register = keras.saving.register_keras_serializable(package="hozon")
HEIGHT, WIDTH = -3, -2


def smart_resize(images: Any, height: int, width: int) -> Any:
    """The largest centred window of the target's aspect ratio, resized bilinearly to it.

    `images` is (..., height, width, channels); the formula is that of tf_keras'
    ``image_utils.smart_resize``.
    """
    ops = keras.ops
    rows, columns = int(images.shape[HEIGHT]), int(images.shape[WIDTH])
    kept_rows = min(rows, int(float(columns * height) / width))
    kept_columns = min(columns, int(float(rows * width) / height))
    top, left = int((rows - kept_rows) / 2), int((columns - kept_columns) / 2)
    window = images[..., top : top + kept_rows, left : left + kept_columns, :]
    return ops.image.resize(
        window, (height, width), interpolation="bilinear", data_format="channels_last"
    )


@register
class RandomCrop(keras.layers.Layer):  # type: ignore[misc]
    """Keras 2's: a random crop in training, `smart_resize` at inference and for small images."""

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height, self.width, self.seed = int(height), int(width), seed
        self.data_format = data_format
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Images (..., height, width, channels) to the target size, as floats."""
        images = keras.ops.cast(inputs, self.compute_dtype)
        spare = (images.shape[HEIGHT] - self.height, images.shape[WIDTH] - self.width)
        if training and min(spare) >= 0:
            return self._cropped(images, spare)
        return smart_resize(images, self.height, self.width)

    def _cropped(self, images: Any, spare: tuple[int, int]) -> Any:
        ops = keras.ops
        starts = [keras.random.randint((), 0, size + 1, seed=self.generator) for size in spare]
        rank = len(images.shape)
        corner = [0] * (rank - 3) + [*starts, 0]
        shape = [*images.shape[:HEIGHT], self.height, self.width, images.shape[-1]]
        return ops.slice(images, ops.stack([ops.cast(c, "int32") for c in corner]), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """``input_shape`` with the target's height and width."""
        return (*input_shape[:HEIGHT], self.height, self.width, input_shape[-1])

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        """Sizes of `inputs` may be unknown."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "seed": self.seed,
            "data_format": self.data_format,
        }


class RandomSide(keras.layers.Layer):  # type: ignore[misc]
    """Stretches one side of images by a random factor in training.

    The size of the result differs from batch to batch, which a compiled JAX program cannot have:
    training needs ``run_eagerly=True``.
    """

    axis: int

    def __init__(
        self,
        factor: float | Sequence[float],
        interpolation: str = "bilinear",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.factor = tuple(factor) if isinstance(factor, (list, tuple)) else factor
        self.interpolation, self.seed = interpolation, seed
        if isinstance(factor, (int, float)):
            factor = (-float(factor), float(factor))
        self.low, self.high = factor
        self.random = np.random.default_rng(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Images (..., height, width, channels), as floats."""
        images = keras.ops.cast(inputs, self.compute_dtype)
        if not training:
            return images
        if isinstance(images, jax.core.Tracer):
            raise UnsupportedError(
                f"{type(self).__name__} changes sizes at random, which cannot be compiled; "
                "compile the model with run_eagerly=True to train it"
            )
        size = list(images.shape[HEIGHT:-1])
        side = self.axis - HEIGHT
        size[side] = int(size[side] * (1 + self.random.uniform(self.low, self.high)))
        return keras.ops.image.resize(
            images, tuple(size), interpolation=self.interpolation, data_format="channels_last"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`input_shape` with the random side unknown."""
        shape = list(input_shape)
        shape[self.axis] = None
        return tuple(shape)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        """See `compute_output_shape`."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "seed": self.seed,
            "interpolation": self.interpolation,
        }


@register
class RandomHeight(RandomSide):
    """Keras 2's RandomHeight."""

    axis = HEIGHT


@register
class RandomWidth(RandomSide):
    """Keras 2's RandomWidth."""

    axis = WIDTH
