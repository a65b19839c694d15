"""Which nodes of a graph are needed, and in which order they can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hozon.errors import FormatError
from hozon.graphs.ir import Node, Ref


def in_order(
    name: str, nodes: Sequence[Node], roots: Iterable[int]
) -> tuple[tuple[Node, ...], dict[int, int]]:
    """The nodes that `roots` need in topological order, and their new positions by old ones."""
    order = topological_order(name, nodes, roots)
    position = {old: new for new, old in enumerate(order)}
    return tuple(_renumber(nodes[old], position) for old in order), position


def _renumber(node: Node, position: Mapping[int, int]) -> Node:
    inputs = tuple(Ref(position[r.node], r.output) for r in node.inputs)
    controls = tuple(position[c] for c in node.controls)
    return Node(node.name, node.op, inputs, controls, node.attrs)


def sources(node: Node) -> list[int]:
    """The nodes that must run before `node`."""
    return [ref.node for ref in node.inputs] + list(node.controls)


def reachable(nodes: Sequence[Node], roots: Iterable[int]) -> set[int]:
    """The positions of all nodes that `roots` depend on, themselves included."""
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        index = stack.pop()
        if index not in seen:
            seen.add(index)
            stack.extend(sources(nodes[index]))
    return seen


def topological_order(name: str, nodes: Sequence[Node], roots: Iterable[int]) -> list[int]:
    """The nodes that `roots` need, each after its sources; a cycle is a `FormatError`."""
    order: list[int] = []
    state: dict[int, int] = {}  # 1: being visited, 2: done
    for root in sorted(set(roots)):
        stack = [(root, iter(sources(nodes[root])))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            index, pending = stack[-1]
            following = next(pending, None)
            if following is None:
                stack.pop()
                state[index] = 2
                order.append(index)
            elif following not in state:
                state[following] = 1
                stack.append((following, iter(sources(nodes[following]))))
            elif state[following] == 1:
                raise FormatError(
                    f"{name}: node {nodes[following].name!r} depends on itself",
                    record=nodes[following].name,
                )
    return order
