"""The state of an optimizer in an H5 file: what each of its tensors is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hozon.errors import MismatchError
from hozon.keras_private.optimizers import thawed_variables, wrapped
from hozon.models.assignment import Pair
from hozon.models.assignment.optimizer import OptimizerState, Stored, named, numbered
from hozon.models.assignment.within_layer import plain_name, variable_of
from hozon.models.h5.slots import SlotTensors, sorted_out
from hozon.models.slots import known_name
from hozon.models.tracking.leaves import KerasLeaf
from hozon.record import ModelRecord

if TYPE_CHECKING:
    import keras


def stored_state(model: keras.Model, record: ModelRecord, given: Sequence[Pair]) -> OptimizerState:
    """What a record holds of the optimizer of a model that was given its weights.

    Raises:
        MismatchError: the state is that of another model.
    """
    assert record.optimizer is not None
    group = record.optimizer
    stored = {n: Stored(t, (f"{group.name}/{n}",)) for n, t in group.tensors.items()}
    if record.training_dialect == "keras3" and not any(":" in name for name in stored):
        # Keras 3 stores the learning rate with the rest, and names without output numbers.
        names = {id(variable_of(p)): plain_name(_in_file(record)[p.stored[0]]) for p in given}
        slots = any(value.tensor.shape for value in stored.values())  # else numbers tell as much
        told = (named(model, stored, names) or named(model, stored)) if slots else None
        return told or numbered(model, list(stored.values()), _keras3_leaves, record.path)
    if any(len(pair.stored) != 1 for pair in given):
        every = [name for value in stored.values() for name in value.names]
        reason = "it is in the layout of weights that had to be converted"
        return OptimizerState(unknown=every, reason=reason)
    state = _Named(model, record, given).state(stored)
    state.steps = record.steps
    return state


def _keras3_leaves(optimizer: keras.optimizers.Optimizer) -> list[KerasLeaf]:
    return [KerasLeaf(v) for v in optimizer.variables]


#: The last Keras that sorted what a model trains by the names of the variables.
SORTED = (2, 0, 5)


class _Named:
    """State by the names of slots, as Keras 1 and 2 wrote it."""

    def __init__(self, model: keras.Model, record: ModelRecord, given: Sequence[Pair]) -> None:
        self.class_name = known_name(type(wrapped(model.optimizer)))
        self.file = record.path
        thawed = {id(v) for v in thawed_variables(model)}
        once = {id(variable_of(pair)): pair for pair in reversed(given)}
        self.pairs = [
            pair
            for pair in given
            if id(variable_of(pair)) in thawed and once[id(variable_of(pair))] is pair
        ]
        self.names = _in_file(record)
        self.version = _version(record)
        self.sorted = record.dialect == "keras1" or () < self.version <= SORTED
        trained = {id(v) for v in model.trainable_variables}
        self.trained = [pair for pair in self.pairs if id(variable_of(pair)) in trained]
        self.problems: list[str] = []

    def state(self, stored: Mapping[str, Stored]) -> OptimizerState:
        """What each tensor is."""
        names = [self._name(pair) for pair in self.pairs]
        counts = (len(self.trained), len(self.pairs))
        found = sorted_out(self.class_name, stored, names, counts, self.version)
        state = OptimizerState(dict(found.scalars), found.unknown)
        state.aside = dict.fromkeys(found.settings, "as it is set up")
        for attribute, values in found.slots.items():
            self._slots(attribute, values, state)
        if self.problems or (stored and len(found.unknown) == len(stored)):
            self._refuse(found)
        return state

    def _name(self, pair: Pair) -> str:
        """What the file calls a variable."""
        return plain_name(self.names[pair.stored[0]])

    def _key(self, pair: Pair) -> str:
        return self.names[pair.stored[0]]

    def _refuse(self, found: SlotTensors) -> None:
        unknown = [f"{name} has no counterpart" for name in found.unknown]
        raise MismatchError(
            f"the state of optimizer {self.class_name} in the file does not fit the model; load "
            "it with compile=False",
            mismatches=[*self.problems, *unknown],
            file=self.file,
        )

    def _slots(
        self, attribute: str, values: Sequence[tuple[str, Stored]], state: OptimizerState
    ) -> None:
        for pair, value in self._owned(attribute, values, state):
            slot = attribute.strip("_")
            if pair.leaf.shape == value.tensor.shape or slot in ("r", "c", "v"):
                state.values[attribute, id(variable_of(pair))] = value
            else:
                self.problems.append(
                    f"{slot} of {pair.label} has shape {pair.leaf.shape}, the file "
                    f"holds {value.tensor.shape}"
                )

    def _owned(
        self, attribute: str, values: Sequence[tuple[str, Stored]], state: OptimizerState
    ) -> list[tuple[Pair, Stored]]:
        """Each slot with its variable: by name where names tell, else by the order of the file."""
        by_name = {self._name(pair): pair for pair in self.pairs}
        told = {name: value for name, value in values if name}
        if (
            len(by_name) == len(self.pairs)
            and told
            and len(told) == sum(bool(n) for n, _ in values)
        ):
            state.unknown.extend(n for name, value in values if not name for n in value.names)
            return [(by_name[name], value) for name, value in told.items()]
        for pairs in (self.trained, self.pairs):
            if len(values) == len(pairs):
                ordered = sorted(pairs, key=self._key) if self.sorted else pairs
                return list(zip(ordered, (value for _, value in values), strict=True))
        self.problems.append(
            f"{attribute.strip('_')} is stored for {len(values)} variables, the model has "
            f"{len(self.trained)}"
        )
        return []


def _in_file(record: ModelRecord) -> dict[str, str]:
    """The names of weights within their groups, by their names in assignments."""
    return {f"{group.name}/{name}": name for group in record.state for name in group.tensors}


def _version(record: ModelRecord) -> tuple[int, ...]:
    """The version of Keras that a file names; () where it names none."""
    found = re.match(r"keras (\d+)\.(\d+)\.(\d+)", record.producer)
    return () if found is None else tuple(map(int, found.groups()))
