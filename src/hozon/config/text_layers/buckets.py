"""Values to buckets by hash: Hashing and HashedCrossing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.encode import (
    COUNT,
    INT,
    MULTI_HOT,
    ONE_HOT,
    encode,
    encoded_shape,
    mode_of,
)
from hozon.config.text_layers.hashes import MASK, bucket_of, salt_of
from hozon.config.text_layers.host import Array, HostLayer, encoded, no_sparse, to_bytes
from hozon.errors import MismatchError
from hozon.raw.hashing import HASH64_SEED, fingerprint64, fingerprint_cat
from hozon.typing import Config

register = keras.saving.register_keras_serializable(package="hozon")


class Buckets(HostLayer):
    """A layer whose results are indices below `num_bins`, encoded."""

    modes: tuple[str, ...]

    def __init__(
        self, num_bins: int, output_mode: str = INT, sparse: bool = False, **kwargs: Any
    ) -> None:
        self.output_mode = mode_of(output_mode, self.modes)
        kwargs["dtype"] = self._dtype(kwargs.get("dtype"))
        super().__init__(**kwargs)
        self.num_bins, self.sparse = int(num_bins), no_sparse(self.name, sparse)
        if self.num_bins <= 0:
            raise MismatchError(f"layer {self.name!r} has num_bins={num_bins}")

    def _dtype(self, dtype: Any) -> Any:
        """Indices are integers and vectors floats, whatever older versions wrote."""
        if self.output_mode == INT:
            return dtype if isinstance(dtype, str) and "int" in dtype else "int64"
        return keras.config.floatx() if dtype in (None, "string") else dtype

    def encode(self, indices: Array) -> Array:
        """Indices in the output mode."""
        return encode(indices, self.output_mode, self.num_bins, np.dtype(self.output_dtype))

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "sparse": self.sparse,
            "output_mode": self.output_mode,
        }


@register
class Hashing(Buckets):
    """Strings or integers to buckets: Fingerprint64, or SipHash with a salt.

    With a mask value bucket 0 is for that value only.
    """

    modes = (INT, ONE_HOT, MULTI_HOT, COUNT)

    def __init__(
        self, num_bins: int, mask_value: Any = None, salt: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(num_bins, **kwargs)
        self.mask_value = mask_value
        self.salt = salt_of(salt, self.name)

    def compute(self, inputs: Any) -> Array:
        """The bucket of each value, encoded."""
        masked = self.mask_value is not None and self.num_bins > 1
        count = self.num_bins - masked
        texts = _texts(inputs)
        flat = texts.reshape(-1).tolist()
        found = np.fromiter(
            (bucket_of(text, count, self.salt) for text in flat), np.int64, len(flat)
        )
        if masked:
            mask = encoded(str(self.mask_value))
            found = np.where([text == mask for text in flat], 0, found + 1)
        return self.encode(found.reshape(texts.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the outputs."""
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_bins)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "mask_value": self.mask_value, "salt": self.salt}


def _texts(values: Any) -> Array:
    """Values as they are hashed: integers as their decimal digits."""
    array = np.asarray(values)
    if array.dtype.kind not in "OSUiu":
        raise MismatchError(f"only strings and integers have hashes here, not {array.dtype}")
    return to_bytes(array)


@register
class HashedCrossing(Buckets):
    """Combinations of the values of several inputs to buckets."""

    modes = (INT, ONE_HOT)

    def compute(self, inputs: Any) -> Array:
        """The bucket of each combination; inputs are (), (batch,) or (batch, 1), all alike."""
        columns = [_numbers(column) for column in inputs]
        shapes = {np.shape(column) for column in inputs}
        if len(columns) < 2 or len(shapes) != 1:
            raise MismatchError(
                f"layer {self.name!r} crosses at least two inputs of one shape, "
                f"not {sorted(shapes)}"
            )
        found = [self._cross(numbers) for numbers in zip(*columns, strict=True)]
        return self.encode(np.asarray(found, np.int64).reshape(shapes.pop()))

    def _cross(self, numbers: tuple[int, ...]) -> int:
        """TensorFlow's ``SparseCross`` with its default key."""
        result = HASH64_SEED
        for number in numbers:
            result = fingerprint_cat(result, number)
        return result % self.num_bins

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the outputs, from the shapes of the inputs."""
        return encoded_shape(tuple(input_shape[0]), self.output_mode, self.num_bins)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Shape and dtype of the outputs."""
        shape = self.compute_output_shape([tuple(x.shape) for x in inputs])
        return keras.KerasTensor(shape, self.output_dtype)


def _numbers(values: Any) -> list[int]:
    """Strings by their fingerprints, integers as they are, as unsigned 64-bit numbers."""
    flat = np.asarray(values).reshape(-1).tolist()
    return [
        value & MASK
        if isinstance(value, int)
        else fingerprint64(value if isinstance(value, bytes) else encoded(str(value)))
        for value in flat
    ]
