"""``jnp.searchsorted`` and ``jnp.digitize`` in known boundaries: one op in place of a loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jax.extend.core import jaxprs_in_params

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation
from hozon.graphs.emit.values import Tensor

#: Where the boundaries stand among the arguments, by the names of the programs.
BOUNDARIES = {"searchsorted": 0, "digitize": 1}
FEW = 64


def bucketized(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...] | None:
    """How many boundaries are at most as large as each value; None where this is something else.

    That is JAX's search where it asks whether a value is less than what it finds. Few boundaries
    are compared one by one, in ops that every converter knows.
    """
    place = BOUNDARIES.get(eqn.params.get("name", ""))
    if place is None or len(inputs) != 2:
        return None
    boundaries, x = body.value(body.narrow(inputs[place])), inputs[1 - place]
    asked = set(_primitives(eqn.params["jaxpr"].jaxpr))
    if not {"scan", "lt_to"} <= asked or "le_to" in asked:
        return None
    if boundaries is None or boundaries.ndim != 1 or boundaries.dtype != np.float32:
        return None
    if x.dtype != np.float32 or not np.all(np.diff(boundaries) >= 0):
        return None
    if boundaries.size <= FEW:
        found = _compared(body, x, boundaries)
    else:
        given = [float(value) for value in boundaries]
        found = steps.typed(body, "Bucketize", [x], np.int32, x.shape, T=x.dtype, boundaries=given)
    return (steps.cast(body, found, eqn.out_avals[0].dtype),)


def _compared(body: Body, x: Tensor, boundaries: np.ndarray[Any, Any]) -> Tensor:
    """NaN is beyond every boundary, as JAX takes it for the largest number."""
    each = steps.expand(body, x, len(x.shape))
    reached = steps.joined(body, "GreaterEqual", [each, body.constant(boundaries)], np.bool_)
    unordered = steps.joined(body, "NotEqual", [each, each], np.bool_)
    beyond = steps.joined(body, "LogicalOr", [reached, unordered], np.bool_)
    counted = steps.cast(body, beyond, np.int32)
    axis = steps.integers(body, [len(x.shape)])
    return steps.op(body, "Sum", [counted, axis], counted, x.shape, keep_dims=False)


def _primitives(jaxpr: Any) -> Iterator[str]:
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for inner in jaxprs_in_params(eqn.params):
            yield from _primitives(getattr(inner, "jaxpr", inner))
