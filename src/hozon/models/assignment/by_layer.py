"""The matcher of files that keep weights by layer: H5 files of Keras 1 to 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from hozon.containers.h5.layout import TOP_LEVEL
from hozon.errors import MismatchError, UnsupportedError
from hozon.keras_private.layers import layers_in_keras2, layers_inside
from hozon.models.assignment.account import names_in
from hozon.models.assignment.assignment import Assignment
from hozon.models.assignment.by_name import LiveName, StoredName
from hozon.models.assignment.layers import (
    name_of,
    own_class,
    own_weights,
    top_layers,
    weights_of,
)
from hozon.models.assignment.layouts import Origin
from hozon.models.assignment.learned import LearnedLeaf, learned_name
from hozon.models.assignment.within_layer import (
    Disagreement,
    pairs_of,
    plain_name,
    stored_weights,
)
from hozon.models.built import require_built
from hozon.models.tracking.leaves import KerasLeaf
from hozon.record import ModelRecord, StateGroup


def by_layer(
    model: keras.Model, record: ModelRecord, *, by_name: bool = False, skip_mismatch: bool = False
) -> Assignment:
    """Which stored weights go where; those of each layer stand in the order of the file.

    Layers are matched by their names where the file has the names of all of them, else by their
    order; the variables of each in the same way.

    Args:
        model: a built model or layer.
        record: weights by layer.
        by_name: whether only layers of the same name are matched, and others left as they are.
        skip_mismatch: whether layers whose variables differ in number or shape are left as they
            are, and reported.

    Raises:
        MismatchError: file and model disagree.
        UnsupportedError: the model is not built.
    """
    require_built(model, "variables to load into")
    assignment, origin = Assignment(), origin_of(record)
    for group in record.state:
        _leave_random(group, assignment)
    groups = [group for group in record.state if stored_weights(group)]
    layered = [group for group in groups if group.name != TOP_LEVEL]
    matches = _by_name(layered, model, assignment) if by_name else _all(layered, model, record)
    for group, layer in matches:
        _add(layer, group, origin, assignment)
    _own(model, groups, assignment)
    if assignment.report.mismatched and not skip_mismatch:
        raise MismatchError(
            "file and model do not match",
            mismatches=assignment.report.mismatched,
            file=record.path,
        )
    return assignment


def _add(layer: keras.Layer, group: StateGroup, origin: Origin, assignment: Assignment) -> None:
    """Take up what is stored for a layer; one that does not fit is noted as such."""
    try:
        if learned_name(layer) and not weights_of(layer):
            _learned(layer, group, assignment)
        else:
            _weights(layer, group, origin, assignment)
    except Disagreement as problem:
        assignment.disagree(str(problem), weights_of(layer), names_in(group))


def _learned(layer: keras.Layer, group: StateGroup, assignment: Assignment) -> None:
    if len(group.tensors) != 1:
        raise Disagreement(f"{layer.name}: {len(group.tensors)} stored variables, not 1")
    leaf, (name, tensor) = LearnedLeaf(layer), next(iter(group.tensors.items()))
    assignment.pair(leaf, tensor, leaf.name, f"{group.name}/{name}")


def _weights(layer: keras.Layer, group: StateGroup, origin: Origin, assignment: Assignment) -> None:
    group = _learned_inside(layer, group, assignment)
    full = {plain_name(name): f"{group.name}/{name}" for name in group.tensors}
    for pair in pairs_of(layer, group, origin):
        stored = [full[name] for name in pair.stored]
        assignment.pair(pair.leaf, pair.tensor, pair.label, *stored)


def _learned_inside(layer: keras.Layer, group: StateGroup, assignment: Assignment) -> StateGroup:
    """Pair what layers of a nested model learned, which Keras 2 has among its weights.

    It is told by its name, and by that of its layer where several learned. Gives the rest.
    """
    leaves = _leaves_inside(layer)
    left = dict(group.tensors)
    for leaf in leaves:
        kind = learned_name(leaf.layer)
        alone = sum(learned_name(other.layer) == kind for other in leaves) == 1
        names = [plain_name(name).split("/") for name in left]
        found = [
            name
            for name, parts in zip(left, names, strict=True)
            if parts[-1] == kind and (alone or leaf.layer.name in parts)
        ]
        if len(found) == 1:
            assignment.pair(leaf, left.pop(found[0]), leaf.name, f"{group.name}/{found[0]}")
    return StateGroup(group.name, left)


def _leaves_inside(layer: Any) -> list[LearnedLeaf]:
    inside = layers_inside(layer) if isinstance(layer, keras.Layer) else []
    return [LearnedLeaf(found) for found in inside if learned_name(found)]


def _leave_random(group: StateGroup, assignment: Assignment) -> None:
    kept = {name for name, _ in stored_weights(group)}
    names = [f"{group.name}/{n}" for n in group.tensors if plain_name(n) not in kept]
    if names:
        assignment.leave(f"{group.name}: the state of another kind of random numbers", *names)


def origin_of(record: ModelRecord) -> Origin:
    """What the record says of its writer."""
    dialect = record.dialect
    return Origin(dialect == "keras1", record.backend == "theano", dialect == "keras3")


def valid(name: str) -> str:
    """A layer's name as Keras 3 has it, which takes no slashes."""
    return name.replace("/", "_")


def names_by_layer(
    model: keras.Model, record: ModelRecord
) -> tuple[list[LiveName], list[StoredName]]:
    """The variables of a model and of a file, by the names that their layers give them.

    Raises:
        UnsupportedError: the file's arrays are in layouts of layers, not of variables.
    """
    origin = origin_of(record)
    if origin.keras1 or origin.theano:
        raise UnsupportedError(
            "weights of Keras 1 or Theano are converted layer by layer",
            feature="rename= for this file",
            file=record.path,
            instead="load_weights without rename= into a model of the same layers",
        )
    require_built(model, "variables to load into")
    live = [
        LiveName(KerasLeaf(v), (name_of(layer, v), str(v.path)), f"{layer.name}/{v.name}")
        for layer in top_layers(model)
        for v in weights_of(layer)
    ]
    live += [LiveName(KerasLeaf(v), (str(v.path),), str(v.path)) for v in own_weights(model)]
    stored = [
        StoredName(tensor, tuple(_stored_names(group, name)), f"{group.name}/{name}")
        for group in record.state
        for name, tensor in group.tensors.items()
    ]
    return live, stored


def _stored_names(group: StateGroup, name: str) -> Iterator[str]:
    plain = plain_name(name)
    yield plain
    if not plain.startswith(f"{group.name}/"):
        yield f"{group.name}/{plain}"


def _by_name(
    groups: Sequence[StateGroup], model: keras.Model, assignment: Assignment
) -> Iterator[tuple[StateGroup, keras.Layer]]:
    live = _weighted(model)
    named: dict[str, list[keras.Layer]] = {}
    for layer in live:
        named.setdefault(layer.name, []).append(layer)
    for group in groups:
        found = named.pop(group.name, None) or named.pop(valid(group.name), None)
        if found is None:
            assignment.surplus(*names_in(group))
        for layer in found or ():
            yield group, layer
    for layer in (layer for layers in named.values() for layer in layers):
        for variable in weights_of(layer):
            assignment.miss(f"{layer.name}/{variable.name}", variable)


def _weighted(model: keras.Model, *, in_keras2: bool = False) -> list[Any]:
    """The layers that files have weights for, in the order of the Keras whose file it is."""
    own = in_keras2 and isinstance(model, keras.Model) and own_class(model)
    layers = layers_in_keras2(model) if own else top_layers(model)
    return [
        layer
        for layer in layers
        if weights_of(layer) or learned_name(layer) or _leaves_inside(layer)
    ]


def _all(
    groups: Sequence[StateGroup], model: keras.Model, record: ModelRecord
) -> Iterator[tuple[StateGroup, Any]]:
    """Every group with its layer: by name if the names are the same, else by order."""
    live = _weighted(model, in_keras2=record.dialect != "keras3")
    if len(live) > len(groups):  # Keras 3 keeps what was learned elsewhere
        live = [layer for layer in live if weights_of(layer)]
    by_name = {layer.name: layer for layer in live}
    names = [group.name if group.name in by_name else valid(group.name) for group in groups]
    if len(live) != len(groups):
        stored = {valid(name) for name in names}
        raise MismatchError(
            f"the file has weights for {len(groups)} layers, the model has {len(live)} layers "
            "with weights",
            mismatches=[
                *(f"no stored weights for layer {n!r}" for n in by_name if valid(n) not in stored),
                *(f"no layer for the stored {n!r}" for n in names if n not in by_name),
            ],
            file=record.path,
        )
    if len(by_name) == len(live) and sorted(by_name) == sorted(names):
        return iter([(group, by_name[name]) for group, name in zip(groups, names, strict=True)])
    return zip(groups, live, strict=True)


def _own(model: keras.Model, groups: Sequence[StateGroup], assignment: Assignment) -> None:
    """The variables that the model itself made."""
    live = own_weights(model)
    group = next((group for group in groups if group.name == TOP_LEVEL), None)
    if group is None:
        for variable in live:
            assignment.miss(f"{model.name}/{variable.name}", variable)
    elif not live:
        assignment.surplus(*names_in(group))
    else:
        _add(_Own(str(model.name), live), group, Origin(), assignment)


class _Own:
    """A model's own variables in the form of a layer."""

    def __init__(self, name: str, variables: list[keras.Variable]) -> None:
        self.name = name
        self.trainable_weights = variables
        self.non_trainable_weights: list[keras.Variable] = []
