"""The state of optimizers by number: in Keras 3's order, and in Keras 2's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hozon.errors import MismatchError
from hozon.keras_private.aside import made_aside
from hozon.keras_private.optimizers import trained_by, wrapped
from hozon.models.assignment import Assignment
from hozon.models.assignment.optimizer import (
    NUMBER,
    OptimizerState,
    Order,
    Stored,
    numbered,
    pair_optimizer,
)
from hozon.models.assignment.owners import (
    future_optimizers,
    inner_models,
    objects_by_path,
    optimizers_by_path,
)
from hozon.models.slots import ACCUMULATED, ROWS
from hozon.models.tracking.layers import trainable_order
from hozon.models.tracking.leaves import KerasLeaf
from hozon.models.tracking.optimizers import describe_optimizer
from hozon.models.waiting import Waiting, wait, wait_for_build
from hozon.objects.tracking import Leaf, Virtual
from hozon.record import ModelRecord, StateGroup
from hozon.stored.dtypes import INT64
from hozon.stored.lazy import lazy_array

if TYPE_CHECKING:
    import keras

NAME = "optimizer"
METRICS = "metrics"


def keras3_leaves(optimizer: keras.optimizers.Optimizer) -> list[Leaf]:
    """The values that Keras 3 numbers."""
    return [KerasLeaf(v) for v in optimizer.variables]


def keras2_leaves(model: keras.Model, optimizer: Any = None, *, filed: bool = False) -> list[Leaf]:
    """The values that Keras 2 numbers: the iteration, then slots in the order it made them.

    `optimizer` is the model's own, or another one for variables of the model. `filed`: in the order
    of the file that the model was built from.
    """
    optimizer = model.optimizer if optimizer is None else optimizer
    own = trained_by(optimizer)
    wanted = {id(v) for v in own}
    ordered = [v for v in trainable_order(model, thawed=True, filed=filed) if id(v) in wanted]
    order = ordered if len(ordered) == len(own) else own
    listed = describe_optimizer(optimizer, order).children["_variables"]
    return [_leaf(item) for item in listed.trackable.children.values()]


def _leaf(item: Any) -> Leaf:
    leaf = item.trackable.leaf if isinstance(item, Virtual) else KerasLeaf(item)
    assert leaf is not None
    return leaf


def keras2_group(model: keras.Model) -> StateGroup:
    """An optimizer's state as tf_keras numbers it, or what it begins with.

    The sums of gradients, which come last, are left out: tf_keras makes each step at once.
    """
    optimizer = _set_up(model) if begins_scaled(model) else model.optimizer
    leaves = keras2_leaves(model, optimizer, filed=True)
    sums = getattr(wrapped(optimizer), ACCUMULATED, None) or ()
    leaves = leaves[: len(leaves) - len(sums)]
    tensors = {str(i): lazy_array(str(i), leaf.read()) for i, leaf in enumerate(leaves)}
    return StateGroup(NAME, tensors)


def begins_scaled(model: keras.Model) -> bool:
    """Whether a model's optimizer, one of Keras', scales losses and has made no step.

    tf_keras lets others begin without a state in the file, but of these it opens no file then.
    """
    optimizer: Any = getattr(model, "optimizer", None)
    inner: Any = None if optimizer is None else wrapped(optimizer)
    scales = inner is not optimizer
    return scales and not inner.built and inner.__module__.startswith("keras.")


def _set_up(model: keras.Model) -> Any:
    """One like the optimizer that a model's wraps, built; nothing in it follows from the rate."""
    optimizer = wrapped(model.optimizer)
    config = {**optimizer.get_config(), "learning_rate": 0.0}
    with made_aside():
        made = type(optimizer).from_config(config)
        made.build(model.trainable_variables)
    return made


def pair_optimizers(
    model: keras.Model, record: ModelRecord, assignment: Assignment, *, compare: bool = False
) -> None:
    """Pair what a record holds of a model's optimizers; the compiled one is built for that.

    With `compare` the classes of the two are compared, where the file tells: not every model is
    compiled as the one that was saved.

    Raises:
        MismatchError: the state is that of another model.
    """
    if getattr(model, "optimizer", None) is not None:
        _pair_compiled(model, record, assignment, compare)
    elif record.optimizer is not None:
        assignment.leave("the optimizer's state: the model is not compiled", *_names(record))
    groups = {group.name: group for group in record.state}
    live = objects_by_path(model)
    inner = {id(getattr(part, "optimizer", None)): part for part in inner_models(live).values()}
    for path, optimizer in optimizers_by_path(live).items():
        if optimizer is getattr(model, "optimizer", None):
            continue
        group = groups.get(path)
        if group is None:
            for variable in optimizer.variables:
                if id(variable) not in assignment.variables:
                    assignment.keep(f"{path}/{variable.name}: not in the file", variable)
        elif id(optimizer) in inner:
            _pair_inner(path, inner[id(optimizer)], group, record, assignment)
        elif optimizer.built:
            _own(path, model, group, record).match(optimizer, assignment)
        else:
            state = _own(path, model, group, record)
            wait_for_build(optimizer, state, assignment, record.path)
    _wait_for_owners(model, live, record, assignment)


def share_with_inner(model: Any, record: ModelRecord, assignment: Assignment) -> ModelRecord:
    """A record in which the state of an optimizer that a model shares with one inside is its own.

    Keras writes it where it comes by it first, which is in the model inside. It is shared where the
    two are compiled alike, the file has no other, and its slots are for the variables of the outer
    model and not for those of the inner one, which then gets the same object.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or record.optimizer is not None:
        return record
    groups = {group.name: group for group in record.state}
    for path, part in inner_models(objects_by_path(model)).items():
        group, own = groups.get(f"{path}/{NAME}"), getattr(part, "optimizer", None)
        if group is None or own is None or _said(own) != _said(optimizer):
            continue
        fits = [len(group.tensors) == _count(*one) for one in ((optimizer, model), (own, part))]
        if all(fits):
            assignment.lose(
                f"the file does not tell whether {part.name!r} and the model around it share the "
                f"optimizer whose state it holds: {part.name!r} has it, the outer one begins anew"
            )
        elif fits[0]:
            part.optimizer = optimizer
            rest = tuple(other for other in record.state if other is not group)
            return replace(record, state=rest, optimizer=group)
    return record


def _said(optimizer: Any) -> tuple[type, Any]:
    return type(optimizer), {k: v for k, v in optimizer.get_config().items() if k != "name"}


def _count(optimizer: Any, model: Any) -> int:
    """How many values an optimizer has for a model's variables."""
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    return len(optimizer.variables)


def _names(record: ModelRecord) -> list[str]:
    group = record.optimizer
    return [] if group is None else [f"{group.name}/{name}" for name in group.tensors]


def _pair_compiled(
    model: keras.Model, record: ModelRecord, assignment: Assignment, compare: bool
) -> None:
    group = record.optimizer
    if group is None and (_is_legacy(record.training) or _was_compiled(record)):
        state = OptimizerState(reason="tf_keras keeps none of its legacy optimizers in such files")
        pair_optimizer(model, state, assignment)
        return
    if group is None:
        for variable in model.optimizer.variables:
            assignment.keep(f"{NAME}/{variable.name}: the file holds no optimizer", variable)
        return
    stored = _stored(group)
    other = other_class(model.optimizer, record.names.get(NAME, "")) if compare else ""
    if other:
        state = OptimizerState(unknown=_names(record), reason=f"the file holds that of {other}")
        pair_optimizer(model, state, assignment)
        return
    state = numbered(model, stored, _order(model, record, stored), record.path)
    if _is_of_keras2(record, stored):
        state.steps = record.steps
    pair_optimizer(model, state, assignment)


def _was_compiled(record: ModelRecord) -> bool:
    """Whether weights without an optimizer are of a compiled model: its metrics are there."""
    return any(group.name.partition("/")[0] == METRICS for group in record.state)


def _is_legacy(training: Any) -> bool:
    """Whether a compile config names one of tf_keras' legacy optimizers."""
    if not isinstance(training, Mapping):
        return False
    config = training.get("optimizer", training.get("inner_optimizer"))
    if not isinstance(config, Mapping):
        return False
    return ".legacy" in str(config.get("module")) or _is_legacy(config.get("config"))


def other_class(optimizer: keras.optimizers.Optimizer, name: str) -> str:
    """The class that a file's name of an optimizer tells where it is another one; else ""."""
    name = NUMBER.sub("", name).lower().replace("_", "")
    known = {kind.lower() for kind in ROWS}
    live = {kind.__name__.lower() for kind in type(wrapped(optimizer)).__mro__}
    return name if name in known - live else ""


def _stored(group: StateGroup) -> list[Stored]:
    return [Stored(t, (f"{group.name}/{name}",)) for name, t in group.tensors.items()]


def _order(model: keras.Model, record: ModelRecord, stored: Sequence[Stored]) -> Order:
    """How the writer numbered values."""
    return (
        partial(keras2_leaves, model, filed=True)
        if _is_of_keras2(record, stored)
        else keras3_leaves
    )


def _is_of_keras2(record: ModelRecord, stored: Sequence[Stored]) -> bool:
    """Whether tf_keras numbered the values of an optimizer.

    A whole model says who wrote it. In weights alone tf_keras counts steps in 64 bits, as Keras 3
    does on TensorFlow, where the learning rate comes next.
    """
    if record.config is not None or record.dialect == "keras2":
        return record.dialect == "keras2"
    rated = len(stored) > 1 and stored[1].tensor.shape == ()
    return bool(stored) and stored[0].tensor.dtype is INT64 and not rated


# Optimizers of models inside a model


def _pair_inner(
    path: str, model: keras.Model, group: StateGroup, record: ModelRecord, assignment: Assignment
) -> None:
    """The state of an optimizer that a model inside was compiled with."""
    stored = _stored(group)
    state = numbered(model, stored, _order(model, record, stored), record.path)
    pair_optimizer(model, state, assignment, path)


# Optimizers of a step of the model's own


def _own(path: str, model: keras.Model, group: StateGroup, record: ModelRecord) -> Waiting:
    """The state of an optimizer that the model's own code makes or made."""
    stored = _stored(group)
    order = _order(model, record, stored)

    def match(optimizer: keras.optimizers.Optimizer, assignment: Assignment) -> None:
        live = list(order(optimizer))
        other = other_class(optimizer, record.names.get(path, ""))
        if other or [leaf.shape for leaf in live] != [value.tensor.shape for value in stored]:
            counts = f"{len(stored)} stored values, {len(live)} in the optimizer"
            raise MismatchError(
                f"the state of {path} is that of another optimizer",
                mismatches=[f"the file holds that of {other}" if other else counts],
                file=record.path,
            )
        for leaf, value in zip(live, stored, strict=True):
            assignment.pair(leaf, value.tensor, f"{path}/{leaf.name}", *value.names)
        rest = [v for v in optimizer.variables if id(v) not in assignment.variables]
        for variable in rest:
            assignment.keep(f"{path}/{variable.name}: as it is set up", variable)

    return Waiting(path, match, tuple(name for value in stored for name in value.names))


def _wait_for_owners(
    model: keras.Model, live: Mapping[str, Any], record: ModelRecord, assignment: Assignment
) -> None:
    """The state of optimizers that do not exist yet waits for them."""
    groups = {group.name: group for group in record.state}
    by_owner: dict[int, tuple[Any, dict[str, Waiting]]] = {}
    for path, (owner, name) in future_optimizers(live, record).items():
        _, states = by_owner.setdefault(id(owner), (owner, {}))
        states[name] = _own(path, model, groups[path], record)
    for owner, states in by_owner.values():
        wait(owner, states, assignment, record.path)
