"""Random keys as the numbers that they are: one more, last dimension of uint32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from hozon.graphs.emit.rules import Equation, NoRule

#: The words of a key.
KEY_SIZE = 2

#: Primitives that move elements about without looking at them.
_MOVES = frozenset(
    {
        "broadcast_in_dim",
        "concatenate",
        "copy",
        "dynamic_slice",
        "dynamic_update_slice",
        "expand_dims",
        "gather",
        "reshape",
        "rev",
        "scatter",
        "select_n",
        "slice",
        "split",
        "squeeze",
        "stack",
        "tile",
        "transpose",
    }
)


def is_key(aval: Any) -> bool:
    """Whether an array's elements are keys."""
    return not isinstance(aval.dtype, np.dtype) and str(aval.dtype).startswith("key<")


def numbers(value: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
    """A value as an array, keys as their numbers."""
    if hasattr(value, "dtype") and is_key(value):
        return np.asarray(jax.random.key_data(value))
    return np.asarray(value, dtype)


def check_generator(eqn: Equation) -> None:
    """Refuse keys of another generator than JAX's default, which is threefry2x32."""
    names = {str(aval.dtype) for aval in (*eqn.in_avals, *eqn.out_avals) if is_key(aval)}
    if names - {"key<fry>"}:
        raise NoRule(eqn.primitive)


def moves_keys(eqn: Equation) -> bool:
    """Whether the equation only moves elements about, and they are keys."""
    return eqn.primitive in _MOVES and any(map(is_key, eqn.in_avals))


def on_numbers(eqn: Equation) -> Any:
    """An equation that moves keys about, as a closed jaxpr that does so to their numbers."""
    check_generator(eqn)
    keyed = [is_key(aval) for aval in eqn.in_avals]
    shapes = [_numbers(aval, known) for aval, known in zip(eqn.in_avals, keyed, strict=True)]
    axes = tuple(-1 if known else None for known in keyed)
    move = jax.vmap(lambda *inputs: eqn.bind(*inputs), in_axes=axes, out_axes=-1)
    return jax.make_jaxpr(move)(*shapes)


def _numbers(aval: Any, known: bool) -> jax.ShapeDtypeStruct:
    shape: Sequence[Any] = (*aval.shape, KEY_SIZE) if known else aval.shape
    return jax.ShapeDtypeStruct(shape, np.dtype(np.uint32) if known else aval.dtype)
