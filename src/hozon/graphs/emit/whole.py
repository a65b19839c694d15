"""Which arguments of a traced function are whole numbers to it, though they came as floats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Literal, jaxprs_in_params

#: What moves values without a look at them.
MOVES = frozenset(
    {
        "broadcast_in_dim",
        "copy",
        "dynamic_slice",
        "expand_dims",
        "gather",
        "reshape",
        "rev",
        "slice",
        "squeeze",
        "stop_gradient",
        "transpose",
    }
)
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})


def whole_arguments(jaxpr: Any, places: Iterable[int]) -> set[int]:
    """Those `places` of the inputs of a jaxpr that it only makes integers of.

    They may be compared with whole numbers besides, as masks are made. A function of such an
    input gives the same for integers.
    """
    return {place for place in places if _uses(jaxpr, jaxpr.invars[place]) == {"made integer"}}


def _uses(jaxpr: Any, value: Any) -> set[str]:
    """What is done with a value: "made integer", or "other" where that matters."""
    found: set[str] = set()
    if any(out is value for out in jaxpr.outvars):
        found.add("other")
    for eqn in jaxpr.eqns:
        for place, given in enumerate(eqn.invars):
            if given is value:
                found |= _use(jaxpr, eqn, place)
    return found


def _use(jaxpr: Any, eqn: Any, place: int) -> set[str]:
    name = eqn.primitive.name
    if name == "convert_element_type":
        return (
            {"made integer"} if jnp.issubdtype(eqn.params["new_dtype"], jnp.integer) else {"other"}
        )
    if name in MOVES and place == 0:
        return _uses(jaxpr, eqn.outvars[0])
    if name in COMPARISONS:
        return set() if _is_whole(eqn.invars[1 - place]) else {"other"}
    inner = [
        each.jaxpr if hasattr(each, "jaxpr") else each for each in jaxprs_in_params(eqn.params)
    ]
    if name in ("jit", "pjit", "closed_call") and len(inner) == 1:
        return _uses(inner[0], inner[0].invars[place])
    return {"other"}


def _is_whole(value: Any) -> bool:
    return isinstance(value, Literal) and float(value.val).is_integer()
