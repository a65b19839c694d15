"""The matcher of files that name values by paths of attributes: Keras 3's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from hozon.errors import MismatchError, UnsupportedError
from hozon.keras_private.layers import variables_of
from hozon.models.assignment.assignment import Assignment, Bundle
from hozon.models.assignment.by_name import LiveName, StoredName
from hozon.models.assignment.object_names import object_names, object_paths
from hozon.models.assignment.owners import (
    Owner,
    future_optimizers,
    inner_models,
    objects_by_path,
    optimizers_by_path,
    owners,
)
from hozon.models.tracking.leaves import KerasLeaf
from hozon.record import ModelRecord, StateGroup, names_of
from hozon.typing import Config

METRICS = "metrics"
OPTIMIZER = "optimizer"


def _is_of_metric(group: StateGroup) -> bool:
    """Whether a group is the state of a compiled metric, which tf_keras writes with the weights."""
    return group.name.partition("/")[0] == METRICS


def by_path(model: keras.Model, record: ModelRecord) -> Assignment:
    """What goes where, by the paths of attributes.

    A layer with its weights is found too in a file of its model.
    """
    assignment = Assignment()
    groups = _groups(model, record, assignment)
    live, stored = _live(model, record, groups), {_alias(group.name): group for group in groups}
    renamed, told = dict(_renamed(live, stored)), dict(_given_to_wrappers(model, live, stored))
    assignment.report.converted += [
        f"{path}: the file has it as {other}, the only one left over"
        for path, other in renamed.items()
        if path not in told and len(live[path].variables)
    ]
    renamed |= told
    pairs = [(owner, stored.get(renamed.get(path, path))) for path, owner in live.items()]
    _pair_objects(pairs, groups, assignment)
    return assignment


def _groups(model: keras.Model, record: ModelRecord, assignment: Assignment) -> list[StateGroup]:
    """The groups of a record that hold weights."""
    for group in filter(_is_of_metric, record.state):
        names = [f"{group.name}/{name}" for name in group.tensors]
        assignment.leave(f"{group.name}: metrics begin anew", *names)
    live = objects_by_path(model)
    aside = set(optimizers_by_path(live))
    uncompiled = {f"{path}/{OPTIMIZER}" for path in inner_models(live)} - aside
    for group in record.state:
        if group.name in uncompiled:
            names = [f"{group.name}/{name}" for name in group.tensors]
            assignment.leave(f"{group.name}: the model inside is not compiled", *names)
    aside |= uncompiled | future_optimizers(live, record).keys()
    return [g for g in record.state if not _is_of_metric(g) and g.name not in aside]


def _live(
    model: keras.Model, record: ModelRecord, groups: Iterable[StateGroup]
) -> dict[str, Owner]:
    """The objects of a model, by the paths of the Keras whose file it is.

    Those of Keras 3, unless only tf_keras' tell all that the file holds.
    """
    stored = {_alias(group.name) for group in groups}
    found = _by_path(owners(model, optimizer=False))
    if record.dialect != "keras2" and (stored <= found.keys() or record.names):
        return found
    other = _by_path(owners(model, optimizer=False, keras2=True))
    if stored <= other.keys() and (record.dialect == "keras2" or not stored <= found.keys()):
        return other
    return found


def _by_path(found: Iterable[Owner]) -> dict[str, Owner]:
    return {_alias(owner.path): owner for owner in found}


def _pair_objects(
    pairs: Iterable[tuple[Owner, StateGroup | None]],
    groups: Iterable[StateGroup],
    assignment: Assignment,
) -> None:
    taken: set[str] = set()
    for owner, group in pairs:
        if group is not None:
            taken.add(group.name)
            _add(assignment, owner, group)
        elif owner.optional:
            for variable in owner.variables.values():
                assignment.keep(f"{owner.path}: not in the file", variable)
        else:
            for name, value in owner.variables.items():
                assignment.miss(f"{owner.path}/{name}".lstrip("/"), value)
            _account_for(owner, assignment)
    for group in groups:
        if group.name not in taken:
            assignment.surplus(*(f"{group.name}/{n}" for n in group.tensors))


def _account_for(owner: Owner, assignment: Assignment) -> None:
    """Variables of an object that saves other values than its variables."""
    assignment.variables.update(map(id, _own_variables(owner.target)))


def _own_variables(target: Any) -> list[keras.Variable]:
    if isinstance(target, keras.Layer):
        return variables_of(target)
    return list(getattr(target, "variables", ()))


def _renamed(
    live: Mapping[str, Owner], stored: Mapping[str, StateGroup]
) -> Iterator[tuple[str, str]]:
    """A layer whose class had another name when saved, which paths are made of.

    It is told only where it alone is left over, in the model and in the file; the objects in it
    are the same ones then.
    """
    wanted = _by_layer(
        {path: _shapes(o.variables) for path, o in live.items() if path not in stored}
    )
    found = _by_layer({path: _shapes(g.tensors) for path, g in stored.items() if path not in live})
    if len(wanted) == len(found) == 1:
        ((layer, parts),), ((other, inside),) = wanted.items(), found.items()
        if parts == inside:
            yield from ((f"{layer}{rest}", f"{other}{rest}") for rest in parts)


def _given_to_wrappers(
    model: Any, live: Mapping[str, Owner], stored: Mapping[str, StateGroup]
) -> Iterator[tuple[str, str]]:
    """Layers that tf_keras made a Bidirectional of, and that the model calls itself besides.

    It keeps their weights where it comes by them first, which is in the Bidirectional. Keras 3's
    has copies alone.
    """
    if not any("/layer/" in f"{path}/" for path in stored.keys() - live.keys()):
        return
    objects = {_alias(path): target for path, target in objects_by_path(model).items()}
    for path, target in objects.items():
        inside = {p.removeprefix(f"{path}/layer") for p in stored if _is_below(p, f"{path}/layer")}
        if not inside or not isinstance(target, keras.layers.Bidirectional):
            continue
        name = target.forward_layer.name.removeprefix("forward_")
        found = [
            other
            for other, layer in objects.items()
            if isinstance(layer, type(target.forward_layer)) and layer.name == name
            if inside <= {p.removeprefix(other) for p in live if _is_below(p, other)}
            if not any(_is_below(p, other) for p in stored)
        ]
        if len(found) == 1:
            yield from ((f"{found[0]}{rest}", f"{path}/layer{rest}") for rest in inside)


def _is_below(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/")


def _by_layer(shapes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Shapes by the first two parts of their path, then by the rest of it."""
    made: dict[str, Config] = {}
    for path, value in shapes.items():
        layer = "/".join(path.split("/")[:2])
        made.setdefault(layer, {})[path[len(layer) :]] = value
    return made


def _shapes(values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in values.items()}


def _add(assignment: Assignment, owner: Owner, group: StateGroup) -> None:
    label = owner.path or "(itself)"
    stored = {name: f"{group.name}/{name}" for name in group.tensors}
    problems = list(_disagreements(owner, group, label)) if owner.fixed else []
    for problem in problems:
        assignment.disagree(problem, owner.variables.values(), stored.values())
    if problems:
        _account_for(owner, assignment)
    elif owner.assigns:
        for name, variable in owner.variables.items():
            leaf = KerasLeaf(variable)
            assignment.pair(leaf, group.tensors[name], f"{label}/{variable.name}", stored[name])
    else:
        assignment.bundle(
            Bundle(
                owner.target.load_own_variables,
                group.tensors,
                label,
                tuple(stored.values()),
                tuple(_own_variables(owner.target)),
            )
        )


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


def by_layer_names(model: keras.Model, record: ModelRecord) -> Assignment:
    """What goes where, by the names of the layers that lead to each object."""
    assignment = Assignment()
    groups = _groups(model, record, assignment)
    stored_objects = _require_names(record)
    live_objects = dict(object_paths(model))
    stored = _unique((names_of(group.name, stored_objects), group.name, group) for group in groups)
    live = _unique(
        (names_of(owner.path, live_objects), owner.path, owner)
        for owner in owners(model, optimizer=False)
    )
    twice = [key for key, found in stored.items() if len(found) > 1 and key in live]
    twice += [key for key, found in live.items() if len(found) > 1 and key in stored]
    if twice:
        raise MismatchError(
            "names do not tell objects apart",
            mismatches=[f"several are called {'/'.join(key) or '(itself)'}" for key in twice],
            file=record.path,
        )
    pairs = [
        (owner, stored[key][0] if key in stored else None)
        for key, found in live.items()
        for owner in found
    ]
    _pair_objects(pairs, groups, assignment)
    return assignment


def _unique(
    entries: Iterable[tuple[tuple[str, ...], str, Any]],
) -> dict[tuple[str, ...], list[Any]]:
    """Objects by their names; one without a name by its path."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for names, path, value in entries:
        found.setdefault(names or ("", path), []).append(value)
    return found


def _require_names(record: ModelRecord) -> Mapping[str, str]:
    found = object_names(record)
    if not found and any(group.name for group in record.state):
        raise UnsupportedError(
            "the file does not say what its layers are called",
            feature="by_name=True for this file",
            file=record.path,
            instead="by_name=False, which goes by the paths of attributes, or rename=",
        )
    return found


def names_by_path(
    model: keras.Model, record: ModelRecord, assignment: Assignment
) -> tuple[list[LiveName], list[StoredName]]:
    """The variables of a model and of a file, by the names of layers and by paths."""
    groups = _groups(model, record, assignment)
    stored_objects, live_objects = object_names(record), dict(object_paths(model))
    live = [
        LiveName(
            KerasLeaf(variable),
            tuple(_live_names(owner, name, variable, live_objects)),
            f"{owner.path or '(itself)'}/{variable.name}",
            _places(owner.path, name),
        )
        for owner in owners(model, optimizer=False)
        for name, variable in owner.variables.items()
        if isinstance(variable, keras.Variable) and not owner.optional
    ]
    stored = [
        StoredName(
            tensor,
            tuple(_by_objects(group.name, name, stored_objects)),
            f"{group.name}/{name}",
            _places(group.name, name),
        )
        for group in groups
        for name, tensor in group.tensors.items()
    ]
    return live, stored


def miss_the_rest(model: keras.Model, assignment: Assignment) -> None:
    """List the variables of objects that save other values than these."""
    for owner in owners(model, optimizer=False):
        rest = [v for v in _own_variables(owner.target) if id(v) not in assignment.variables]
        for variable in () if owner.optional else rest:
            assignment.miss(str(variable.path), variable)


def _live_names(
    owner: Owner, name: str, variable: keras.Variable, objects: Mapping[str, str]
) -> Iterator[str]:
    chain = names_of(owner.path, objects)
    yield "/".join((*chain, str(variable.name)))
    yield str(variable.path)
    yield from _by_objects(owner.path, name, objects)


def _by_objects(path: str, name: str, objects: Mapping[str, str]) -> Iterator[str]:
    """What a value is called by the names of layers."""
    chain = names_of(path, objects)
    if chain:
        yield "/".join((*chain, name))


def _places(path: str, name: str) -> tuple[str, ...]:
    """Where a value stands: by attributes, as in the file, and without the file's own words."""
    return f"{path}/vars/{name}".lstrip("/"), f"{path}/{name}".lstrip("/")
