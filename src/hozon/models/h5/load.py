"""Weights of a record into a live model: everything is checked before anything is assigned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.containers.h5.layout import TOP_LEVEL
from hozon.errors import MismatchError, UnsupportedError
from hozon.keras_private.layers import layers_of
from hozon.models.assignment import Assignment, apply, close_account, finalize_layers, optimizers_of
from hozon.models.assignment.names import LiveName, Rename, StoredName, pair_by_names
from hozon.models.built import require_built
from hozon.models.h5.layouts import Origin
from hozon.models.h5.learned import LearnedLeaf, learned_name
from hozon.models.h5.names import name_of
from hozon.models.h5.owners import own_weights, top_layers, weights_of
from hozon.models.h5.pairing import Disagreement, Pair, pairs_of, plain_name, stored_weights
from hozon.models.report import LoadReport
from hozon.models.tracking.leaves import KerasLeaf
from hozon.record import ModelRecord, StateGroup


@dataclass(slots=True)
class Plan:
    """What a load will assign.

    Attributes:
        assignment: which value goes where.
        pairs: the same for variables, in the order of the file, with the names that they have
            there: an optimizer's state speaks of them.
    """

    assignment: Assignment = field(default_factory=Assignment)
    pairs: list[Pair] = field(default_factory=list)

    def add(self, layer: Any, group: StateGroup, origin: Origin) -> None:
        """Take up what is stored for a layer; one that does not fit is noted as such."""
        try:
            if learned_name(layer) and not weights_of(layer):
                self._learned(layer, group)
            else:
                self._weights(layer, group, origin)
        except Disagreement as problem:
            variables = weights_of(layer)
            self.assignment.disagree(str(problem), variables, names_in(group))

    def _learned(self, layer: Any, group: StateGroup) -> None:
        if len(group.tensors) != 1:
            raise Disagreement(f"{layer.name}: {len(group.tensors)} stored variables, not 1")
        leaf, (name, tensor) = LearnedLeaf(layer), next(iter(group.tensors.items()))
        self.assignment.pair(leaf, tensor, leaf.name, f"{group.name}/{name}")

    def _weights(self, layer: Any, group: StateGroup, origin: Origin) -> None:
        pairs = pairs_of(layer, group, origin)
        full = {plain_name(name): f"{group.name}/{name}" for name in group.tensors}
        for pair in pairs:
            stored = [full[name] for name in pair.stored]
            self.assignment.pair(KerasLeaf(pair.variable), pair.tensor, pair.label, *stored)
        self.pairs += pairs


def names_in(group: StateGroup) -> list[str]:
    """The names of a group's tensors, as assignments have them."""
    return [f"{group.name}/{name}" for name in group.tensors]


def stored_names(record: ModelRecord) -> Iterator[str]:
    """The names of everything in a record, as assignments have them."""
    for group in (*record.state, *(() if record.optimizer is None else (record.optimizer,))):
        yield from names_in(group)


def load_h5_weights(
    model: Any,
    record: ModelRecord,
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> LoadReport:
    """Give a model, or a layer, the weights of an H5 file.

    Layers are matched by their names where the file has the names of all of them, else by their
    order; the variables of each in the same way.

    Args:
        model: a built model or layer.
        record: of an H5 file: weights, or a whole model.
        by_name: whether only layers of the same name are matched, and others left as they are.
        rename: what stored variables are called in the model; see `hozon.load_weights`.
        skip_mismatch: whether layers whose variables differ in number or shape are left as they
            are, and reported.

    Raises:
        MismatchError: file and model disagree, or nothing matches; the model is as it was.
        UnsupportedError: the model is not built.
    """
    require_built(model, "variables to load into")
    if rename is not None:
        assignment = _renamed_plan(model, record, rename)
    else:
        assignment = plan_of(model, record, by_name=by_name, skip_mismatch=skip_mismatch).assignment
    report = assignment.report
    if not assignment.pairs and (report.unexpected or report.missing):
        raise MismatchError(
            "nothing in the file matches the model",
            mismatches=report.mismatched or _names(record, model),
            file=record.path,
        )
    _leave_optimizer(model, record, assignment)
    apply(assignment, record.path)
    finalize_layers(model)
    close_account(assignment, stored_names(record), model)
    return report


def _leave_optimizer(model: Any, record: ModelRecord, assignment: Assignment) -> None:
    """Weights of H5 files come without the optimizer, as in Keras."""
    if record.optimizer is not None:
        assignment.leave(
            "the optimizer's state: load_weights takes none from H5 files",
            *names_in(record.optimizer),
        )
    for name, optimizer in (found for x in layers_of(model) for found in optimizers_of(x)):
        for variable in optimizer.variables:
            assignment.keep(f"{name}/{variable.name}: not of this file", variable)


def _renamed_plan(model: Any, record: ModelRecord, rename: Rename) -> Assignment:
    """Variables by their names, as the caller's mapping says."""
    if origin_of(record) != Origin():
        raise UnsupportedError(
            "weights of Keras 1 or Theano are converted layer by layer",
            feature="rename= for this file",
            file=record.path,
            instead="load_weights without rename= into a model of the same layers",
        )
    assignment = Assignment()
    live = [
        LiveName(KerasLeaf(v), tuple(_live_names(layer, v)), f"{layer.name}/{v.name}")
        for layer in top_layers(model)
        for v in weights_of(layer)
    ]
    live += [LiveName(KerasLeaf(v), (str(v.path),), str(v.path)) for v in own_weights(model)]
    stored = [
        StoredName(tensor, tuple(_stored_names(group, name)), f"{group.name}/{name}")
        for group in record.state
        for name, tensor in group.tensors.items()
    ]
    pair_by_names(live, stored, rename, assignment, record.path)
    return assignment


def _live_names(layer: Any, variable: Any) -> Iterator[str]:
    yield name_of(layer, variable)
    yield str(variable.path)


def _stored_names(group: StateGroup, name: str) -> Iterator[str]:
    plain = plain_name(name)
    yield plain
    if not plain.startswith(f"{group.name}/"):
        yield f"{group.name}/{plain}"


def _names(record: ModelRecord, model: Any) -> list[str]:
    stored = [group.name for group in record.state if group.tensors]
    live = [str(layer.name) for layer in top_layers(model)]
    return [
        f"layers of the file: {', '.join(stored[:10]) or 'none'}",
        f"layers of the model: {', '.join(live[:10]) or 'none'}",
    ]


def plan_of(
    model: Any, record: ModelRecord, *, by_name: bool = False, skip_mismatch: bool = False
) -> Plan:
    """What `load_h5_weights` will do; see there."""
    require_built(model, "variables to load into")
    plan, origin = Plan(), origin_of(record)
    assignment = plan.assignment
    for group in record.state:
        _leave_random(group, assignment)
    groups = [group for group in record.state if stored_weights(group)]
    layered = [group for group in groups if group.name != TOP_LEVEL]
    matches = _by_name(layered, model, assignment) if by_name else _all(layered, model, record.path)
    for group, layer in matches:
        plan.add(layer, group, origin)
    _own(model, groups, plan)
    if assignment.report.mismatched and not skip_mismatch:
        raise MismatchError(
            "file and model do not match",
            mismatches=assignment.report.mismatched,
            file=record.path,
        )
    return plan


def _leave_random(group: StateGroup, assignment: Assignment) -> None:
    kept = {name for name, _ in stored_weights(group)}
    names = [f"{group.name}/{n}" for n in group.tensors if plain_name(n) not in kept]
    if names:
        assignment.leave(f"{group.name}: the state of another kind of random numbers", *names)


def origin_of(record: ModelRecord) -> Origin:
    """What the record says of its writer."""
    return Origin(record.dialect == "keras1", record.backend == "theano")


def valid(name: str) -> str:
    """A layer's name as Keras 3 has it, which takes no slashes."""
    return name.replace("/", "_")


def _by_name(
    groups: Sequence[StateGroup], model: Any, assignment: Assignment
) -> Iterator[tuple[StateGroup, Any]]:
    live = _weighted(model)
    named: dict[str, list[Any]] = {}
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


def _weighted(model: Any) -> list[Any]:
    """The layers that files have weights for."""
    return [layer for layer in top_layers(model) if weights_of(layer) or learned_name(layer)]


def _all(groups: Sequence[StateGroup], model: Any, file: str) -> Iterator[tuple[StateGroup, Any]]:
    """Every group with its layer: by name if the names are the same, else by order."""
    live = _weighted(model)
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
            file=file,
        )
    if len(by_name) == len(live) and sorted(by_name) == sorted(names):
        return iter([(group, by_name[name]) for group, name in zip(groups, names, strict=True)])
    return zip(groups, live, strict=True)


def _own(model: Any, groups: Sequence[StateGroup], plan: Plan) -> None:
    """The variables that the model itself made."""
    live = own_weights(model)
    group = next((group for group in groups if group.name == TOP_LEVEL), None)
    if group is None:
        for variable in live:
            plan.assignment.miss(f"{model.name}/{variable.name}", variable)
    elif not live:
        plan.assignment.surplus(*names_in(group))
    else:
        plan.add(_Own(str(model.name), live), group, Origin())


class _Own:
    """A model's own variables in the form of a layer."""

    def __init__(self, name: str, variables: list[Any]) -> None:
        self.name = name
        self.trainable_weights = variables
        self.non_trainable_weights: list[Any] = []
