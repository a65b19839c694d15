"""A traced function in two parts, of which StableHLO can express the second.

The first part is what primitives of the caller's own compute, and all that they need.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax.extend.core import ClosedJaxpr, Var

from hozon.graphs.emit.trace import Traced
from hozon.graphs.emit.values import TRACED_TEXT


@dataclass(frozen=True, slots=True)
class Parts:
    """Both parts.

    Attributes:
        first: takes the function's inputs and gives the border.
        rest: takes the inputs at `kept`, then the border at `handed`.
        kept: positions of inputs.
        handed: positions in the border.
        direct: results of the function that the border holds, by position.
    """

    first: ClosedJaxpr
    rest: Traced
    kept: tuple[int, ...]
    handed: tuple[int, ...]
    direct: Mapping[int, int]

    def together(self, border: Sequence[Any], results: Sequence[Any]) -> list[Any]:
        """The function's results, of what both parts gave."""
        others = iter(results)
        count = len(self.direct) + len(results)
        return [border[self.direct[i]] if i in self.direct else next(others) for i in range(count)]


def parted(traced: Traced, own: Container[str]) -> Parts:
    """The parts of a function, `own` the names of the caller's primitives."""
    jaxpr, consts = traced.closed.jaxpr, traced.closed.consts
    before, after = _divided(jaxpr, own)
    made = {var for eqn in before for var in eqn.outvars}
    used = [atom for eqn in after for atom in eqn.invars] + list(jaxpr.outvars)
    border = list(dict.fromkeys(v for v in used if isinstance(v, Var) and v in made))
    handed = [i for i, var in enumerate(border) if not _is_text(var)]
    kept = [i for i, var in enumerate(jaxpr.invars) if not _is_text(var)]
    direct = {
        i: border.index(v) for i, v in enumerate(jaxpr.outvars) if isinstance(v, Var) and v in made
    }
    inputs = [*(jaxpr.invars[i] for i in kept), *(border[i] for i in handed)]
    outputs = [v for i, v in enumerate(jaxpr.outvars) if i not in direct]
    names = jaxpr.debug_info.with_unknown_names()
    first = jaxpr.replace(eqns=before, outvars=border, debug_info=names)
    rest = jaxpr.replace(eqns=after, invars=inputs, outvars=outputs, debug_info=names)
    avals = tuple(var.aval for var in inputs)
    second = Traced(ClosedJaxpr(rest, consts), (), avals, traced.structure, traced.assigned)
    return Parts(ClosedJaxpr(first, consts), second, tuple(kept), tuple(handed), direct)


def _divided(jaxpr: Any, own: Container[str]) -> tuple[list[Any], list[Any]]:
    wanted: set[Any] = set()
    before, after = [], []
    for eqn in reversed(jaxpr.eqns):
        if eqn.primitive.name in own or not wanted.isdisjoint(eqn.outvars):
            wanted.update(atom for atom in eqn.invars if isinstance(atom, Var))
            before.append(eqn)
        else:
            after.append(eqn)
    return before[::-1], after[::-1]


def _is_text(var: Any) -> bool:
    return bool(var.aval.dtype == TRACED_TEXT)
