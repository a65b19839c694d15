"""State of optimizers that a model's own code makes after the load: its own ``compile``, say.

A file has it under the attribute that held the optimizer. It waits, listed as deferred, until the
model has an optimizer there and that is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from hozon.errors import MismatchError
from hozon.keras_private.watch import unwatch, watch
from hozon.models.assignment import Assignment, apply
from hozon.models.report import LoadReport
from hozon.reports import warn

#: Pairs what is stored with an optimizer that is built.
#: Raises MismatchError where it is the state of another one.
Match = Callable[[Any, Assignment], None]


@dataclass(slots=True)
class Waiting:
    """The state of one optimizer: its name in reports, how it is paired, its tensors' names."""

    label: str
    match: Match
    names: tuple[str, ...]


def wait(owner: Any, states: Mapping[str, Waiting], assignment: Assignment, file: str) -> None:
    """Give each optimizer that `owner` gets as an attribute its state, by attribute."""
    for stored in states.values():
        assignment.defer(stored.label, *stored.names)
    watch(owner, _Owner(dict(states), assignment.report, file))


def wait_for_build(
    optimizer: keras.optimizers.Optimizer, stored: Waiting, assignment: Assignment, file: str
) -> None:
    """Give an optimizer its state once it is built."""
    assignment.defer(stored.label, *stored.names)
    for variable in optimizer.variables:
        name = f"{stored.label}/{variable.name}"
        assignment.keep(f"{name}: waits for the optimizer's build", variable)
    watch(optimizer, _Built({"": stored}, "", assignment.report, file))


@dataclass(slots=True)
class _Owner:
    """Looks for optimizers among the attributes that a model gains."""

    states: dict[str, Waiting]
    report: LoadReport
    file: str

    def attribute(self, owner: Any, name: str, value: Any) -> None:  # noqa: ARG002 - a `Watcher`
        """The model gains an attribute."""
        if name not in self.states or not isinstance(value, keras.optimizers.Optimizer):
            return
        built = _Built(self.states, name, self.report, self.file)
        if value.built:
            built.changed(value)
        else:
            watch(value, built)

    def changed(self, owner: Any) -> None:
        """The model was built, which makes no optimizer."""


@dataclass(slots=True)
class _Built:
    """Gives an optimizer that is built its state, unless another one had it before."""

    states: dict[str, Waiting]
    name: str
    report: LoadReport
    file: str

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """An optimizer gains nothing else."""

    def changed(self, owner: Any) -> None:
        """The optimizer was built."""
        unwatch(owner, self)
        stored = self.states.pop(self.name, None)
        if stored is None:
            return
        self.report.deferred.remove(stored.label)
        assignment = Assignment(report=self.report)
        try:
            stored.match(owner, assignment)
            apply(assignment, self.file)
        except MismatchError as error:
            assignment.lose(f"{stored.label}: {error}")
            warn(f"The state of {stored.label} did not come back, it begins anew: {error}")
