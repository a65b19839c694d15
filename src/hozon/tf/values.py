"""Values of scripts: arrays with ``numpy()``, and variables made of any value."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class Tensor(np.ndarray[Any, Any]):
    """A NumPy array that also answers ``numpy()``."""

    def numpy(self) -> np.ndarray[Any, Any]:
        """The plain array."""
        return np.asarray(self)


def convert_to_tensor(value: Any, dtype: Any = None) -> Any:
    """A value as an array; symbolic tensors and variables stay what they are."""
    if isinstance(value, (keras.KerasTensor, keras.Variable)):
        return value if dtype is None else keras.ops.cast(value, str(dtype))
    array = np.asarray(value, None if dtype is None else np.dtype(str(dtype)))
    if dtype is None and not hasattr(value, "dtype"):
        array = array.astype({"f": "float32", "i": "int32"}.get(array.dtype.kind, array.dtype))
    return array.view(Tensor)


constant = convert_to_tensor


class Variable(keras.Variable):  # type: ignore[misc]
    """A Keras variable of a value: Python numbers are float32 and int32, as in TensorFlow."""

    def __init__(
        self,
        initial_value: Any,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        array = np.asarray(convert_to_tensor(initial_value, dtype))
        super().__init__(array, dtype=array.dtype.name, trainable=trainable, name=name, **options)

    def assign_sub(self, value: Any) -> Any:
        """Subtract from it."""
        return self.assign(self.value - value)


#: Data types by their names.
DTYPES = {
    name: name
    for name in (
        "bfloat16",
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    )
} | {"bool": "bool"}
