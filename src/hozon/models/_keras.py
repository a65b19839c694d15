"""The one place that touches parts of Keras which are not public."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend import Variable as BackendVariable

from hozon.errors import UnsupportedError
from hozon.tensors.dtypes import dtype_of_name

Initializer = Callable[..., Any]


def require_jax(what: str) -> None:
    """Raise UnsupportedError unless Keras runs on JAX."""
    backend = keras.config.backend()
    if backend != "jax":
        raise UnsupportedError(
            f"{what} needs Keras' JAX backend; Keras runs on {backend!r}. "
            "Set KERAS_BACKEND=jax before Keras is imported"
        )


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
                variable.assign(np.zeros(variable._value.shape, variable._value.dtype))
            else:
                variable.assign(initializer(variable.shape, dtype=variable.dtype))
        self._waiting.clear()
        return [variable for variable, _ in rest]


@contextmanager
def deferred_initializers() -> Iterator[Deferred]:
    """Variables made inside do not run their initializers until `Deferred.finish`.

    For models whose weights are about to be overwritten: building ResNet50 spends nearly all of
    its time drawing random numbers that nobody sees.
    """
    deferred = Deferred()
    original = BackendVariable._initialize_with_initializer

    def initialize(variable: Any, initializer: Initializer) -> None:
        if variable._layout is not None or variable._dtype == "string":
            original(variable, initializer)
        else:
            deferred.add(variable, initializer)

    BackendVariable._initialize_with_initializer = initialize
    try:
        yield deferred
    finally:
        BackendVariable._initialize_with_initializer = original
