"""The state of an optimizer by number: in Keras 3's order, and in Keras 2's."""

from __future__ import annotations

from typing import Any

from hozon.errors import MismatchError
from hozon.keras_private.values import deferred_initializers, give_value
from hozon.models.report import LoadReport
from hozon.models.tracking.layers import trainable_order
from hozon.models.tracking.leaves import KerasLeaf
from hozon.models.tracking.optimizers import describe_optimizer
from hozon.objects.tracking import Leaf, Virtual
from hozon.record import ModelRecord, StateGroup
from hozon.tensors.lazy import lazy_array, read_all

NAME = "optimizer"


def keras2_leaves(model: Any) -> list[Leaf]:
    """The values that Keras 2 numbers: the iteration, then slots in the order it made them."""
    optimizer = model.optimizer
    own = getattr(optimizer, "inner_optimizer", optimizer)._trainable_variables
    wanted = {id(v) for v in own}
    ordered = [v for v in trainable_order(model) if id(v) in wanted]
    order = ordered if len(ordered) == len(own) else list(own)
    listed = describe_optimizer(optimizer, order).children["_variables"]
    return [_leaf(item) for item in listed.trackable.children.values()]


def _leaf(item: Any) -> Leaf:
    leaf = item.trackable.leaf if isinstance(item, Virtual) else KerasLeaf(item)
    assert leaf is not None
    return leaf


def keras2_group(model: Any) -> StateGroup:
    """An optimizer's state as tf_keras numbers it."""
    tensors = {
        str(i): lazy_array(str(i), leaf.read()) for i, leaf in enumerate(keras2_leaves(model))
    }
    return StateGroup(NAME, tensors)


def restore(model: Any, record: ModelRecord, report: LoadReport) -> None:
    """Build the optimizer for the model's variables and give it what was saved of it.

    State for more or fewer variables, as of a model whose `trainable` changed after it was
    compiled, is left out, which the report says.

    Raises:
        MismatchError: the state is that of another model.
    """
    with deferred_initializers() as deferred:
        model.optimizer.build(model.trainable_variables)
        tensors = [] if record.optimizer is None else list(record.optimizer.tensors.values())
        live: list[Any] = [KerasLeaf(v) for v in model.optimizer.variables]
        if record.dialect == "keras2":
            live = keras2_leaves(model)
        if [t.shape for t in tensors] == [leaf.shape for leaf in live]:
            values = read_all(tensors)
            for leaf, value in zip(live, values, strict=True):
                if isinstance(leaf, KerasLeaf):
                    give_value(leaf.variable, value)
                else:
                    leaf.assign(value)
            report.matched.extend(f"{NAME}/{leaf.name}" for leaf in live)
        elif len(tensors) == len(live) and record.dialect == "keras3":
            raise MismatchError(
                "the optimizer's state is that of another model",
                file=record.path,
                mismatches=[
                    f"{NAME}/{leaf.name} has shape {leaf.shape}, the file holds {tensor.shape}"
                    for leaf, tensor in zip(live, tensors, strict=True)
                    if leaf.shape != tensor.shape
                ],
            )
        elif tensors:
            report.lost.append(
                f"state of the optimizer: {len(tensors)} stored variables, {len(live)} in the "
                "optimizer, or their shapes differ"
            )
        deferred.finish()
