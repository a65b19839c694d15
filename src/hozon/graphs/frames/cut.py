"""Cutting functions out of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hozon.graphs.ir import ARGUMENT_OP, Function, Node, Ref
from hozon.graphs.order import in_order

SWITCHES = frozenset({"Switch", "RefSwitch"})
MERGES = frozenset({"Merge", "RefMerge"})
ENTERS = frozenset({"Enter", "RefEnter"})
EXITS = frozenset({"Exit", "RefExit"})
ITERATIONS = frozenset({"NextIteration", "RefNextIteration"})
CONTROL_FLOW = SWITCHES | MERGES | ENTERS | EXITS | ITERATIONS | {"LoopCond"}
IDENTITIES = frozenset({"Identity", "RefIdentity"})
#: References to variables are not passed into a function: the node itself is copied into it.
COPIED = frozenset({"Variable", "VariableV2"})
_PASSING = frozenset({"RefEnter", "RefSwitch", "RefIdentity"})


@dataclass
class Region:
    """A part of a graph that becomes a function.

    `inside` says which nodes belong to it, `source` finds what a value stands for (say, a Switch
    for its input). What is read from outside is noted in `captures`, what must have run before
    in `controls`.
    """

    nodes: Sequence[Node]
    inside: Callable[[int], bool]
    source: Callable[[Ref], Ref]
    arguments: list[Ref]
    included: set[int] = field(default_factory=set)
    captures: dict[Ref, None] = field(default_factory=dict)
    controls: set[int] = field(default_factory=set)
    roots: list[int] = field(default_factory=list)

    def include(self, results: Iterable[Ref], controls: Iterable[int] = ()) -> None:
        """Take in everything inside that these values and nodes need."""
        pending: list[int] = []
        for ref in results:
            self._read(ref, pending)
        for index in controls:
            self._wait(index, pending)
            self.roots += [index] if index in self.included else []
        while pending:
            node = self.nodes[pending.pop()]
            for ref in node.inputs:
                self._read(ref, pending)
            for index in node.controls:
                self._wait(index, pending)

    def _read(self, ref: Ref, pending: list[int]) -> None:
        ref = self.resolve(ref)
        if ref in self.arguments or ref in self.captures:
            return
        if self._belongs(ref.node):
            self._add(ref.node, pending)
        else:
            self.captures[ref] = None

    def _wait(self, index: int, pending: list[int]) -> None:
        if self._belongs(index):
            self._add(index, pending)
        elif not any(argument.node == index for argument in self.arguments):
            self.controls.add(index)

    def _add(self, index: int, pending: list[int]) -> None:
        if index not in self.included:
            self.included.add(index)
            pending.append(index)

    def _belongs(self, index: int) -> bool:
        return self.nodes[index].op in COPIED or self.inside(index)

    def resolve(self, ref: Ref) -> Ref:
        """What `ref` stands for inside the function."""
        variable = self._variable(ref)
        return self.source(ref) if variable is None else variable

    def _variable(self, ref: Ref) -> Ref | None:
        """The variable that a chain of reference ops leads to."""
        passed = False
        while self.nodes[ref.node].op in _PASSING and self.nodes[ref.node].inputs:
            ref, passed = self.nodes[ref.node].inputs[0], True
        return ref if passed and self.nodes[ref.node].op in COPIED else None

    def function(
        self,
        name: str,
        captures: Sequence[Ref],
        results: Sequence[Ref],
        finish: Callable[[list[Node], list[int]], None] = lambda nodes, roots: None,
    ) -> Function:
        """The function of the arguments and `captures`; `finish` may change its nodes."""
        given = [*self.arguments, *captures]
        position, new = self._positions(given)
        replaced = {ref: Ref(i, 0) for i, ref in enumerate(given)}

        def moved(ref: Ref) -> Ref:
            ref = self.resolve(ref)
            return replaced[ref] if ref in replaced else Ref(position[ref.node], ref.output)

        for old in position:
            node = self.nodes[old]
            controls = tuple(position[c] for c in node.controls if c in position)
            new.append(
                Node(node.name, node.op, tuple(map(moved, node.inputs)), controls, node.attrs)
            )
        outputs = [moved(ref) for ref in results]
        roots = [*(ref.node for ref in outputs), *(position[root] for root in self.roots)]
        finish(new, roots)
        return _ordered(name, new, len(given), outputs, roots)

    def _positions(self, given: Sequence[Ref]) -> tuple[dict[int, int], list[Node]]:
        """New positions of the nodes included, after one argument node per given value."""
        arguments = [
            Node(f"argument:{i}", ARGUMENT_OP, (), (), {"index": i}) for i in range(len(given))
        ]
        position = {old: len(given) + i for i, old in enumerate(sorted(self.included))}
        return position, arguments


def _ordered(
    name: str, nodes: Sequence[Node], count: int, results: Sequence[Ref], roots: Sequence[int]
) -> Function:
    wanted = [*range(count), *roots]
    ordered, position = in_order(name, nodes, wanted)
    return Function(
        name,
        ordered,
        tuple(position[i] for i in range(count)),
        tuple(Ref(position[ref.node], ref.output) for ref in results),
    )
