"""Optimizer state of a SavedModel: iterations, learning rate, slots.

Two generations wrote it (tf_keras/optimizers): the legacy ``OptimizerV2`` keeps slot variables by
(variable, slot name) and hyperparameters as variables; the newer one keeps lists of variables as
attributes, in the order of the model's trainable variables. Keras 3 has such lists too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.models.savedmodel.load.weights import Assigner

#: For each class: (attribute in Keras 3, legacy slot name, attribute of the newer generation).
Slots = tuple[tuple[str, str, str], ...]
MOMENTS: Slots = (
    ("_momentums", "m", "_momentums"),
    ("_velocities", "v", "_velocities"),
)
SLOTS: Mapping[str, Slots] = {
    "Adam": (*MOMENTS, ("_velocity_hats", "vhat", "_velocity_hats")),
    "AdamW": (*MOMENTS, ("_velocity_hats", "vhat", "_velocity_hats")),
    "Nadam": MOMENTS,
    "Adamax": (("_m", "m", "_m"), ("_u", "v", "_u")),
    "SGD": (("momentums", "momentum", "momentums"),),
    "RMSprop": (
        ("_velocities", "rms", "_velocities"),
        ("_momentums", "momentum", "_momentums"),
        ("_average_gradients", "mg", "_average_gradients"),
    ),
    "Adagrad": (("_accumulators", "accumulator", "_accumulators"),),
    "Adadelta": (
        ("_accumulated_grads", "accum_grad", "_accumulated_grads"),
        ("_accumulated_delta_vars", "accum_var", "_accumulated_delta_vars"),
    ),
    "Ftrl": (
        ("_accumulators", "accumulator", "_accumulators"),
        ("_linears", "linear", "_linears"),
    ),
    "Lion": (("_momentums", "m", "momentums"),),
    "Adafactor": (("_r", "r", "_r"), ("_c", "c", "_c"), ("_v", "v", "_v")),
}
#: Scalars besides iterations and learning rate: (attribute in Keras 3, edges that may hold it).
SCALARS: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Nadam": (("_u_product", ("_u_product", "_m_cache", "momentum_cache")),),
}
ITERATIONS = ("_iterations", "iter")
LEARNING_RATE = ("_learning_rate", "learning_rate")
INNER = ("base_optimizer", "_optimizer", "inner_optimizer")


class OptimizerState:
    """Copies the state of one saved optimizer into a built Keras optimizer."""

    def __init__(self, objects: KerasObjects, assigner: Assigner) -> None:
        self.objects = objects
        self.assigner = assigner

    def restore(self, node_id: int, optimizer: Any, variables: Sequence[keras.Variable]) -> None:
        """Restore `optimizer`, built for `variables`, from the object at `node_id`."""
        children = self.objects.children(node_id)
        inner = next((children[name] for name in INNER if name in children), None)
        if inner is not None and hasattr(optimizer, "inner_optimizer"):
            self._loss_scale(children, optimizer)
            self.restore(inner, optimizer.inner_optimizer, variables)
            self._scalar(children, (*ITERATIONS,), optimizer.iterations)
            return
        self._scalar(children, ITERATIONS, optimizer.iterations)
        if inner is not None:
            self.restore(inner, optimizer, variables)
            return
        rate = getattr(optimizer, "_learning_rate", None)
        if isinstance(rate, keras.Variable):
            self._scalar(children, LEARNING_RATE, rate)
        name = type(optimizer).__name__.removeprefix("Legacy")
        for attribute, edges in SCALARS.get(name, ()):
            self._scalar(children, edges, getattr(optimizer, attribute))
        for attribute, slot, edge in SLOTS.get(name, ()):
            live = getattr(optimizer, attribute, None)
            if live:
                self._slots(node_id, children, slot, edge, live, variables)
        self._averages(children, optimizer, variables)

    def _scalar(
        self, children: Mapping[str, int], edges: Sequence[str], target: keras.Variable
    ) -> None:
        for edge in edges:
            if edge in children and self.objects.variable(children[edge]) is not None:
                self.assigner.assign(children[edge], target, "optimizer")
                return

    def _loss_scale(self, children: Mapping[str, int], optimizer: Any) -> None:
        scale = children.get("loss_scale", children.get("_loss_scale"))
        if scale is None:
            return
        state = self.objects.children(scale)
        self._scalar(state, ("current_loss_scale",), optimizer.dynamic_scale)
        self._scalar(state, ("good_steps", "counter"), optimizer.step_counter)

    def _slots(
        self,
        node_id: int,
        children: Mapping[str, int],
        slot: str,
        edge: str,
        live: Sequence[keras.Variable],
        variables: Sequence[keras.Variable],
    ) -> None:
        position = {id(variable): i for i, variable in enumerate(variables)}
        for saved, slot_node in self._saved_slots(node_id, children, slot, edge):
            owner = self.assigner.variables.get(saved)
            index = position.get(id(owner)) if owner is not None else None
            if index is not None and index < len(live):
                self.assigner.assign(slot_node, live[index], f"optimizer/{slot}")

    def _saved_slots(
        self, node_id: int, children: Mapping[str, int], slot: str, edge: str
    ) -> list[tuple[int, int]]:
        """Pairs of (variable node, node of its slot)."""
        legacy = [
            (s.variable, s.slot)
            for s in self.objects.graph.nodes[node_id].slot_variables
            if s.name == slot
        ]
        if legacy or edge not in children:
            return legacy
        return list(zip(self._trainable(), self.objects.items(children[edge]), strict=False))

    def _trainable(self) -> list[int]:
        """The trainable variables of the root in Keras 2's order: the order of slot lists."""
        root = self.objects.children(0)
        name = "trainable_variables"
        return self.objects.items(root[name]) if name in root else []

    def _averages(
        self, children: Mapping[str, int], optimizer: Any, variables: Sequence[keras.Variable]
    ) -> None:
        """The moving averages of ``use_ema``."""
        live = getattr(optimizer, "_model_variables_moving_average", None)
        edge = children.get("_model_variables_moving_average")
        if not live or edge is None:
            return
        position = {id(variable): i for i, variable in enumerate(variables)}
        for saved, node in zip(self._trainable(), self.objects.items(edge), strict=False):
            owner = self.assigner.variables.get(saved)
            if owner is not None and id(owner) in position:
                self.assigner.assign(node, live[position[id(owner)]], "optimizer/average")
