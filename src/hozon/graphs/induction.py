"""Which variables of a loop evolve in a known way: counters, and all that follows from them.

The part of a loop's body that computes such a variable reads only other known ones. Running that
part and the condition by themselves, in NumPy, tells how often the loop runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.graphs.ir import ARGUMENT_OP, Function, Node, Ref
from hozon.graphs.order import in_order
from hozon.graphs.values import NotStatic, Value, is_static

#: Longer loops are not counted in advance.
MAX_TRIPS = 1 << 15
#: Loop variables of more elements are not followed.
MAX_SIZE = 16
_SAME = frozenset({"Identity"})


@dataclass(frozen=True, slots=True)
class Course:
    """What is known about a loop: its trips, and the known variables before each and at the end."""

    trips: int
    values: dict[int, list[np.ndarray[Any, Any]]]
    final: dict[int, Value]


def unchanged(body: Function) -> frozenset[int]:
    """The loop variables that the body gives back as they are."""
    found = set()
    for number, ref in enumerate(body.results):
        while body.nodes[ref.node].op in _SAME and ref.output == 0:
            ref = body.nodes[ref.node].inputs[0]
        if ref == Ref(body.arguments[number], 0):
            found.add(number)
    return frozenset(found)


def follow(
    context: Any,
    condition: Function,
    body: Function,
    values: Sequence[Value],
    fixed: frozenset[int],
) -> Course | None:
    """The course of a loop with start `values`; None when its condition depends on data.

    `fixed` are variables that do not change.
    """
    library = context.library
    known = _followed(library, body, values, fixed)
    wanted = Slice(library, condition, [0])
    if not wanted.pure or not wanted.reads <= known | fixed:
        return None
    steps = Slice(library, body, sorted(known))
    current = list(values)
    seen: dict[int, list[Any]] = {number: [] for number in steps.results}
    for trips in range(MAX_TRIPS):
        try:
            (more,) = wanted.run(context, current)
            if not is_static(more):
                return None
            if not np.asarray(more).item():
                return Course(trips, seen, {number: current[number] for number in seen})
            following = steps.run(context, current)
        except NotStatic:
            return None
        if not all(map(is_static, following)):
            return None
        for number, value in zip(steps.results, following, strict=True):
            seen[number].append(np.asarray(current[number]))
            current[number] = value
    return None


def _followed(
    library: Any, body: Function, values: Sequence[Value], fixed: frozenset[int]
) -> frozenset[int]:
    """The variables that start small and known and follow only from each other."""
    slices = {
        number: Slice(library, body, [number])
        for number, value in enumerate(values)
        if number not in fixed and _is_small(value)
    }
    known = frozenset(number for number, part in slices.items() if part.pure)
    allowed = frozenset(i for i in fixed if _is_known(values[i]))
    while True:
        left = frozenset(n for n in known if slices[n].reads <= known | allowed)
        if left == known:
            return known
        known = left


def _is_small(value: Value) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) and value.size <= MAX_SIZE


def _is_known(value: Value) -> bool:
    return isinstance(value, (np.ndarray, np.generic))


class Slice:
    """The part of a function that computes some of its results.

    `reads` are the arguments it uses. It is `pure` when it touches no variables and calls nothing.
    """

    def __init__(self, library: Any, function: Function, results: Sequence[int]) -> None:
        self.results = tuple(results)
        self.function = _cut(function, self.results)
        used = {ref.node for node in self.function.nodes for ref in node.inputs}
        used |= {ref.node for ref in self.function.results}
        self.reads = frozenset(i for i, a in enumerate(self.function.arguments) if a in used)
        self.pure = all(_is_plain(library, node) for node in self.function.nodes)

    def run(self, context: Any, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """The results for these arguments."""
        outputs: tuple[Value, ...] = context.call(self.function, arguments)
        return outputs


def _is_plain(library: Any, node: Node) -> bool:
    if node.op == ARGUMENT_OP:
        return True
    return not any(library.callees(node)) and not library.touches_state(node)


def _cut(function: Function, results: Iterable[int]) -> Function:
    """`function` with all its arguments but only some of its results, without side effects."""
    nodes = [Node(n.name, n.op, n.inputs, (), n.attrs) for n in function.nodes]
    refs = [function.results[number] for number in results]
    ordered, position = in_order(
        function.name, nodes, [*function.arguments, *(ref.node for ref in refs)]
    )
    return Function(
        function.name,
        ordered,
        tuple(position[a] for a in function.arguments),
        tuple(Ref(position[ref.node], ref.output) for ref in refs),
    )
