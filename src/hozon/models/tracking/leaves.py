"""Values that checkpoints hold: Keras variables, arrays in containers, whatever has `assign`."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np

from hozon.errors import UnsupportedError
from hozon.keras_private.values import give_value
from hozon.raw.team import on_host
from hozon.stored.dtypes import FLOAT32, STRING, DType, dtype_of_name, dtype_of_numpy


@dataclass(frozen=True, slots=True)
class KerasLeaf:
    """A Keras variable. `stored` is the type in the file where it is not the variable's own."""

    variable: keras.Variable
    stored: DType | None = None

    @property
    def name(self) -> str:
        """The variable's path, TensorFlow's full name."""
        return str(self.variable.path)

    @property
    def dtype(self) -> DType:
        """The type that is stored."""
        return self.stored or dtype_of_name(self.variable.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(self.variable.shape)

    def read(self) -> Any:
        """The array on its device; on the host where the stored type differs.

        JAX without 64-bit types keeps a float64 variable's value as float32.
        """
        value = self.variable.value
        if value.dtype == self.dtype.numpy:
            return value
        return on_host(value).astype(self.dtype.numpy)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Take a value; the variable converts it to its own type."""
        give_value(self.variable, value)


@dataclass(frozen=True, slots=True)
class TwoLeaves:
    """Two variables that one stored value stands for; the first is read."""

    first: KerasLeaf
    second: KerasLeaf

    @property
    def name(self) -> str:
        """The first one's name."""
        return self.first.name

    @property
    def dtype(self) -> DType:
        """The first one's type."""
        return self.first.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The first one's shape."""
        return self.first.shape

    def read(self) -> Any:
        """The first one's value."""
        return self.first.read()

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Give both the value."""
        self.first.assign(value)
        self.second.assign(value)


@dataclass(frozen=True, slots=True)
class ComputedLeaf:
    """A value that files have and Keras 3 does not: computed for writing, skipped in reading."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    compute: Callable[[], Any]

    def read(self) -> Any:
        """The value."""
        return np.asarray(self.compute(), self.dtype.numpy).reshape(self.shape)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Nothing takes the value."""


@dataclass(frozen=True, slots=True)
class AttributeLeaf:
    """A Python number that legacy optimizers kept as a variable."""

    owner: Any
    attribute: str
    name: str
    dtype: DType = FLOAT32
    shape: tuple[int, ...] = ()

    def read(self) -> Any:
        """The number as an array."""
        return np.asarray(getattr(self.owner, self.attribute), self.dtype.numpy)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Set the number; one that float32 cannot tell from the present one changes nothing."""
        if np.float32(getattr(self.owner, self.attribute)) != np.float32(value):
            setattr(self.owner, self.attribute, float(value))


@dataclass(frozen=True, slots=True)
class ItemLeaf:
    """A JAX or NumPy array in a dictionary or list, or in the attributes of a checkpoint.

    A restored array takes the place of the old one in its container.
    """

    container: Any
    key: Any

    @property
    def name(self) -> str:
        """The key."""
        return str(self.key)

    @property
    def dtype(self) -> DType:
        """The array's type."""
        return dtype_of_numpy(self.container[self.key].dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self.container[self.key].shape)

    def read(self) -> Any:
        """The array."""
        return self.container[self.key]

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Put an array of the old one's kind, type and placement in its place."""
        self.require_replaceable()
        old = self.container[self.key]
        if isinstance(old, jax.Array):
            self.container[self.key] = jax.device_put(value.astype(old.dtype), old.sharding)
        else:
            self.container[self.key] = value.astype(old.dtype, copy=True)

    def require_replaceable(self) -> None:
        """Raise UnsupportedError for an array in a tuple."""
        if not isinstance(self.container, (MutableMapping, MutableSequence)):
            raise UnsupportedError(
                f"an array in a {type(self.container).__name__} cannot be replaced by its "
                "restored value",
                feature="restoring arrays in tuples",
                instead="keep it in a list or dictionary",
            )


@dataclass(frozen=True, slots=True)
class AssignableLeaf:
    """An object with `assign` and `numpy()` or `value`, such as `hozon.tf.Variable`."""

    variable: Any

    @property
    def name(self) -> str:
        """Its name, if it has one."""
        return str(getattr(self.variable, "name", None) or "Variable").split(":")[0]

    @property
    def dtype(self) -> DType:
        """Its type."""
        return dtype_of_numpy(self._array().dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self._array().shape)

    def read(self) -> Any:
        """Its value."""
        array = self._array()
        return array if dtype_of_numpy(array.dtype) is not STRING else np.asarray(array, object)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Assign."""
        self.variable.assign(value)

    def _array(self) -> Any:
        value = getattr(self.variable, "numpy", None)
        if value is None:
            value = self.variable.value
        return np.asarray(value() if callable(value) else value)


def is_array(value: Any) -> bool:
    """Whether a value is a JAX or NumPy array (a NumPy scalar too)."""
    return isinstance(value, (jax.Array, np.ndarray, np.generic))


def is_assignable(value: Any) -> bool:
    """Whether a value is a variable of some other kind."""
    kind = type(value)
    return callable(getattr(kind, "assign", None)) and (
        hasattr(kind, "numpy") or hasattr(kind, "value")
    )
