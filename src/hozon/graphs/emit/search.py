"""``jnp.searchsorted`` and ``jnp.digitize``: an op in place of a loop, or one of ordinary ops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation
from hozon.graphs.emit.values import Tensor

#: Where the boundaries stand among the arguments, by the names of the programs.
BOUNDARIES = {"searchsorted": 0, "digitize": 1}
FEW = 64


def searched(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...] | None:
    """How many boundaries stand before each value; None where this is something else.

    That is JAX's search of one row of boundaries, which compares numbers by their bits, as few
    converters can. From the right it asks whether a value is less than what it finds, from the left
    whether it is at most that. A few known boundaries are compared one by one.
    """
    place = BOUNDARIES.get(eqn.params.get("name", ""))
    if place is None or len(inputs) != 2:
        return None
    inner = list(_equations(eqn.params["jaxpr"].jaxpr))
    levels = [each.params["length"] for each in inner if each.primitive.name == "scan"]
    asked = {each.primitive.name for each in inner} & {"lt_to", "le_to"}
    boundaries, x = body.narrow(inputs[place]), inputs[1 - place]
    if not levels or len(asked) != 1 or len(boundaries.shape) != 1:
        return None
    if x.dtype != np.float32 or boundaries.dtype != np.float32:
        return None
    left, known = asked == {"le_to"}, body.value(boundaries)
    if known is not None and np.all(np.diff(known) >= 0):
        found = _in_known(body, x, known, left)
        if found is not None:
            return (steps.cast(body, found, eqn.out_avals[0].dtype),)
    if len(levels) > 1:  # a digitization, which searches in both directions
        return None
    avals = [eqn.in_avals[place], eqn.in_avals[1 - place]]
    loop = jax.make_jaxpr(lambda rows, x: _search(rows, x, levels[0], left))(*avals)
    (found,) = body.inline(loop, [boundaries, x])
    return (steps.cast(body, found, eqn.out_avals[0].dtype),)


def _search(boundaries: jax.Array, x: jax.Array, levels: int, left: bool) -> jax.Array:
    """The same search by comparisons of numbers; NaN is the largest of them."""

    def halved(_: Any, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = low + (high - low) // 2
        found = boundaries.at[middle].get(mode="clip")
        unordered = found != found
        before = (x <= found) | unordered if left else (x < found) | (unordered & (x == x))
        return jnp.where(before, low, middle), jnp.where(before, middle, high)

    none = jnp.zeros(x.shape, jnp.int32)
    ends = (none, none + boundaries.shape[0])
    found: jax.Array = jax.lax.fori_loop(0, levels, halved, ends)[1]
    return found


def _in_known(body: Body, x: Tensor, boundaries: np.ndarray[Any, Any], left: bool) -> Tensor | None:
    if boundaries.size <= FEW:
        return _compared(body, x, boundaries, "Greater" if left else "GreaterEqual")
    if left:
        return None
    given = [float(value) for value in boundaries]
    return steps.typed(body, "Bucketize", [x], np.int32, x.shape, T=x.dtype, boundaries=given)


def _compared(body: Body, x: Tensor, boundaries: np.ndarray[Any, Any], name: str) -> Tensor:
    """NaN is beyond every boundary, as JAX takes it for the largest number."""
    each = steps.expand(body, x, len(x.shape))
    reached = steps.joined(body, name, [each, body.constant(boundaries)], np.bool_)
    unordered = steps.joined(body, "NotEqual", [each, each], np.bool_)
    beyond = steps.joined(body, "LogicalOr", [reached, unordered], np.bool_)
    counted = steps.cast(body, beyond, np.int32)
    axis = steps.integers(body, [len(x.shape)])
    return steps.op(body, "Sum", [counted, axis], counted, x.shape, keep_dims=False)


def _equations(jaxpr: Any) -> Iterator[Any]:
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jaxprs_in_params(eqn.params):
            yield from _equations(getattr(inner, "jaxpr", inner))
