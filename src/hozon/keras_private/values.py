"""Values of variables: initializers that wait, and assignment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
from keras.src.backend import Variable as BackendVariable

from hozon.keras_private.bends import asked, bend
from hozon.tensors.dtypes import dtype_of_name

Initializer = Callable[..., Any]


_ALIGNMENT = 64


class Deferred:
    """Variables whose initializers have not run yet."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Any, Initializer]] = {}

    def add(self, variable: Any, initializer: Initializer) -> None:
        """Give `variable` zeros that take no memory, a broadcast view of one element."""
        self._waiting[id(variable)] = (variable, initializer)
        zero = np.zeros((), dtype_of_name(variable._dtype).numpy)
        variable._value = np.broadcast_to(zero, variable._shape)

    def finish(self) -> list[Any]:
        """Run the initializers of variables that were not assigned; return those variables."""
        rest = [(v, i) for v, i in self._waiting.values() if isinstance(v._value, np.ndarray)]
        for variable, initializer in rest:
            if isinstance(initializer, keras.initializers.Zeros):
                variable.assign(_zeros(variable._value.shape, variable._value.dtype))
            else:
                variable.assign(initializer(variable.shape, dtype=variable.dtype))
        self._waiting.clear()
        return [variable for variable, _ in rest]


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Zeros that take memory only once they are read.

    JAX uses memory at a multiple of 64 bytes as it is and copies any other.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


#: Where the variables go that this thread makes.
_DEFERRED: ContextVar[Deferred | None] = ContextVar("deferred initializers", default=None)


def _deferring(original: Callable[..., None]) -> Callable[..., None]:
    def initialize(variable: Any, initializer: Initializer) -> None:
        deferred = _DEFERRED.get()
        if deferred is None or variable._layout is not None or variable._dtype == "string":
            original(variable, initializer)
        else:
            deferred.add(variable, initializer)

    return initialize


bend(BackendVariable, "_initialize_with_initializer", _deferring)


@contextmanager
def deferred_initializers() -> Iterator[Deferred]:
    """Variables that this thread makes inside run their initializers at `Deferred.finish`.

    For models whose weights are about to be overwritten: building ResNet50 spends nearly all of
    its time drawing random numbers that nobody sees. On other backends than JAX they run at once.
    """
    deferred = Deferred()
    with asked(_DEFERRED, deferred if keras.config.backend() == "jax" else None):
        yield deferred


def give_value(variable: Any, value: np.ndarray[Any, Any]) -> None:
    """Assign a variable; one that Keras made while tracing shapes starts with the value later."""
    if variable._value is None:
        variable._initializer = lambda shape, dtype: np.asarray(value).astype(
            dtype_of_name(dtype).numpy
        )
    else:
        variable.assign(value)
