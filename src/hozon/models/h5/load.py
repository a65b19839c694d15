"""Weights of a record into a live model: everything is checked before anything is assigned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.containers.h5.layout import TOP_LEVEL
from hozon.errors import MismatchError
from hozon.keras_private.values import give_value
from hozon.models.built import require_built
from hozon.models.h5.layouts import Origin
from hozon.models.h5.learned import learn, learned_name
from hozon.models.h5.owners import own_weights, top_layers, weights_of
from hozon.models.h5.pairing import Disagreement, Pair, pairs_of, stored_weights
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.adapted import finish
from hozon.record import ModelRecord, StateGroup
from hozon.tensors.lazy import LazyTensor, read_all


@dataclass(slots=True)
class Plan:
    """What a load will assign, and what it found to say.

    Attributes:
        pairs: variables with their values, in the order of the file.
        report: what is matched, missing, unexpected and mismatched.
        layers: the layers that get weights.
        learned: layers with what they learned, which is no variable of theirs.
    """

    pairs: list[Pair] = field(default_factory=list)
    report: LoadReport = field(default_factory=LoadReport)
    layers: list[Any] = field(default_factory=list)
    learned: list[tuple[Any, LazyTensor]] = field(default_factory=list)

    def add(self, layer: Any, group: StateGroup, origin: Origin) -> None:
        """Take up what is stored for a layer.

        Raises Disagreement where it does not fit.
        """
        if learned_name(layer) and not weights_of(layer):
            if len(group.tensors) != 1:
                raise Disagreement(f"{layer.name}: {len(group.tensors)} stored variables, not 1")
            self.learned.append((layer, next(iter(group.tensors.values()))))
            return
        self.pairs += pairs_of(layer, group, origin)
        self.layers.append(layer)

    def run(self) -> None:
        """Read everything, then assign everything."""
        read = read_all([pair.tensor for pair in self.pairs])
        values = list(zip(self.pairs, read, strict=True))
        for layer, value in [(layer, tensor.read()) for layer, tensor in self.learned]:
            learn(layer, value)
            self.report.matched.append(f"{layer.name}/{learned_name(layer)}")
        for pair, value in values:
            give_value(pair.variable, value)
        self.report.matched.extend(pair.label for pair in self.pairs)
        for layer in self.layers:
            finish(layer)


def load_h5_weights(
    model: Any, record: ModelRecord, *, by_name: bool = False, skip_mismatch: bool = False
) -> LoadReport:
    """Give a model, or a layer, the weights of an H5 file.

    Layers are matched by their names where the file has the names of all of them, else by their
    order; the variables of each in the same way.

    Args:
        model: a built model or layer.
        record: of an H5 file: weights, or a whole model.
        by_name: whether only layers of the same name are matched, and others left as they are.
        skip_mismatch: whether layers whose variables differ in number or shape are left as they
            are, and reported.

    Raises:
        MismatchError: file and model disagree, or nothing matches; the model is as it was.
        UnsupportedError: the model is not built.
    """
    plan = plan_of(model, record, by_name=by_name, skip_mismatch=skip_mismatch)
    if not plan.pairs and not plan.learned and (plan.report.unexpected or plan.report.missing):
        raise MismatchError(
            "nothing in the file matches the model",
            mismatches=plan.report.mismatched or _names(record, model),
            file=record.path,
        )
    plan.run()
    return plan.report


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
    problems: list[str] = []
    groups = [group for group in record.state if stored_weights(group)]
    layered = [group for group in groups if group.name != TOP_LEVEL]
    matches = _by_name(layered, model, plan) if by_name else _all(layered, model, record.path)
    for group, layer in matches:
        try:
            plan.add(layer, group, origin)
        except Disagreement as problem:
            problems.append(str(problem))
    _own(model, groups, plan, problems)
    if problems and not skip_mismatch:
        raise MismatchError("file and model do not match", mismatches=problems, file=record.path)
    plan.report.mismatched.extend(problems)
    return plan


def origin_of(record: ModelRecord) -> Origin:
    """What the record says of its writer."""
    return Origin(record.dialect == "keras1", record.backend == "theano")


def valid(name: str) -> str:
    """A layer's name as Keras 3 has it, which takes no slashes."""
    return name.replace("/", "_")


def _by_name(
    groups: Sequence[StateGroup], model: Any, plan: Plan
) -> Iterator[tuple[StateGroup, Any]]:
    live = _weighted(model)
    named: dict[str, list[Any]] = {}
    for layer in live:
        named.setdefault(layer.name, []).append(layer)
    for group in groups:
        found = named.pop(group.name, None) or named.pop(valid(group.name), None)
        if found is None:
            plan.report.unexpected.extend(f"{group.name}/{name}" for name in group.tensors)
        for layer in found or ():
            yield group, layer
    for layers in named.values():
        plan.report.missing.extend(
            f"{layer.name}/{v.name}" for layer in layers for v in weights_of(layer)
        )


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


def _own(model: Any, groups: Sequence[StateGroup], plan: Plan, problems: list[str]) -> None:
    """The variables that the model itself made."""
    live = own_weights(model)
    group = next((group for group in groups if group.name == TOP_LEVEL), None)
    if group is None:
        plan.report.missing.extend(f"{model.name}/{v.name}" for v in live)
        return
    if not live:
        plan.report.unexpected.extend(f"{TOP_LEVEL}/{name}" for name in group.tensors)
        return
    try:
        plan.pairs += pairs_of(_Own(str(model.name), live), group, Origin())
    except Disagreement as problem:
        problems.append(str(problem))


class _Own:
    """A model's own variables in the form of a layer."""

    def __init__(self, name: str, variables: list[Any]) -> None:
        self.name = name
        self.trainable_weights = variables
        self.non_trainable_weights: list[Any] = []
