"""Tracing a part of a program once, to learn what it gives before it is put in its place.

Branches and loop bodies of XLA must agree in the shapes and types of all they give. `stage` runs a
function on abstract arrays and keeps both what it gave and the traced program, which can then be
replayed any number of times without running the function again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core
import numpy as np

from hozon.graphs.values import Value


@dataclass(frozen=True, slots=True)
class Staged:
    """A traced function.

    `outputs` are its results with `jax.ShapeDtypeStruct` in place of what is only known when it
    runs; `replay` maps the arrays among its inputs to the arrays among its results.
    """

    outputs: list[Value]
    replay: Callable[..., Sequence[jax.Array]]


def stage(function: Callable[[list[Value]], Sequence[Value]], inputs: Sequence[Value]) -> Staged:
    """Trace `function` with every numeric array in `inputs` abstract."""
    leaves, tree = jax.tree.flatten(list(inputs))
    arrays = [i for i, leaf in enumerate(leaves) if is_numeric(leaf)]
    outputs: list[Value] = []

    def run(*values: jax.Array) -> list[jax.Array]:
        filled = list(leaves)
        for i, value in zip(arrays, values, strict=True):
            filled[i] = value
        results = list(function(jax.tree.unflatten(tree, filled)))
        outputs[:] = [jax.tree.map(_shape_of, result) for result in results]
        return [strong(x) for x in jax.tree.leaves(results) if isinstance(x, jax.Array)]

    closed = jax.make_jaxpr(run)(*(_shape(leaves[i]) for i in arrays))
    return Staged(list(outputs), jax.extend.core.jaxpr_as_fun(closed))


def is_numeric(value: Any) -> bool:
    """Whether a value is one array of numbers, static or not."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype != np.dtype(object)
    return isinstance(value, (jax.Array, jax.ShapeDtypeStruct))


def is_abstract(value: Any) -> bool:
    """Whether a leaf of staged outputs is only known when the function runs."""
    return isinstance(value, jax.ShapeDtypeStruct)


def strong(value: Value) -> jax.Array:
    """`value` as an array whose type does not give way to others."""
    return jax.lax.convert_element_type(value, np.dtype(value.dtype))


def same(first: Any, second: Any) -> bool:
    """Whether two static leaves are the same object, or arrays of the same content."""
    if first is second:
        return True
    if not (is_numeric(first) and is_numeric(second)) or is_abstract(first) or is_abstract(second):
        return False
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and np.asarray(first).tobytes() == np.asarray(second).tobytes()
    )


def _shape_of(leaf: Any) -> Any:
    return _shape(leaf) if isinstance(leaf, jax.Array) else leaf


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
