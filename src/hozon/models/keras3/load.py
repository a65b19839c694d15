"""Stored values into a live model, matched by path; all are checked before any is assigned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.errors import MismatchError
from hozon.keras_private.values import give_value
from hozon.models.built import require_built
from hozon.models.keras3.owners import Owner, owners
from hozon.models.report import LoadReport
from hozon.record import ModelRecord, StateGroup
from hozon.tensors.lazy import LazyTensor, read_all

#: Lines of a message that lists what is stored or wanted.
SHOWN = 12


@dataclass(slots=True)
class Plan:
    """What a load will assign, and what it found to say."""

    pairs: list[tuple[Any, LazyTensor]] = field(default_factory=list)
    whole: list[tuple[Owner, Mapping[str, LazyTensor]]] = field(default_factory=list)
    report: LoadReport = field(default_factory=LoadReport)

    def run(self) -> None:
        """Read everything, then assign everything."""
        values = read_all([tensor for _, tensor in self.pairs])
        stores = [
            (owner, {name: tensor.read() for name, tensor in tensors.items()})
            for owner, tensors in self.whole
        ]
        for (variable, _), value in zip(self.pairs, values, strict=True):
            give_value(variable, value)
        for owner, store in stores:
            owner.target.load_own_variables(store)


def load_weights(
    model: Any, record: ModelRecord, *, by_name: bool = False, skip_mismatch: bool = False
) -> LoadReport:
    """Give a model or layer the weights of a record with naming ``"attributes"``.

    Args:
        model: a built model or layer.
        record: what is stored.
        by_name: objects that one side lacks are left as they are.
        skip_mismatch: objects whose variables differ in number or shape are left as they are.

    Raises:
        MismatchError: file and model disagree, or nothing matches; the model is as it was.
        UnsupportedError: the model is not built.
    """
    require_built(model, "variables to load into")
    groups = [group for group in record.state if not _of_metric(group)]
    built = bool(getattr(getattr(model, "optimizer", None), "built", False))
    if record.optimizer is not None and built:
        groups.append(record.optimizer)
    plan = plan_of(model, groups, optimizer=record.optimizer is not None and built)
    problems = plan.report.mismatched
    if not by_name and not skip_mismatch:
        problems = [
            *problems,
            *(f"no stored value for {name}" for name in plan.report.missing),
            *(f"no variable for the stored {name}" for name in plan.report.unexpected),
        ]
    nothing = not plan.pairs and not plan.whole and bool(record.state)
    if nothing or (problems and not skip_mismatch):
        raise MismatchError(
            "nothing in the file matches the model" if nothing else "file and model do not match",
            mismatches=problems or _both(model, record.state),
            file=record.path,
        )
    plan.run()
    return plan.report


def _of_metric(group: StateGroup) -> bool:
    """Whether a group is the state of a compiled metric, which tf_keras writes with the weights."""
    return group.name.startswith("metrics/")


def _both(model: Any, groups: Sequence[StateGroup]) -> list[str]:
    wanted = [owner.path or "(itself)" for owner in owners(model, optimizer=False)]
    stored = [group.name or "(itself)" for group in groups]
    return [
        f"the file holds: {', '.join(stored[:SHOWN]) or 'nothing'}",
        f"the model wants: {', '.join(wanted[:SHOWN]) or 'nothing'}",
    ]


def plan_of(model: Any, groups: Sequence[StateGroup], *, optimizer: bool) -> Plan:
    """What goes where. A layer with its weights is found too in a file of its model."""
    plan = Plan()
    live = {_alias(owner.path): owner for owner in owners(model, optimizer=optimizer)}
    stored = {_alias(group.name): group for group in groups}
    renamed = dict(_renamed(live, stored))
    taken: set[str] = set()
    for path, owner in live.items():
        name = renamed.get(path, path)
        group = stored.get(name)
        if group is None and owner.optional:
            continue
        if group is None:
            plan.report.missing.extend(f"{owner.path}/{n}".lstrip("/") for n in owner.variables)
            continue
        taken.add(name)
        _add(plan, owner, group)
    for name, group in stored.items():
        if name not in taken:
            plan.report.unexpected.extend(f"{group.name}/{n}" for n in group.tensors)
    return plan


def _renamed(
    live: Mapping[str, Owner], stored: Mapping[str, StateGroup]
) -> Iterator[tuple[str, str]]:
    """Layers whose class had another name when saved, which paths are made of.

    One that alone of all left over has the same objects with variables of the same shapes.
    """
    wanted = _by_layer(
        {path: _shapes(o.variables) for path, o in live.items() if path not in stored}
    )
    found = _by_layer({path: _shapes(g.tensors) for path, g in stored.items() if path not in live})
    for layer, parts in wanted.items():
        same = [other for other, inside in found.items() if inside == parts]
        if len(same) == 1 and sum(inside == parts for inside in wanted.values()) == 1:
            yield from ((f"{layer}{rest}", f"{same[0]}{rest}") for rest in parts)


def _by_layer(shapes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Shapes by the first two parts of their path, then by the rest of it."""
    made: dict[str, dict[str, Any]] = {}
    for path, value in shapes.items():
        layer = "/".join(path.split("/")[:2])
        made.setdefault(layer, {})[path[len(layer) :]] = value
    return made


def _shapes(values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in values.items()}


def _add(plan: Plan, owner: Owner, group: StateGroup) -> None:
    label = owner.path or "(itself)"
    problems = list(_disagreements(owner, group, label)) if owner.fixed else []
    plan.report.mismatched.extend(problems)
    if problems:
        return
    if not owner.assigns:
        plan.whole.append((owner, group.tensors))
        plan.report.matched.extend(f"{label}/{name}" for name in group.tensors)
        return
    plan.pairs += [(v, group.tensors[name]) for name, v in owner.variables.items()]
    plan.report.matched.extend(f"{label}/{v.name}" for v in owner.variables.values())


def _disagreements(owner: Owner, group: StateGroup, label: str) -> Iterator[str]:
    if owner.variables.keys() != group.tensors.keys():
        yield f"{label}: {len(group.tensors)} stored variables, {len(owner.variables)} in the model"
        return
    for name, variable in owner.variables.items():
        shape, stored = tuple(variable.shape), group.tensors[name].shape
        if shape != stored:
            known = getattr(variable, "name", name)
            yield f"{label}/{known} has shape {shape}, the file holds {stored}"


def _alias(path: str) -> str:
    """A path without the underscores that one Keras puts before an attribute and another not."""
    return "/".join(part.lstrip("_") for part in path.split("/"))
