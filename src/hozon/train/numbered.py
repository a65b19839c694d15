"""Slots that a checkpoint only numbers, by the variables that they are of.

Optimizers of Keras 2.11 and later, and Hozon's, keep one list of all their slots, for the variables
that were trained. Where other layers are frozen now, its numbers mean other variables. Names tell:
``Adam/m/dense/kernel`` is a slot of ``dense/kernel``, and Keras 3 calls it
``adam/dense_kernel_momentum``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hozon.formats.protos.trackable import SlotVariable, TrackableNode
from hozon.objects.keys import VARIABLE_VALUE

LIST = "_variables"


def numbered_slots(nodes: Sequence[TrackableNode], optimizer: int) -> tuple[SlotVariable, ...]:
    """The slots in an optimizer's list, each named by its number among those of its variable.

    None of them where there is no such list, or names leave a doubt about one.
    """
    edges = {edge.name: edge.node for edge in nodes[optimizer].children}
    if LIST not in edges:
        return ()
    apart = {node for name, node in edges.items() if nodes[node].tensors}
    slots = [e.node for e in nodes[edges[LIST]].children if e.node not in apart]
    owners = _by_name(nodes, {*slots, *apart})
    found: list[SlotVariable] = []
    counts: Counter[int] = Counter()
    for slot in slots:
        owner = _owner(_name(nodes[slot]), owners)
        if owner is None:
            return ()
        found.append(SlotVariable(owner, str(counts[owner]), slot))
        counts[owner] += 1
    return tuple(found) if len(set(counts.values())) == 1 else ()


def lists_of(
    nodes: Sequence[TrackableNode], optimizer: int, slots: Sequence[SlotVariable]
) -> set[str]:
    """The edges of an optimizer to lists of slots."""
    known = {slot.slot for slot in slots}
    return {
        edge.name
        for edge in nodes[optimizer].children
        if known & {child.node for child in nodes[edge.node].children}
    }


def _name(node: TrackableNode) -> str:
    """The name of the variable at a node; "" for other objects."""
    return next((t.full_name for t in node.tensors if t.name == VARIABLE_VALUE), "")


def _by_name(nodes: Sequence[TrackableNode], but: set[int]) -> dict[str, int | None]:
    """All other variables by name; None for a name of several."""
    found: dict[str, int | None] = {}
    for i, node in enumerate(nodes):
        name = _name(node)
        if name and i not in but:
            found[name] = None if name in found else i
    return found


def _owner(name: str, owners: Mapping[str, int | None]) -> int | None:
    """The variable that a slot's name tells of; None in doubt."""
    return next((owners[own] for own in _told(name) if own in owners), None) or _flat(name, owners)


def _told(name: str) -> Iterator[str]:
    """The ends of a path, the longest first."""
    parts = name.split("/")
    return ("/".join(parts[i:]) for i in range(1, len(parts)))


def _flat(name: str, owners: Mapping[str, int | None]) -> int | None:
    """The same for names in which a variable's path is one word with the slot's."""
    rest = name.partition("/")[2]
    fitting = [own for own in owners if rest.startswith(own.replace("/", "_") + "_")]
    return owners[max(fitting, key=len)] if fitting else None
