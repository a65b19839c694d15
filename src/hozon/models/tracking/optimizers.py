"""Optimizers as trackable objects, under the names of tf_keras' two generations.

The newer one (tf_keras/src/optimizers/optimizer.py) tracks one list ``_variables``, in which
iterations come first and slots follow in the order in which `build` makes them, and each slot list
as an attribute. The learning rate is a variable of its own, or, with a schedule,
``_current_learning_rate``, the rate of the last step. The legacy one keeps slots by variable and
name, and hyperparameters as variables; its names are understood when reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np

from hozon.keras_private.optimizers import (
    counter_of,
    is_placeholder,
    is_scalar,
    rate_of,
    trained_by,
)
from hozon.models.slots import (
    ACCUMULATED,
    ALTERNATING,
    ALWAYS,
    AVERAGE,
    HYPERPARAMETERS,
    ROWS,
    SCALARS,
    Slot,
    known_name,
)
from hozon.models.tracking.leaves import (
    AttributeLeaf,
    ComputedLeaf,
    KerasLeaf,
    TwoLeaves,
)
from hozon.objects.tracking import Leaf, Trackable, Virtual
from hozon.stored.dtypes import FLOAT32, INT64, dtype_of_name

#: Lists that every optimizer has besides slots of its own.
SHARED = frozenset({"_trainable_variables", "_variables", AVERAGE.attribute, ACCUMULATED})


def describe_optimizer(
    optimizer: keras.optimizers.Optimizer, order: Sequence[keras.Variable]
) -> Trackable:
    """An optimizer; a loss-scaling one has the edges of the inner one and ``loss_scale``.

    `order` holds the optimizer's variables in Keras 2's order, in which slots are numbered.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None:
        return Optimizer(optimizer, (optimizer,), order).describe()
    plain = Optimizer(inner, (inner, optimizer), order).describe()
    children = dict(plain.children)
    children["loss_scale"] = Virtual(optimizer, "loss_scale", _loss_scale(optimizer))
    # TensorFlow before 2.4 kept the inner optimizer as an object of its own.
    aliases = {**plain.aliases, "base_optimizer": Virtual(optimizer, "base_optimizer", plain)}
    return Trackable(children, aliases=aliases, slots=plain.slots)


def _loss_scale(optimizer: keras.optimizers.Optimizer) -> Trackable:
    if not optimizer.built:
        return Trackable()
    counter = Trackable(leaf=KerasLeaf(optimizer.step_counter, INT64))
    steps = Virtual(optimizer, "good_steps", counter)
    return Trackable({"current_loss_scale": optimizer.dynamic_scale, "good_steps": steps})


class Optimizer:
    """One optimizer and those whose iterations it counts (itself and a loss-scaling wrapper)."""

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        counted: Sequence[Any],
        order: Sequence[keras.Variable],
    ) -> None:
        self.optimizer = optimizer
        self.order = order
        positions = {id(v): i for i, v in enumerate(trained_by(optimizer))}
        self.positions = [positions[id(v)] for v in order]
        self.name = known_name(type(optimizer))
        self.rows: tuple[Slot, ...] = ROWS.get(self.name, ())
        self.iterations = self._virtual("_iterations", _iterations(counted))

    def describe(self) -> Trackable:
        """The edges, those of legacy files as aliases."""
        rate = self._rate()
        slots = self.slot_lists()
        ordered = [self.iterations, *self.ordered(slots)]
        numbered = {"_variables": self._list("_variables", ordered)}
        named = {edge: self._list(edge, items) for edge, items in slots.items()}
        rest = {"_iterations": self.iterations, **rate}
        # Keys are made of the first of equally long paths. Keras 2 numbers all variables; what it
        # does not have is named after its kind.
        children = {**numbered, **rest, **named} if self.rows else {**rest, **named, **numbered}
        scalars = self._scalars()
        children |= {edges[0]: variable for edges, variable in scalars}
        aliases = {edge: variable for edges, variable in scalars for edge in edges[1:]}
        return Trackable(children, aliases=self._legacy(rate) | aliases, slots=self.slot)

    def _virtual(self, name: str, leaf: Leaf) -> Virtual:
        return Virtual(self.optimizer, name, Trackable(leaf=leaf))

    def _list(self, name: str, items: Sequence[Any]) -> Virtual:
        numbered = {str(i): item for i, item in enumerate(items) if item is not None}
        return Virtual(self.optimizer, name, Trackable(numbered))

    def _rate(self) -> dict[str, Any]:
        rate = rate_of(self.optimizer)
        if isinstance(rate, keras.Variable):
            return {"_learning_rate": rate}
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            leaf = ComputedLeaf("learning_rate", FLOAT32, (), self._last_rate)
            return {"_current_learning_rate": self._virtual("_current_learning_rate", leaf)}
        return {}

    def _last_rate(self) -> Any:
        step = np.maximum(keras.ops.convert_to_numpy(self.optimizer.iterations) - 1, 0)
        return rate_of(self.optimizer)(keras.ops.convert_to_tensor(step))

    def slot_lists(self) -> dict[str, list[Any]]:
        """Slot lists by Keras 2's attribute, moving averages first, as they are made."""
        found = {}
        for row in (AVERAGE, *self.rows):
            live = getattr(self.optimizer, row.attribute, None)
            if live:
                found[row.edge] = self._arranged(live)
            elif self.optimizer.built and ALWAYS.get(self.name) == row.edge:
                found[row.edge] = self._unused(row.edge)
        if not self.rows:
            found |= self._unknown_lists()
        extra = getattr(self.optimizer, ACCUMULATED, None)
        if extra:
            found[ACCUMULATED] = self._arranged(extra)
        return found

    def _unknown_lists(self) -> dict[str, list[Any]]:
        """Slot lists of a class that Keras 2 does not have: attributes with a slot a variable.

        Muon, for one, has none for some variables.
        """
        count = len(self.order)
        return {
            name: self._arranged(value)
            for name, value in vars(self.optimizer).items()
            if isinstance(value, list)
            and len(value) == count
            and name not in SHARED
            and any(isinstance(item, keras.Variable) for item in value)
        }

    def _arranged(self, slots: Sequence[Any]) -> list[Any]:
        return [slots[position] for position in self.positions]

    def _unused(self, edge: str) -> list[Virtual]:
        """Zeros in place of slots that Keras 3 leaves out."""
        return [
            self._virtual(
                f"{edge}/{i}",
                ComputedLeaf(f"{edge}/{v.path}", dtype_of_name(v.dtype), tuple(v.shape), _Zeros(v)),
            )
            for i, v in enumerate(self.order)
        ]

    def ordered(self, slots: Mapping[str, list[Any]]) -> list[Any]:
        """The slots in the order of Keras 2's `build`."""
        edges = iter(row.edge for row in self.rows)
        groups = [
            tuple(islice(edges, size)) for size in ALTERNATING.get(self.name, (len(self.rows),))
        ]
        ordered: list[Any] = []
        for group in ((AVERAGE.edge,), *groups, (ACCUMULATED,)):
            lists = [slots[edge] for edge in group if edge in slots]
            ordered += [
                item
                for items in zip(*lists, strict=True)
                for item in items
                if not (isinstance(item, keras.Variable) and is_placeholder(item))
            ]
        if not self.rows:
            ordered = [v for v in self.optimizer.variables if not is_scalar(self.optimizer, v)]
        return ordered

    def _of_number(self, slots: Mapping[str, list[Any]], index: int, number: int) -> Any:
        """The slot of that number among those of one variable."""
        of = {id(item): place for items in slots.values() for place, item in enumerate(items)}
        found = [item for item in self.ordered(slots) if of.get(id(item)) == index]
        return found[number] if number < len(found) else None

    def _scalars(self) -> list[tuple[tuple[str, ...], Any]]:
        found = (
            (edges, getattr(self.optimizer, attribute, None))
            for attribute, edges in SCALARS.get(self.name, ())
        )
        return [(edges, variable) for edges, variable in found if variable is not None]

    def _legacy(self, rate: Mapping[str, Any]) -> dict[str, Any]:
        aliases: dict[str, Any] = {"iter": self.iterations}
        zero = ComputedLeaf("decay", FLOAT32, (), _zero)
        aliases["decay"] = self._virtual("decay", zero)
        if rate:
            aliases["learning_rate"] = next(iter(rate.values()))
        for name in HYPERPARAMETERS:
            if isinstance(getattr(self.optimizer, name, None), (int, float)):
                leaf = AttributeLeaf(self.optimizer, name, name)
                aliases[name] = self._virtual(name, leaf)
        return aliases

    def slot(self, variable: keras.Variable, name: str) -> Any:
        """What holds a slot of a variable; None before the optimizer is built.

        `name` is the legacy one, or the slot's number among those of its variable.
        """
        index = next((i for i, v in enumerate(self.order) if v is variable), None)
        lists = self.slot_lists()
        if name.isdigit():
            return None if index is None else self._of_number(lists, index, int(name))
        row = next((slot.edge for slot in self.rows if slot.legacy == name), None)
        if index is None or row not in lists or index >= len(lists[row]):
            return None
        return lists[row][index]


class _Zeros:
    """Zeros like a variable, made when they are written."""

    def __init__(self, variable: keras.Variable) -> None:
        self.variable = variable

    def __call__(self) -> Any:
        return np.zeros(tuple(self.variable.shape), dtype_of_name(self.variable.dtype).numpy)


def _zero() -> float:
    return 0.0


def _iterations(counted: Sequence[Any]) -> Leaf:
    """The counter as the 64 bits that TensorFlow keeps."""
    leaves = [KerasLeaf(counter_of(optimizer), INT64) for optimizer in counted]
    return leaves[0] if len(leaves) == 1 else TwoLeaves(leaves[0], leaves[1])
