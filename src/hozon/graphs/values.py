"""The values that flow through a graph.

A value is *static* (a NumPy array: constants, shapes, what is computed from them, and everything
on the host) or *traced* (a JAX array). An op whose inputs are all static runs in NumPy, so shapes
stay known while JAX traces. Strings are NumPy object arrays of ``bytes`` and always static.
Resources are Python objects that pass through untouched: a `Cell` for a variable, host objects
for tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import UnsupportedError
from hozon.limits import allowed

Value = Any


class NotStatic(Exception):  # noqa: N818 - a signal between an op and the planner, not an error
    """An op needs to know a value that is only known when the traced function runs."""

    def __init__(self, value: Value, purpose: str) -> None:
        super().__init__(f"{purpose} depends on data")
        self.value = value
        self.purpose = purpose


class Cell:
    """A variable: something with one value that a call may read and replace.

    Attributes:
        name: what the variable is called.
        shape: its shape, None for an unknown rank, an entry None for a free size.
        dtype: the dtype of its values.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: np.dtype[Any]

    def read(self) -> Value:
        """The current value."""
        raise NotImplementedError

    def assign(self, value: Value) -> None:
        """Replace the value."""
        raise NotImplementedError

    def look_up(self, value: Value, take: Callable[[Value, Value], Value], ids: Value) -> Value:
        """``take(value, ids)``, rows of this variable's value, for those who tell lookups apart."""
        return take(value, ids)


def is_static(value: Value) -> bool:
    """Whether `value` is known while a function is traced."""
    return not isinstance(value, jax.Array)


def is_traced(value: Value) -> bool:
    """Whether `value` is a tracer of a JAX transformation."""
    return isinstance(value, jax.core.Tracer)


def stopped(value: Any) -> Any:
    """A value, to which no gradient flows."""
    return jax.lax.stop_gradient(value) if isinstance(value, jax.Array) else value


def ns(*values: Value) -> Any:
    """NumPy when every value is static, else ``jax.numpy``: the two share their functions."""
    return np if all(map(is_static, values)) else jnp


def sizes(shape: Sequence[Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Sizes as a vector; with symbols among them, as while a file is made, it holds objects."""
    known = not any(map(is_symbol, shape))
    return np.asarray(shape, dtype) if known else np.asarray(shape, object)


def is_symbol(size: Any) -> bool:
    """Whether a size, or an array of one, is a symbol of JAX."""
    found = size.item() if isinstance(size, np.ndarray) and size.shape == () else size
    return hasattr(found, "__jax_array__") and not hasattr(found, "shape")


def boxed(value: Value) -> Value:
    """A size that is a symbol as an array of no axes, as NumPy's functions take numbers out."""
    bare = not isinstance(value, np.ndarray) and is_symbol(value)
    return sizes((value,), np.dtype(object)).reshape(()) if bare else value


def as_arrays(known: np.ndarray[Any, Any]) -> Value:
    """Sizes with symbols among them as what they are when the traced function runs."""
    return jnp.stack([jnp.asarray(size) for size in known.reshape(-1)]).reshape(known.shape)


def together(*values: Value) -> tuple[Value, ...]:
    """The operands of one function: sizes that are symbols as numbers where another is traced."""
    if not any(isinstance(value, np.ndarray) and value.dtype == object for value in values):
        return values
    traced = next((value.dtype for value in values if not is_static(value)), None)
    if traced is None:
        return values
    return tuple(as_arrays(v).astype(traced) if v.dtype == object else v for v in values)


def for_shape(shape: Sequence[Any], *values: Value) -> Any:
    """`ns` for what makes an array of a shape: NumPy knows no symbols."""
    return jnp if any(map(is_symbol, shape)) else ns(*values)


def static(value: Value, purpose: str) -> np.ndarray[Any, Any]:
    """`value` as a NumPy array, or `NotStatic` when it is only known at run time.

    `purpose` completes the sentence "<purpose> depends on data", e.g. ``"the shape"``.
    """
    if is_traced(value):
        raise NotStatic(value, purpose)
    return np.asarray(value)


def static_ints(value: Value, purpose: str) -> tuple[int, ...]:
    """A static vector or scalar of integers as a tuple, e.g. a shape or a list of axes."""
    known = static(value, purpose).reshape(-1)
    return tuple(x if is_symbol(x) else int(x) for x in known)


def static_int(value: Value, purpose: str) -> int:
    """A static integer: a scalar, or one element, which many of TensorFlow's kernels take too."""
    known = static(value, purpose)
    found = known.reshape(()) if known.size == 1 else known
    return found.item() if is_symbol(found) else int(found)


def static_shape(value: Value, purpose: str) -> tuple[int, ...]:
    """`static_ints` as the shape of a new tensor, which may not be larger than `limits` say."""
    shape = static_ints(value, purpose)
    require_elements(shape, purpose)
    return shape


def static_count(value: Value, purpose: str) -> int:
    """`static_int` as a number of elements."""
    count = static_int(value, purpose)
    require_elements((count,), purpose)
    return count


def require_elements(shape: Sequence[Any], purpose: str) -> None:
    """Raise UnsupportedError for a tensor that no file of this size justifies.

    Sizes that are symbols are not known yet, negative ones are no sizes.
    """
    if any(map(is_symbol, shape)):
        return
    most, count = allowed().elements, math.prod(size for size in shape if size > 0)
    if count > most:
        raise UnsupportedError(
            f"{purpose} asks for {count:,} elements, more than the {most:,} that are allowed",
            feature=f"a tensor of {count:,} elements that is made from nothing",
            instead="if the file is trusted, call it within hozon.limits.allowing(elements=...)",
        )


def as_numpy(value: Value) -> Value:
    """A JAX array on the host as NumPy; anything else unchanged."""
    return np.asarray(value) if isinstance(value, jax.Array) else value
