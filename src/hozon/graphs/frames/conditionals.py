"""Conditionals of TensorFlow 1.

A Switch sends its input to one of two sides, and a Merge takes the value of the side that ran. So
each node runs under a set of *terms*: which switched conditions must have come out how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hozon.errors import FormatError
from hozon.formats.protos.graph import TypeNumber
from hozon.graphs.frames.cut import CONTROL_FLOW, IDENTITIES, MERGES, SWITCHES, Region
from hozon.graphs.ir import Function, Node, Ref
from hozon.graphs.order import topological_order

#: Conditionals inside each other; TensorFlow programs have a few.
MAX_DEPTH = 64
#: A switched condition and how it came out (0 or 1).
Term = tuple[Ref, int]
Terms = frozenset[Term]

_INT32 = TypeNumber(3)
_BOOL = TypeNumber(10)


@dataclass(frozen=True, slots=True)
class Choice:
    """A Merge: on which condition, under which outer terms, which input stands for which side."""

    merge: int
    condition: Ref
    outer: Terms
    sides: tuple[int, int]


def structure_conditionals(nodes: list[Node], wanted: Sequence[int]) -> None:
    """Replace the Merges of each conditional by one ``If`` node, innermost first."""
    if not any(node.op in SWITCHES | MERGES for node in nodes):
        return
    roots = [i for i in wanted if nodes[i].op not in SWITCHES]
    order = topological_order("graph", nodes, roots)
    terms = _Terms(nodes)
    for index in order:
        terms.visit(index)
    rank = {index: number for number, index in enumerate(terms.of)}
    groups = _groups(nodes, terms.choices, rank)
    for group in sorted(groups, key=lambda g: -len(g[0].outer)):
        _replace(nodes, terms, group)


class _Terms:
    """The terms under which the nodes of a graph run, found in topological order."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.of: dict[int, Terms] = {}
        self.choices: list[Choice] = []
        self.of_many: set[int] = set()

    def visit(self, index: int) -> None:
        """Find the terms of a node whose sources are done."""
        node = self.nodes[index]
        if node.op in MERGES and len(node.inputs) == 1:
            self.nodes[index] = Node(node.name, "Identity", node.inputs, node.controls, node.attrs)
        elif node.op in MERGES:
            node = self._of_two(index, node)
            self.choices.append(self._choice(index, node))
            self.of[index] = self.choices[-1].outer
            return
        found = [self.of_value(ref) for ref in node.inputs]
        found += [self.of[control] for control in node.controls]
        for ref in node.inputs:
            if ref.node in self.of_many and ref.output == 1:
                raise _malformed(node, "reads which of many values a Merge took")
        self.of[index] = frozenset().union(*found)
        if len(self.of[index]) > MAX_DEPTH:
            raise _malformed(node, f"is inside more than {MAX_DEPTH} conditionals")

    def of_value(self, ref: Ref) -> Terms:
        """The terms of a value: those of its node, and the side of a Switch."""
        node = self.nodes[ref.node]
        terms = self.of[ref.node]
        return terms | {(self.condition(node), ref.output)} if node.op in SWITCHES else terms

    def condition(self, switch: Node) -> Ref:
        """What a Switch switches on, free of the identities and switches that pass it on."""
        if len(switch.inputs) != 2:
            raise _malformed(switch, f"has {len(switch.inputs)} inputs, not 2")
        ref = switch.inputs[1]
        while self.nodes[ref.node].op in IDENTITIES | SWITCHES and self.nodes[ref.node].inputs:
            ref = self.nodes[ref.node].inputs[0]
        return ref

    def _of_two(self, index: int, node: Node) -> Node:
        """A Merge of many values as one of two, each of which may be another Merge."""
        if len(node.inputs) < 3:
            return node
        found = [self.of_value(ref) for ref in node.inputs]
        outer = frozenset.intersection(*found)
        for condition, _ in sorted(frozenset().union(*found) - outer, key=_term_order):
            sides = [
                [r for r, terms in zip(node.inputs, found, strict=True) if (condition, n) in terms]
                for n in (0, 1)
            ]
            if all(sides) and len(sides[0]) + len(sides[1]) == len(node.inputs):
                refs = tuple(self._merged(node, n, refs) for n, refs in enumerate(sides))
                self.nodes[index] = Node(node.name, node.op, refs, node.controls, node.attrs)
                self.of_many.add(index)
                return self.nodes[index]
        raise _malformed(node, f"merges {len(node.inputs)} values of no one conditional")

    def _merged(self, node: Node, side: int, refs: Sequence[Ref]) -> Ref:
        if len(refs) == 1:
            return refs[0]
        self.nodes.append(Node(f"{node.name}:{side}", node.op, tuple(refs), (), node.attrs))
        self.visit(len(self.nodes) - 1)
        return Ref(len(self.nodes) - 1, 0)

    def _choice(self, index: int, node: Node) -> Choice:
        if len(node.inputs) != 2:
            raise _malformed(node, "merges nothing")
        first, second = (self.of_value(ref) for ref in node.inputs)
        outer = first & second
        one, other = first - outer, second - outer
        for condition, side in sorted(one, key=_term_order):
            if (condition, 1 - side) in other:
                return Choice(index, condition, outer, (side, 1 - side))
        if len(one) + len(other) == 1:  # one side depends on no switch, e.g. a folded constant
            ((condition, side),) = one or other
            return Choice(index, condition, outer, (side, 1 - side) if one else (1 - side, side))
        raise _malformed(node, "does not merge the two sides of a conditional")


def _term_order(term: Term) -> tuple[int, int, int]:
    return -term[0].node, term[0].output, term[1]


def _malformed(node: Node, what: str) -> FormatError:
    return FormatError(f"node {node.name!r} ({node.op}) {what}", record=node.name)


def _groups(
    nodes: Sequence[Node], choices: Sequence[Choice], rank: dict[int, int]
) -> list[list[Choice]]:
    """The Merges that belong together: of one scope, on one condition, none reading another."""
    together: dict[object, list[Choice]] = {}
    for choice in choices:
        scope, _, _ = nodes[choice.merge].name.rpartition("/")
        key = (scope, choice.condition, choice.outer) if scope else choice.merge
        together.setdefault(key, []).append(choice)
    groups: list[list[Choice]] = []
    for group in together.values():
        single = len(group) > 1 and _depends_on_itself(nodes, group, rank)
        groups += [[choice] for choice in group] if single else [group]
    return groups


def _depends_on_itself(
    nodes: Sequence[Node], group: Sequence[Choice], rank: dict[int, int]
) -> bool:
    """Whether a Merge of the group reads, however indirectly, another one of it."""
    members = {choice.merge for choice in group}
    first = min(rank[merge] for merge in members)
    pending = [ref.node for merge in members for ref in nodes[merge].inputs]
    seen: set[int] = set()
    while pending:
        index = pending.pop()
        if index in members:
            return True
        if index not in seen and rank[index] > first:
            seen.add(index)
            pending += [ref.node for ref in nodes[index].inputs]
            pending += nodes[index].controls
    return False


def _replace(nodes: list[Node], terms: _Terms, group: Sequence[Choice]) -> None:
    """Add the ``If`` of a group, and make its Merges identities of what it gives."""
    condition, outer = group[0].condition, group[0].outer
    sides = [_side(nodes, terms, group, side) for side in (0, 1)]
    captures = list({**sides[0].captures, **sides[1].captures})
    name = nodes[group[0].merge].name
    functions = [
        _function(f"{name}:{side}", sides[side], captures, nodes, group, side) for side in (0, 1)
    ]
    controls = sides[0].controls | sides[1].controls
    position = _add(
        nodes,
        terms,
        outer,
        Node(
            f"{name}:if",
            "If",
            (condition, *captures),
            tuple(sorted(c for c in controls if nodes[c].op not in CONTROL_FLOW)),
            {"then_branch": functions[1], "else_branch": functions[0]},
        ),
    )
    for number, choice in enumerate(group):
        merge = nodes[choice.merge]
        kind = merge.attrs.get("T", TypeNumber(0))
        index = _value_index(nodes, terms, choice, merge.name)
        nodes[choice.merge] = Node(
            merge.name,
            "IdentityN",
            (Ref(position, number), index),
            merge.controls,
            {"T": (kind, _INT32)},
        )


def _add(nodes: list[Node], terms: _Terms, outer: Terms, node: Node) -> int:
    nodes.append(node)
    terms.of[len(nodes) - 1] = outer
    return len(nodes) - 1


def _side(nodes: list[Node], terms: _Terms, group: Sequence[Choice], side: int) -> Region:
    """What runs when the condition comes out as `side`."""
    condition, outer = group[0].condition, group[0].outer
    needed = outer | {(condition, side)}

    def source(ref: Ref) -> Ref:
        node = nodes[ref.node]
        while (
            node.op in SWITCHES
            and not needed <= terms.of[ref.node]
            and terms.condition(node) == condition
        ):
            ref = node.inputs[0]
            node = nodes[ref.node]
        return ref

    region = Region(nodes, lambda i: needed <= terms.of.get(i, frozenset()), source, [])
    region.include([_value(nodes, choice, side) for choice in group])
    return region


def _value(nodes: Sequence[Node], choice: Choice, side: int) -> Ref:
    return nodes[choice.merge].inputs[choice.sides.index(side)]


def _function(
    name: str,
    region: Region,
    captures: Sequence[Ref],
    nodes: Sequence[Node],
    group: Sequence[Choice],
    side: int,
) -> Function:
    return region.function(name, captures, [_value(nodes, choice, side) for choice in group])


def _value_index(nodes: list[Node], terms: _Terms, choice: Choice, name: str) -> Ref:
    """The number of the input that a Merge takes: its condition as an integer, or the reverse."""
    chosen = choice.condition
    if choice.sides[1] == 0:
        chosen = Ref(
            _add(nodes, terms, choice.outer, Node(f"{name}:not", "LogicalNot", (chosen,))), 0
        )
    cast = Node(f"{name}:index", "Cast", (chosen,), (), {"SrcT": _BOOL, "DstT": _INT32})
    return Ref(_add(nodes, terms, choice.outer, cast), 0)
