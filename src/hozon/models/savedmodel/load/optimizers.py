"""What a SavedModel that Keras 2 wrote holds of an optimizer, by its object graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.keras_private.optimizers import wrapped
from hozon.models.assignment.optimizer import (
    ITERATIONS,
    RATE,
    SCALE,
    STEPS,
    OptimizerState,
    Role,
    Stored,
)
from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.models.slots import AVERAGE, INNER, ROWS, SCALARS, Slot, known_name
from hozon.models.slots import ITERATIONS as ITERATION_EDGES
from hozon.models.slots import LEARNING_RATE as RATE_EDGES

if TYPE_CHECKING:
    import keras

#: Edges to the state of loss scaling, and in it to the scale and the counter of good steps.
LOSS_SCALE = ("loss_scale", "_loss_scale")
SCALE_EDGES, STEPS_EDGES = ("current_loss_scale",), ("good_steps", "counter")


class SavedOptimizer:
    """The optimizer at a node of the object graph, wrappers and inner ones together.

    Args:
        objects: of the file.
        node_id: where the optimizer is.
        variables: the live variable of each stored one.
    """

    def __init__(self, objects: KerasObjects, node_id: int, variables: Mapping[int, Any]) -> None:
        self.objects = objects
        self.node = node_id
        self.variables = variables
        names = {node: self._name(node) for node in variables}
        self._by_name: dict[str, list[int]] = {}
        for node, name in names.items():
            self._by_name.setdefault(name, []).append(node)

    def state(self, optimizer: keras.optimizers.Optimizer) -> OptimizerState:
        """What is stored of it, for a live optimizer of its class."""
        found = OptimizerState(steps="unknown")
        name = known_name(type(wrapped(optimizer)))
        levels = list(self._levels())
        for node in levels:
            children = self.objects.children(node)
            self._scalar(children, ITERATION_EDGES, ITERATIONS, found)
            self._scalar(children, RATE_EDGES, RATE, found)
            for attribute, edges in SCALARS.get(name, ()):
                self._scalar(children, edges, (attribute, 0), found)
            for slot in (*ROWS.get(name, ()), AVERAGE):
                self._slots(node, slot, found)
        self._loss_scale(levels[0], found)
        taken = set(found.names)
        for key in self.keys():
            if key not in taken:
                self._rest(key, found)
        return found

    def keys(self) -> Iterator[str]:
        """The checkpoint keys of everything that belongs to the optimizer."""
        for node in sorted(self._below()):
            yield from (tensor.key for tensor in self.objects.artifact.stored.get(node, ()))

    def _below(self) -> set[int]:
        """The optimizer's nodes; the model's variables, which it knows too, are not its own."""
        found, waiting = set(), [self.node]
        while waiting:
            node = waiting.pop()
            if node in found or node in self.variables or node in self.objects.nodes:
                continue
            found.add(node)
            waiting.extend(self.objects.children(node).values())
            waiting.extend(s.slot for s in self.objects.graph.nodes[node].slot_variables)
        return found

    def _levels(self) -> Iterator[int]:
        """The optimizer and those inside of it, the innermost last."""
        node: int | None = self.node
        seen: set[int] = set()
        while node is not None and node not in seen:
            seen.add(node)
            yield node
            children = self.objects.children(node)
            node = next((children[name] for name in INNER if name in children), None)

    def _rest(self, key: str, found: OptimizerState) -> None:
        """A value that is no slot: numbers are settings, which the configuration holds, too."""
        tensor = self.objects.artifact.bundle[key]  # type: ignore[index]
        if tensor.shape:
            found.unknown.append(key)
        else:
            found.aside[key] = "as it is set up"

    def _stored(self, node: int) -> Stored | None:
        saved = self.objects.variable(node)
        tensor = None if saved is None else self.objects.artifact.variable_value(node, saved)
        return None if tensor is None else Stored(tensor, (tensor.name,))

    def _scalar(
        self,
        children: Mapping[str, int],
        edges: Sequence[str],
        role: Role,
        found: OptimizerState,
    ) -> None:
        for edge in edges:
            stored = self._stored(children[edge]) if edge in children else None
            if stored is not None:
                found.values[role] = stored
                return

    def _loss_scale(self, node: int, found: OptimizerState) -> None:
        children = self.objects.children(node)
        scale = next((children[edge] for edge in LOSS_SCALE if edge in children), None)
        if scale is not None:
            state = self.objects.children(scale)
            self._scalar(state, SCALE_EDGES, SCALE, found)
            self._scalar(state, STEPS_EDGES, STEPS, found)

    def _slots(self, node: int, slot: Slot, found: OptimizerState) -> None:
        for variable, at in self._saved_slots(node, slot):
            live, stored = self.variables.get(variable), self._stored(at)
            if live is not None and stored is not None:
                found.values.setdefault((slot.attribute, id(live)), stored)

    def _saved_slots(self, node: int, slot: Slot) -> list[tuple[int, int]]:
        """(node of a variable, node of its slot): as the file says, or by the names of slots."""
        legacy = [
            (s.variable, s.slot)
            for s in self.objects.graph.nodes[node].slot_variables
            if s.name == slot.legacy
        ]
        edge = self.objects.children(node).get(slot.edge)
        if legacy or edge is None:
            return legacy
        items = self.objects.items(edge)
        named = [(self._owner(item), item) for item in items]
        if all(owner is not None for owner, _ in named):
            return [(owner, item) for owner, item in named if owner is not None]
        trained = self._trainable()
        return list(zip(trained, items, strict=True)) if len(trained) == len(items) else []

    def _owner(self, slot: int) -> int | None:
        """The one variable whose name a slot's name ends with: ``Adam/m/dense/kernel``."""
        parts = self._name(slot).split("/")
        for start in range(1, len(parts)):
            found = self._by_name.get("/".join(parts[start:]), [])
            if found:
                return found[0] if len(found) == 1 else None
        return None

    def _name(self, node: int) -> str:
        saved: SavedVariable | None = self.objects.variable(node)
        return "" if saved is None else saved.name.split(":")[0]

    def _trainable(self) -> list[int]:
        """The trainable variables of the root in Keras 2's order: the order of slot lists."""
        root = self.objects.children(0)
        name = "trainable_variables"
        return self.objects.items(root[name]) if name in root else []
