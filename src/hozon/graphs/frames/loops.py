"""While loops of TensorFlow 1.

A loop variable enters its frame (Enter), meets its next value (Merge), and is switched on the
condition (LoopCond): out of the frame (Exit), or into the body and back (NextIteration).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hozon.errors import FormatError
from hozon.graphs.frames.conditionals import structure_conditionals
from hozon.graphs.frames.cut import (
    ENTERS,
    EXITS,
    IDENTITIES,
    ITERATIONS,
    MERGES,
    SWITCHES,
    Region,
)
from hozon.graphs.ir import Node, Ref
from hozon.graphs.order import sources, topological_order

#: Loops inside each other; TensorFlow programs have a few.
MAX_DEPTH = 64
Path = tuple[bytes, ...]


def structure_loops(nodes: list[Node], needed: set[int], wanted: Sequence[int]) -> None:
    """Replace every frame by a ``While`` node, innermost first."""
    if not any(nodes[i].op in ENTERS | EXITS | ITERATIONS | {"LoopCond"} for i in needed):
        return
    paths = frame_paths(nodes, needed)
    for index in wanted:
        if paths[index] and nodes[index].op not in EXITS:
            raise _malformed(nodes[index], "is inside a loop, and is asked for outside of it")
    tests = [i for i in needed if nodes[i].op == "LoopCond"]
    for index in sorted(tests, key=lambda i: (-len(paths[i]), i)):
        _Loop(nodes, paths, needed, index).replace()


def frame_paths(nodes: Sequence[Node], needed: set[int]) -> dict[int, Path]:
    """The frames, outermost first, in which each node runs (an Exit: the one that it leaves)."""
    forward = [_without_iterations(node, nodes) for node in nodes]
    inner: dict[int, Path] = {}
    outer: dict[int, Path] = {}
    for index in topological_order("graph", forward, needed):
        node = nodes[index]
        found = [outer[source] for source in sources(forward[index])]
        path = max(found, key=len, default=())
        inner[index] = outer[index] = path
        if node.op in ENTERS:
            inner[index] = outer[index] = (*path, node.attrs.get("frame_name", b""))
        elif node.op in EXITS:
            outer[index] = path[:-1]
        if len(outer[index]) > MAX_DEPTH:
            raise _malformed(node, f"is inside more than {MAX_DEPTH} loops")
    return inner


def _without_iterations(node: Node, nodes: Sequence[Node]) -> Node:
    """The node without the edges that lead back in a loop."""
    if node.op not in MERGES:
        return node
    inputs = tuple(ref for ref in node.inputs if nodes[ref.node].op not in ITERATIONS)
    return Node(node.name, node.op, inputs, node.controls, node.attrs)


def _malformed(node: Node, what: str) -> FormatError:
    return FormatError(f"node {node.name!r} ({node.op}) {what}", record=node.name)


class _Loop:
    """The loop of one LoopCond."""

    def __init__(
        self, nodes: list[Node], paths: dict[int, Path], needed: set[int], test: int
    ) -> None:
        self.nodes = nodes
        self.paths = paths
        self.test = test
        self.path = paths[test]
        if not self.path or len(nodes[test].inputs) != 1:
            raise _malformed(nodes[test], "is not inside a loop")
        self.members = [i for i in sorted(needed) if paths[i] == self.path]
        self.switches = self._switches()
        self.merges = list(dict.fromkeys(self.switches.values()))

    def _switches(self) -> dict[int, int]:
        """The Switches on the condition, with the Merge that each one switches."""
        found = {}
        for index in self.members:
            node = self.nodes[index]
            if node.op in SWITCHES and len(node.inputs) == 2 and node.inputs[1].node == self.test:
                merge = self._through_identities(node.inputs[0]).node
                if not self._is_variable(merge):
                    raise _malformed(node, "switches what is no loop variable")
                found[index] = merge
        return found

    def _through_identities(self, ref: Ref) -> Ref:
        while self.nodes[ref.node].op in IDENTITIES:
            ref = self.nodes[ref.node].inputs[0]
        return ref

    def _is_variable(self, index: int) -> bool:
        node = self.nodes[index]
        return node.op in MERGES and any(
            self.nodes[ref.node].op in ITERATIONS for ref in node.inputs
        )

    def replace(self) -> None:
        """Put a ``While`` in the place of the LoopCond and identities in that of the Exits."""
        condition, body = self._regions()
        captures = list({**condition.captures, **body.captures})
        test = condition.function(
            self._name("cond"), captures, [self.nodes[self.test].inputs[0]], structure_conditionals
        )
        following = [*(self._next(m).inputs[0] for m in self.merges), *captures]
        step = body.function(self._name("body"), captures, following, structure_conditionals)
        entered = [self._enter(merge) for merge in self.merges]
        controls = condition.controls | body.controls
        for enter in entered:
            controls.update(enter.controls)
        self.nodes[self.test] = Node(
            self.nodes[self.test].name,
            "While",
            (*(enter.inputs[0] for enter in entered), *captures),
            tuple(sorted(c for c in controls if self.paths.get(c) != self.path)),
            {"cond": test, "body": step},
        )
        self._replace_exits()
        self.paths[self.test] = self.path[:-1]

    def _name(self, part: str) -> str:
        return f"{self.nodes[self.test].name}:{part}"

    def _regions(self) -> tuple[Region, Region]:
        """What the condition and the body consist of; loop variables that only they read join."""
        while True:
            condition, body = self._region(), self._region()
            condition.include([self.nodes[self.test].inputs[0]])
            for merge in self.merges:
                following = self._next(merge)
                body.include(following.inputs, following.controls)
            hidden = [i for i in sorted(condition.included | body.included) if self._is_variable(i)]
            if not hidden:
                return condition, body
            self.merges += hidden

    def _region(self) -> Region:
        members = set(self.members)
        boundary = {*self.merges, *self.switches, self.test}
        return Region(
            self.nodes,
            lambda i: (
                i in members
                and i not in boundary
                and self.nodes[i].op not in ENTERS
                and self.paths[i] == self.path
            ),
            self._source,
            [Ref(merge, 0) for merge in self.merges],
        )

    def _source(self, ref: Ref) -> Ref:
        """Loop variables by their Merge; constants of the loop by what enters it."""
        if ref.node in self.switches and ref.output == 1:
            return Ref(self.switches[ref.node], 0)
        node = self.nodes[ref.node]
        if node.op in ENTERS and self.paths.get(ref.node) == self.path:
            return self._input(node)
        if ref.node == self.test or (node.op in SWITCHES and ref.node in self.switches):
            raise _malformed(node, "is read inside its own loop")
        return ref

    def _input(self, node: Node) -> Ref:
        if len(node.inputs) != 1:
            raise _malformed(node, f"has {len(node.inputs)} inputs, not 1")
        return node.inputs[0]

    def _next(self, merge: int) -> Node:
        return self._merged(merge, ITERATIONS)

    def _enter(self, merge: int) -> Node:
        return self._merged(merge, ENTERS)

    def _merged(self, merge: int, ops: Iterable[str]) -> Node:
        """The node of one of these kinds that a loop variable's Merge reads."""
        found = [
            self.nodes[ref.node]
            for ref in self.nodes[merge].inputs
            if self.nodes[ref.node].op in ops
        ]
        if len(found) != 1 or len(self.nodes[merge].inputs) != 2 or len(found[0].inputs) != 1:
            raise _malformed(self.nodes[merge], "does not merge one Enter with one NextIteration")
        return found[0]

    def _replace_exits(self) -> None:
        for index in self.members:
            node = self.nodes[index]
            if node.op in EXITS and self._input(node).node in self.switches:
                number = self.merges.index(self.switches[node.inputs[0].node])
                self.nodes[index] = Node(
                    node.name, "Identity", (Ref(self.test, number),), node.controls, node.attrs
                )
                self.paths[index] = self.path[:-1]
