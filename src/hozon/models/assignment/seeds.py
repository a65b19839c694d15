"""The states of random numbers in a file that names them by numbers alone.

Keras counts seed generators of all models together, in the order in which they are made, and names
their variables by nothing else. So they are told by order: that of the layers' own names where
Keras counted these too, else the order in which the model's parts were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from hozon.keras_private.layers import layers_of, seed_generators_of
from hozon.keras_private.paths import saveables
from hozon.models.assignment.assignment import Assignment
from hozon.models.assignment.by_name import StoredName
from hozon.models.tracking.leaves import KerasLeaf

#: The variable of a seed generator.
STATE = "seed_generator_state"
#: What Keras puts behind a name that it has given before.
NUMBER = re.compile(r"(?:_(\d+))?$")


def uncounted(name: str) -> tuple[str, int]:
    """A name without the number that Keras may have put behind it, and that number."""
    match = NUMBER.search(name)
    assert match is not None
    return name[: match.start()], int(match[1] or 0)


def pair_seeds(
    model: keras.Model,
    stored: Sequence[StoredName],
    layers: Mapping[str, str],
    assignment: Assignment,
) -> None:
    """Pair states by order; where that may be another than the file's, the report says so.

    `layers` are the file's names of layers, by their paths.
    """
    states = list(_states(model))
    entries = sorted(stored, key=lambda entry: _made(entry.own))
    if len(states) != len(entries):
        if entries:
            assignment.lose(
                f"the states of random numbers: the file holds {len(entries)}, the model has "
                f"{len(states)}",
                states,
                [entry.own for entry in entries],
            )
        return
    names = {str(state.path) for state in states} == {e.own for e in entries} and not layers
    told = None if names else _by_layers(model, layers)
    if told is not None and len(told) == len(states):
        states = told
    elif len(states) > 1 and not names:
        assignment.report.converted.append(
            "the states of random numbers are taken in the order in which their layers are made, "
            "as the file only numbers them"
        )
    for state, entry in zip(states, entries, strict=True):
        assignment.pair(KerasLeaf(state), entry.tensor, str(state.path), entry.own)


def _made(path: str) -> tuple[Any, ...]:
    """The order in which generators were made, by their names."""
    owner = path.rpartition("/")[0].rpartition("/")[2]
    return (*reversed(uncounted(owner)), path)


def _states(root: keras.Layer) -> Iterator[keras.Variable]:
    """The states of a layer and of all in it, in the order in which its code makes them."""
    found = {id(g.state): g.state for layer in layers_of(root) for g in seed_generators_of(layer)}
    order = sorted(found.values(), key=lambda state: _made(str(state.path)))
    for layer in layers_of(root):
        if isinstance(layer, keras.layers.Bidirectional):
            order = _forward_first(order, layer)
    yield from order


def _forward_first(
    order: list[keras.Variable], layer: keras.layers.Bidirectional
) -> list[keras.Variable]:
    """A Bidirectional makes its forward layer first, but not where its config has the other."""
    sides = [
        [g.state for part in layers_of(side) for g in seed_generators_of(part)]
        for side in (layer.forward_layer, layer.backward_layer)
    ]
    inside = {id(state) for side in sides for state in side}
    rank = {id(state): place for place, state in enumerate(order)}
    following = iter([s for side in sides for s in sorted(side, key=lambda s: rank[id(s)])])
    return [next(following) if id(state) in inside else state for state in order]


def _by_layers(model: keras.Model, layers: Mapping[str, str]) -> list[keras.Variable] | None:
    """States in the order of their layers' names; None where that is not all one count."""
    owners: list[tuple[tuple[str, int], list[keras.Variable]]] = []
    seen: set[int] = set()
    for path, target in saveables(model):
        if not isinstance(target, keras.Layer) or path not in layers:
            continue
        if isinstance(target, keras.Model):  # its layers have names of their own
            continue
        own = [state for state in _states(target) if id(state) not in seen]
        seen.update(map(id, own))
        if own:
            owners.append((uncounted(layers[path]), own))
    if len({base for (base, _), _ in owners}) != 1:
        return None
    owners.sort(key=lambda entry: entry[0])
    return [state for _, own in owners for state in own]
