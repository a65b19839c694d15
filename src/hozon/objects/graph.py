"""Walking object graphs, a SavedModel's or a checkpoint's, and matching one against the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from hozon.formats.protos.object_graph import SavedNode, Variable
from hozon.formats.protos.trackable import Edge, SavedTensor, SlotVariable, TrackableNode
from hozon.objects.keys import VARIABLE_VALUE, path_text

ROOT = 0
Path = tuple[str, ...]


class Node(Protocol):
    """What the nodes of both kinds of object graph have in common."""

    @property
    def children(self) -> tuple[Edge, ...]:
        """The named edges that lead away from the node."""
        ...

    @property
    def slot_variables(self) -> tuple[SlotVariable, ...]:
        """The slot variables that the node, an optimizer, keeps."""
        ...


def paths(nodes: Sequence[Node], start: int = ROOT) -> dict[int, Path]:
    """The shortest path from `start` to each node that edges lead to, in breadth-first order.

    Among equally short paths the first edge in the file wins, as in TensorFlow, so these are the
    paths that checkpoint keys are made of. Slot variables are on no edge (see `slots`).
    """
    found: dict[int, Path] = {start: ()} if nodes else {}
    queue = deque(found)
    while queue:
        index = queue.popleft()
        for edge in nodes[index].children:
            if edge.node not in found:
                found[edge.node] = (*found[index], edge.name)
                queue.append(edge.node)
    return found


def path_names(nodes: Sequence[Node], start: int = ROOT) -> dict[int, str]:
    """The paths as text, names escaped as in checkpoint keys; that of `start` is ""."""
    return {index: path_text(path) for index, path in paths(nodes, start).items()}


def children(node: Node) -> dict[str, int]:
    """The positions of a node's children by name."""
    return {edge.name: edge.node for edge in node.children}


def follow(nodes: Sequence[Node], names: Iterable[str], start: int = ROOT) -> int | None:
    """The position of the node at the end of a path, None where an edge is missing."""
    index: int | None = start if nodes else None
    for name in names:
        if index is None:
            return None
        index = children(nodes[index]).get(name)
    return index


def slots(nodes: Sequence[Node]) -> Iterator[tuple[int, SlotVariable]]:
    """(optimizer position, slot variable) of the whole graph."""
    for index, node in enumerate(nodes):
        for slot in node.slot_variables:
            yield index, slot


def match(ours: Sequence[Node], stored: Sequence[Node]) -> dict[int, int]:
    """For each node of `ours` the node of `stored` that the same edges lead to.

    Walks both graphs in step from their roots by edge names, then pairs slot variables by
    optimizer, variable and slot name. A node that two stored nodes claim keeps the first.
    """
    pairs: dict[int, int] = {ROOT: ROOT} if ours and stored else {}
    queue = deque(pairs)
    while queue:
        mine = queue.popleft()
        known = children(ours[mine])
        for edge in stored[pairs[mine]].children:
            index = known.get(edge.name)
            if index is not None and index not in pairs:
                pairs[index] = edge.node
                queue.append(index)
    _match_slots(ours, stored, pairs)
    return pairs


def _match_slots(ours: Sequence[Node], stored: Sequence[Node], pairs: dict[int, int]) -> None:
    for optimizer, theirs in list(pairs.items()):
        wanted = {(s.variable, s.name): s.slot for s in stored[theirs].slot_variables}
        for slot in ours[optimizer].slot_variables:
            found = wanted.get((pairs.get(slot.variable, -1), slot.name))
            if found is not None:
                pairs.setdefault(slot.slot, found)


def stored_tensors(
    ours: Sequence[SavedNode], stored: Sequence[TrackableNode]
) -> dict[int, tuple[SavedTensor, ...]]:
    """The tensors that a checkpoint holds for each node of a SavedModel that it knows."""
    pairs = match(ours, stored)
    return {
        mine: stored[theirs].tensors for mine, theirs in pairs.items() if stored[theirs].tensors
    }


def variable_keys(ours: Sequence[SavedNode], stored: Sequence[TrackableNode]) -> dict[int, str]:
    """The checkpoint key of each variable node of a SavedModel that its checkpoint holds."""
    return {
        index: tensor.key
        for index, tensors in stored_tensors(ours, stored).items()
        if isinstance(ours[index].payload, Variable)
        for tensor in tensors
        if tensor.name == VARIABLE_VALUE
    }


def tensor_owners(stored: Sequence[TrackableNode], keys: Iterable[str]) -> dict[str, int]:
    """For each checkpoint key the position of the node that saved it; unknown keys are left out.

    An object that saves several tensors under one name (a table its keys and values) is listed
    with what their keys start with: ``x/.ATTRIBUTES/table`` for ``.../table-keys``, or, since
    TensorFlow 2.9, ``x/.ATTRIBUTES/``.
    """
    owners = {tensor.key: i for i, node in enumerate(stored) for tensor in node.tensors}
    found = {key: _owner(owners, key) for key in keys}
    return {key: index for key, index in found.items() if index is not None}


def _owner(owners: Mapping[str, int], key: str) -> int | None:
    group = key.rpartition("-")[0]
    folder, slash, _ = key.rpartition("/")
    for listed in (key, group, folder + slash):
        if listed in owners:
            return owners[listed]
    return None
