"""Live Keras objects as TensorFlow's object graph: what `hozon.objects.tracking.track` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras

from hozon.keras_private.optimizers import trained_by
from hozon.models.tracking.containers import describe_container, is_container, is_object
from hozon.models.tracking.layers import describe_layer, trainable_order
from hozon.models.tracking.leaves import AssignableLeaf, KerasLeaf, is_assignable
from hozon.models.tracking.optimizers import describe_optimizer
from hozon.objects.tracking import Trackable, TrackedGraph, Virtual, track

__all__ = ["Describer", "is_trackable", "track_objects"]


def track_objects(root: Any) -> TrackedGraph:
    """The object graph that TensorFlow would make of a Keras object, container or checkpoint."""
    return track(root, Describer(root))


def is_trackable(value: Any) -> bool:
    """Whether a value can be a part of a checkpoint by itself, arrays aside."""
    return is_object(value) or is_container(value)


class Describer:
    """Tells what is known of each object reached from `root`: see `Trackable`.

    Called with an unknown object, it answers with neither children nor a value.
    """

    def __init__(self, root: Any) -> None:
        self.root = root

    def __call__(self, target: Any) -> Trackable:
        """What is known of one object."""
        if isinstance(target, keras.optimizers.Optimizer):
            return describe_optimizer(target, self._order(target))
        return _describe(target)

    @cached_property
    def _models(self) -> list[keras.Model]:
        nodes = track(self.root, _describe).nodes
        return [node.target for node in nodes if isinstance(node.target, keras.Layer)]

    def _order(self, optimizer: keras.optimizers.Optimizer) -> Sequence[keras.Variable]:
        """The optimizer's variables in the order in which Keras 2 would have handed them over.

        That is the order of ``trainable_variables`` of the model that has just these. With no such
        model in the graph it is their order here.
        """
        own = trained_by(optimizer)
        wanted = {id(variable) for variable in own}
        if not wanted:
            return own
        for model in self._models:
            every = trainable_order(model, thawed=True)
            ordered = [variable for variable in every if id(variable) in wanted]
            if len(ordered) == len(wanted):
                return ordered
        return own


def _describe(target: Any) -> Trackable:
    if isinstance(target, Virtual):
        return target.trackable
    if isinstance(target, keras.Variable):
        return Trackable(leaf=KerasLeaf(target))
    if isinstance(target, (keras.Layer, keras.Metric)):
        return describe_layer(target)
    if isinstance(target, keras.random.SeedGenerator):
        return Trackable({"state": target.state})
    if hasattr(type(target), "tracked_children"):
        return Trackable(target.tracked_children())
    if is_container(target):
        return describe_container(target)
    return Trackable(leaf=AssignableLeaf(target)) if is_assignable(target) else Trackable()
