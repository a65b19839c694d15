"""Values of variables: initializers that wait, and assignment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import keras
import numpy as np
from keras.src.backend import Variable as BackendVariable

from hozon.errors import UnsafeError
from hozon.keras_private.bends import asked, bend
from hozon.limits import LIMITS, allowed
from hozon.stored.dtypes import dtype_of_name

Initializer = Callable[..., Any]


_ALIGNMENT = 64


class _Drawn:
    """The bytes of weights that an architecture of a file has been given by initializers."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, variable: keras.Variable) -> None:
        """Count a variable that is about to be drawn; raises UnsafeError for too many bytes."""
        size = dtype_of_name(variable._dtype).numpy.itemsize
        self._bytes += math.prod(variable._shape) * size
        most = allowed().fresh_bytes
        if self._bytes > most:
            raise UnsafeError(  # Keras takes NotImplementedErrors of a layer for its own
                f"the architecture asks for {self._bytes:,} bytes of fresh weights and more, up to "
                f"{variable.path} of shape {tuple(variable._shape)}; {most:,} are allowed",
                refused=f"{self._bytes:,} bytes of weights that no file holds",
                allow="hozon.limits.allowing(fresh_bytes=...) around this, if it is trusted",
            )


_DRAWN: ContextVar[_Drawn | None] = ContextVar("fresh weights of a file's model", default=None)


@contextmanager
def drawing_for_file() -> Iterator[None]:
    """What this thread's initializers draw inside is counted: a file's architecture asks for it."""
    with asked(_DRAWN, _DRAWN.get() or _Drawn()):
        yield


class Deferred:
    """Variables whose initializers have not run yet; `run` is Keras' own way to run one."""

    def __init__(self, run: Callable[[Any, Initializer], None]) -> None:
        self._run = run
        self._waiting: dict[int, tuple[Any, Initializer]] = {}

    def add(self, variable: keras.Variable, initializer: Initializer) -> None:
        """Give `variable` its layout, and zeros that take no memory: a view of one element.

        Raises UnsafeError for a variable larger than any model has.
        """
        elements = math.prod(variable._shape)
        if elements > LIMITS.weight_elements:
            raise UnsafeError(
                f"{variable.path} of shape {tuple(variable._shape)} has {elements} elements; no "
                "model needs that",
                refused=f"a weight of {elements} elements",
                record=variable.path,
            )
        variable._initialize_layout()
        self._waiting[id(variable)] = (variable, initializer)
        zero = np.zeros((), dtype_of_name(variable._dtype).numpy)
        variable._value = np.broadcast_to(zero, variable._shape)

    def finish(self, *, counted: bool = True) -> list[Any]:
        """Run the initializers of variables that were not assigned; return those variables.

        Slots of an optimizer are not `counted`: they are of variables that are there.
        """
        rest = [(v, i) for v, i in self._waiting.values() if isinstance(v._value, np.ndarray)]
        drawn = _DRAWN.get()
        for variable, initializer in rest:
            if drawn is not None and counted:
                drawn.add(variable)
            if isinstance(initializer, keras.initializers.Zeros) and variable._layout is None:
                variable.assign(_zeros(variable._value.shape, variable._value.dtype))
            else:
                self._run(variable, initializer)
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


_INITIALIZE = "_initialize_with_initializer"


def _deferring(original: Callable[..., None]) -> Callable[..., None]:
    def initialize(variable: keras.Variable, initializer: Initializer) -> None:
        deferred = _DEFERRED.get()
        drawn = _DRAWN.get()
        if deferred is None or variable._dtype == "string":
            if drawn is not None and variable._dtype != "string":
                drawn.add(variable)
            original(variable, initializer)
        else:
            deferred.add(variable, initializer)

    return initialize


_run = getattr(BackendVariable, _INITIALIZE)
bend(BackendVariable, _INITIALIZE, _deferring)


@contextmanager
def deferred_initializers() -> Iterator[Deferred]:
    """Variables that this thread makes inside run their initializers at `Deferred.finish`.

    For models whose weights are about to be overwritten: building ResNet50 spends nearly all of
    its time drawing random numbers that nobody sees. On other backends than JAX they run at once.
    """
    deferred = Deferred(_run)
    with asked(_DEFERRED, deferred if keras.config.backend() == "jax" else None):
        yield deferred


def give_value(variable: keras.Variable, value: Any) -> None:
    """Assign a variable; each device takes its part where the variable is laid out over several.

    A variable that Keras made while tracing shapes starts with the value later.

    Args:
        variable: of Keras.
        value: of the variable's shape; sliced once for each part, and converted to the variable's
            dtype.
    """
    if variable._value is None:
        variable._initializer = lambda shape, dtype: np.asarray(value).astype(
            dtype_of_name(dtype).numpy
        )
        return
    sharding = sharding_of(variable)
    if sharding is None or tuple(value.shape) != tuple(variable.shape):
        if isinstance(value, np.ndarray) and value.dtype == variable._dtype:
            # As Keras would, in half the time that JAX takes where it is told a type.
            value = jax.numpy.asarray(value)
        variable.assign(value)  # which says what is wrong with the shape
        return
    dtype = jax.dtypes.canonicalize_dtype(dtype_of_name(variable._dtype).numpy)
    placed = jax.make_array_from_callback(
        tuple(variable.shape), sharding, lambda index: np.asarray(value[index]).astype(dtype)
    )
    variable._direct_assign(placed)


def sharding_of(variable: keras.Variable) -> jax.sharding.Sharding | None:
    """How a variable is laid out over devices, where that was said when it was made."""
    layout = getattr(variable, "_layout", None)
    layout = getattr(layout, "backend_layout", layout)
    return layout if isinstance(layout, jax.sharding.Sharding) else None
