"""Pairs of a layer's variables and its stored tensors: by name where names tell, else by order.

Keras goes by order alone, and the order of a file changes with every layer that is frozen; the
names do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hozon.errors import HozonError
from hozon.models.assignment.assignment import Pair
from hozon.models.assignment.layers import own_class, owners, weights_in, weights_of
from hozon.models.assignment.layouts import Origin, converted, restored
from hozon.models.tracking.leaves import KerasLeaf
from hozon.record import StateGroup
from hozon.stored.lazy import LazyTensor, lazy_array

if TYPE_CHECKING:
    import keras

#: State of a random generator that layers of TensorFlow 2.8 to 2.15 saved with their weights.
RANDOM_STATE = re.compile(r"(^|/)StateVar(_\d+)?$")
Stored = tuple[str, LazyTensor]


class Disagreement(Exception):  # noqa: N818 - it never leaves this package
    """A group and a layer that do not fit; the text says how."""


def plain_name(name: str) -> str:
    """A stored name without TensorFlow's output number."""
    return re.sub(r":\d+$", "", name)


def stored_weights(group: StateGroup) -> list[Stored]:
    """Plain names and tensors of a group, states of random generators left out."""
    named = [(plain_name(name), tensor) for name, tensor in group.tensors.items()]
    return [(name, tensor) for name, tensor in named if not RANDOM_STATE.search(name)]


def pairs_of(layer: keras.Layer, group: StateGroup, origin: Origin) -> list[Pair]:
    """A pair for every variable of a layer, with names as they stand in the group.

    Raises Disagreement where the group holds more, fewer or other tensors.
    """
    stored = stored_weights(group)
    inside = owners(layer)
    live = _live(layer, origin)
    label = str(layer.name)
    if len(inside) == 1:
        return _owner_pairs(inside[0], live, stored, origin, label)
    parts = _by_owner(inside, stored)
    if parts is None:
        return _in_order(layer, live, stored, origin, label)
    try:
        named = [
            _owner_pairs(
                owner, _live(owner, origin), parts[id(owner)], origin, f"{label}/{owner.name}"
            )
            for owner in inside
        ]
    except Disagreement:
        return _in_order(layer, live, stored, origin, label)
    found = {id(variable_of(pair)): pair for pairs in named for pair in pairs}
    rest = [v for v in live if id(v) not in found]
    if rest:
        raise Disagreement(f"{label}: nothing is stored for {_paths(rest)}")
    return _in_file_order(list(found.values()), stored)


def _live(layer: keras.Layer, origin: Origin) -> list[keras.Variable]:
    """A layer's variables in the order of the Keras whose file it is."""
    return weights_in(layer) if own_class(layer) and not origin.keras3 else weights_of(layer)


def _in_file_order(pairs: Sequence[Pair], stored: Sequence[Stored]) -> list[Pair]:
    """Pairs as their tensors stand in the file: the order that optimizer slots have, too."""
    place = {name: i for i, (name, _) in enumerate(stored)}
    return sorted(pairs, key=lambda pair: place[pair.stored[0]])


def _paths(variables: Sequence[keras.Variable]) -> str:
    return ", ".join(str(v.path) for v in variables[:3])


def _by_owner(
    inside: Sequence[keras.Layer], stored: Sequence[Stored]
) -> dict[int, list[Stored]] | None:
    """Stored tensors by the nested layer that their names speak of; None if they do not."""
    by_name: dict[str, keras.Layer] = {}
    for owner in inside:
        if owner.name in by_name:
            return None
        by_name[owner.name] = owner
    parts: dict[int, list[Stored]] = {id(owner): [] for owner in inside}
    for name, tensor in stored:
        owner = _owner_named(name, by_name)
        if owner is None:
            return None
        parts[id(owner)].append((name, tensor))
    return parts if all(parts.values()) else None


def _owner_named(name: str, by_name: Mapping[str, keras.Layer]) -> keras.Layer | None:
    for part in name.split("/"):
        if part in by_name:
            return by_name[part]
    # Keras 1 wrote ``dense_1_W``.
    begun = [known for known in by_name if name.startswith(f"{known}_")]
    return by_name[max(begun, key=len)] if begun else None


def _owner_pairs(
    owner: keras.Layer,
    live: Sequence[keras.Variable],
    stored: Sequence[Stored],
    origin: Origin,
    label: str,
) -> list[Pair]:
    """Pairs of one layer, whose stored arrays may be in an old layout."""
    shapes = [tensor.shape for _, tensor in stored]
    if not restored(owner, shapes, origin):
        return _matched(live, stored, label)
    names = tuple(name for name, _ in stored)
    try:
        arrays = converted(owner, [tensor.read() for _, tensor in stored], origin)
    except (HozonError, ValueError, IndexError) as error:
        raise Disagreement(f"{label}: {error}") from error
    values = [("", lazy_array(f"{label}/{i}", array)) for i, array in enumerate(arrays)]
    made = _ordered(live, values, label)
    one_each = len(names) == len(made)
    return [
        Pair(p.leaf, p.tensor, p.label, (names[i],) if one_each else names)
        for i, p in enumerate(made)
    ]


def _in_order(
    layer: keras.Layer,
    live: Sequence[keras.Variable],
    stored: Sequence[Stored],
    origin: Origin,
    label: str,
) -> list[Pair]:
    """Pairs of a nested model by Keras' order: all trainable variables, then the others."""
    shapes = [tensor.shape for _, tensor in stored]
    if not any(restored(owner, shapes, origin) for owner in owners(layer)):
        return _matched(live, stored, label)
    if len(stored) != len(live):
        raise Disagreement(f"{label}: {_counts(live, stored)}")
    place = {id(variable): i for i, variable in enumerate(live)}
    found: list[Pair] = []
    for owner in owners(layer):
        mine = _live(owner, origin)
        found += _owner_pairs(
            owner, mine, [stored[place[id(v)]] for v in mine], origin, f"{label}/{owner.name}"
        )
    return _in_file_order(found, stored)


def _matched(live: Sequence[keras.Variable], stored: Sequence[Stored], label: str) -> list[Pair]:
    if len(live) != len(stored):
        raise Disagreement(f"{label}: {_counts(live, stored)}")
    return _named(live, stored, label) or _ordered(live, stored, label)


def _counts(live: Sequence[keras.Variable], stored: Sequence[Stored]) -> str:
    return f"{len(stored)} stored variables, {len(live)} in the layer"


def _named(
    live: Sequence[keras.Variable], stored: Sequence[Stored], label: str
) -> list[Pair] | None:
    """Pairs by the ends of the names, as long as it takes to tell all of them apart."""
    for length in (1, 2, 3, 4):
        ends = {_end(str(v.path), length): v for v in live}
        names = {_end(name, length): name for name, _ in stored}
        if len(names) == len(stored) and ends.keys() == names.keys():
            found = [(ends[_end(name, length)], name, tensor) for name, tensor in stored]
            if all(tuple(v.shape) == t.shape for v, _, t in found):
                return [_pair(v, t, label, name) for v, name, t in found]
    return None


def _end(name: str, length: int) -> tuple[str, ...]:
    return tuple(name.split("/")[-length:])


def _pair(variable: keras.Variable, tensor: LazyTensor, label: str, name: str) -> Pair:
    return Pair(KerasLeaf(variable), tensor, f"{label}/{variable.name}", (name,))


def variable_of(pair: Pair) -> keras.Variable | None:
    """The variable of a pair of `pairs_of`."""
    return pair.leaf.variable if isinstance(pair.leaf, KerasLeaf) else None


def _ordered(live: Sequence[keras.Variable], stored: Sequence[Stored], label: str) -> list[Pair]:
    """Pairs by order; where shapes say that it is another one, by names that tell one each."""
    if len(live) != len(stored):
        raise Disagreement(f"{label}: {_counts(live, stored)}")
    order = list(live)
    if any(tuple(v.shape) != t.shape for v, (_, t) in zip(live, stored, strict=True)):
        order = _told_apart(live, stored, label)
    return [_pair(v, t, label, name) for v, (name, t) in zip(order, stored, strict=True)]


def _told_apart(
    live: Sequence[keras.Variable], stored: Sequence[Stored], label: str
) -> list[keras.Variable]:
    """Each stored tensor's variable by the last part of its name, which shapes must agree with."""
    order: list[keras.Variable] = []
    for place, (name, tensor) in enumerate(stored):
        last = name.rsplit("/", 1)[-1]
        fitting = [v for v in live if v.name == last and tuple(v.shape) == tensor.shape]
        if len(fitting) != 1 or any(fitting[0] is v for v in order):
            wanted = live[place]
            raise Disagreement(
                f"{label}: stored {name} {tensor.shape}, in its place is {wanted.name} "
                f"{tuple(wanted.shape)}"
            )
        order.append(fitting[0])
    return order
