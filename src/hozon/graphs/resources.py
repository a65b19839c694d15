"""What outlives a call: variables, the random state, and named resources of one artifact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from hozon.errors import MismatchError
from hozon.graphs.values import Cell, Value, is_static


class Variable(Cell):
    """A variable of a loaded graph: one array that calls read and may replace.

    The value can be given as an array or as anything with ``read()`` (a lazy tensor), which is
    then read when the variable is first used. String variables hold NumPy object arrays.
    """

    def __init__(
        self,
        value: Any,
        *,
        name: str,
        shape: tuple[int | None, ...] | None,
        dtype: np.dtype[Any],
        trainable: bool = True,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.trainable = trainable
        self._value = value

    def read(self) -> Value:
        """The current value: a JAX array, or a NumPy object array of strings."""
        value = self._value
        if value is None:
            raise MismatchError(f"variable {self.name!r} is read before it has a value")
        if hasattr(value, "read"):
            value = value.read()
        if not isinstance(value, jax.Array) and np.asarray(value).dtype != object:
            value = on_device(value)
        self._value = value
        return value

    def assign(self, value: Value) -> None:
        """Replace the value; shape and dtype stay as declared.

        Python numbers, text and NumPy arrays are converted where their kind allows it.
        """
        array = value if isinstance(value, jax.Array) else _converted(value, self.dtype)
        if not fits(tuple(array.shape), self.shape):
            raise MismatchError(
                f"variable {self.name!r} has shape {self.shape}, the value {tuple(array.shape)}"
            )
        if array.dtype != self.dtype:
            raise MismatchError(
                f"variable {self.name!r} holds {self.dtype}, the value is {array.dtype}"
            )
        self._value = array

    @property
    def initialized(self) -> bool:
        """Whether there is a value to read."""
        return self._value is not None

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as a NumPy array."""
        return np.asarray(self.read())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.read(), dtype=dtype)

    def __jax_array__(self) -> jax.Array:
        value: jax.Array = self.read()
        return value

    def __repr__(self) -> str:
        return f"<hozon Variable {self.name!r} shape={self.shape} dtype={self.dtype}>"


class Constant(Cell):
    """A large constant of a graph, kept out of the compiled program like a variable."""

    def __init__(self, name: str, value: np.ndarray[Any, Any]) -> None:
        self.name = name
        self.shape: tuple[int | None, ...] | None = value.shape
        self.dtype = value.dtype
        self._value: Value = value

    def read(self) -> Value:
        """The constant as a JAX array."""
        if is_static(self._value):
            self._value = on_device(self._value)
        return self._value

    def assign(self, value: Value) -> None:  # noqa: ARG002
        """Constants cannot change."""
        raise TypeError(f"{self.name!r} is a constant")


class RandomState(Cell):
    """The state that stateful random ops draw from: a JAX key, advanced at every draw."""

    name = "random state"
    shape: tuple[int | None, ...] | None = (2,)
    dtype = np.dtype(np.uint32)

    def __init__(self, seed: int | None = None) -> None:
        self.seed(seed)

    def seed(self, seed: int | None) -> None:
        """Start over; without a seed, from the operating system's entropy."""
        entropy = np.random.SeedSequence(seed).generate_state(2, np.uint32)
        self._value: Value = entropy

    def read(self) -> Value:
        """The raw key, uint32 of shape (2,)."""
        return self._value

    def assign(self, value: Value) -> None:
        """Replace the key."""
        self._value = value

    def draw(self) -> jax.Array:
        """A fresh raw key while JAX traces: drawn anew each time the traced program runs."""
        key: jax.Array = io_callback(self._advance, jax.ShapeDtypeStruct((2,), np.uint32))
        return key

    def _advance(self) -> np.ndarray[Any, Any]:
        entropy = [int(word) for word in np.asarray(self._value)]
        words = np.random.SeedSequence(entropy).generate_state(4, np.uint32)
        self._value = words[:2]
        return words[2:]


def on_device(value: Value) -> jax.Array:
    """A NumPy array as a JAX array of its dtype, 64-bit ones included, also while JAX traces.

    ``jnp.asarray`` compiles a copy for each new shape, 7 ms each: ResNet50 has 27.
    """
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        array: jax.Array = jax.device_put(value)
    return array


def _converted(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A Python value or NumPy array as an array of `dtype`, or of its own if it is of a higher
    kind: numbers may become longer, shorter or floating, text becomes bytes."""
    array = np.asarray(value)
    if array.dtype == dtype:
        # JAX may use the memory as it is, and the caller may write to it later.
        return array.copy() if array.flags.writeable else array
    if dtype == np.dtype(object) and array.dtype.kind in "US":
        texts = array.astype(object)
        return np.frompyfunc(lambda t: t.encode() if isinstance(t, str) else t, 1, 1)(texts)  # type: ignore[no-any-return]
    kinds = (np.bool_, np.integer, np.floating, np.complexfloating)
    ranks = [[jnp.issubdtype(d, kind) for kind in kinds] for d in (array.dtype, dtype)]
    return array.astype(dtype) if all(map(any, ranks)) and ranks[0] >= ranks[1] else array


def fits(shape: tuple[int, ...], declared: tuple[int | None, ...] | None) -> bool:
    """Whether `shape` is one that a declared, possibly partial shape allows."""
    if declared is None:
        return True
    return len(shape) == len(declared) and all(
        want is None or want == have for have, want in zip(shape, declared, strict=True)
    )


class Checkpoint(Protocol):
    """Stored tensors by key."""

    def __contains__(self, key: object) -> bool: ...

    def __getitem__(self, key: str) -> Any: ...


class Resources:
    """Named resources of one artifact, made once and shared by all of its graphs."""

    def __init__(self) -> None:
        self.random = RandomState()
        #: Stored tensors by checkpoint key, for the restore op of a graph; None elsewhere.
        self.checkpoint: Checkpoint | None = None
        #: Reads an asset of the artifact by the name that the graph holds.
        self.read_asset: Callable[[bytes], bytes] | None = None
        #: May put something else in the place of a new variable.
        self.cell: Callable[[Variable], Cell] = lambda variable: variable
        self._named: dict[tuple[str, str], Any] = {}

    def get(self, kind: str, name: str, make: Callable[[], Any]) -> Any:
        """The resource `name` of a kind ("variable", "table", ...), made if it is new."""
        key = (kind, name)
        if key not in self._named:
            self._named.setdefault(key, make())  # another thread may have made it meanwhile
        return self._named[key]

    def of_kind(self, kind: str) -> dict[str, Any]:
        """All resources of one kind by name."""
        return {name: value for (k, name), value in self._named.items() if k == kind}
