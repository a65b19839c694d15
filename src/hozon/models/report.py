"""What a load did: which object came back how, which variables were found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import ClassVar

from hozon.errors import MismatchError
from hozon.reports import Report

#: How an object came back, best first.
RUNGS = ("custom class", "built-in class", "saved functions", "signature", "data")


@dataclass(frozen=True, slots=True)
class ObjectRung:
    """One saved object: its path, class, and the rung of the ladder on which it came back."""

    path: str
    class_name: str
    rung: str
    note: str = ""


@dataclass(slots=True, repr=False)
class LoadReport(Report):
    """The outcome of a load, per object and per variable.

    `matched`: variables that got their stored value; `missing`: variables of the model without a
    stored value; `unexpected`: stored values that no variable took; `mismatched`: pairs that
    disagree in shape; `deferred`: stored values that wait for a variable which does not exist yet;
    `converted` and `lost`: what was translated from an older dialect, and what has no counterpart.
    `kept` and `left_out` complete the account: variables that such a file is not meant to hold
    (running metrics, random numbers), and stored values that nothing here needs, with the reason.
    """

    kind: ClassVar[str] = "load"

    objects: list[ObjectRung] = field(default_factory=list)
    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add_object(self, path: str, class_name: str, rung: str, note: str = "") -> None:
        """Note how an object came back."""
        self.objects.append(ObjectRung(path, class_name, rung, note))

    def copy(self) -> LoadReport:
        """A report with the same entries."""
        return LoadReport(**{f.name: list(getattr(self, f.name)) for f in fields(self)})

    def restore(self, earlier: LoadReport) -> None:
        """Go back to what an earlier copy held."""
        for field_ in fields(self):
            setattr(self, field_.name, list(getattr(earlier, field_.name)))

    def rung(self, path: str) -> str:
        """The rung of the object at a path (``"root"``, ``"root.layer-0"`` ...)."""
        return next(o.rung for o in self.objects if o.path == path)

    def assert_consumed(self) -> LoadReport:
        """Raise MismatchError unless everything in the file and in the model was matched.

        What waits for variables that do not exist yet is not, nor is what was lost.
        """
        left = [
            *(f"no variable yet for the stored {name}" for name in self.deferred),
            *(f"lost: {line}" for line in self.lost),
        ]
        return self._assert_empty(self.missing, self.unexpected, [*self.mismatched, *left])

    def assert_existing_objects_matched(self) -> LoadReport:
        """Raise MismatchError unless every variable of the model got a value."""
        return self._assert_empty(self.missing, [], self.mismatched)

    def expect_partial(self) -> LoadReport:
        """Say that a partial match is fine; returns the report."""
        return self

    def _assert_empty(
        self, missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[str]
    ) -> LoadReport:
        problems = [
            *(f"no stored value for {name}" for name in missing),
            *(f"no variable for the stored {name}" for name in unexpected),
            *mismatched,
        ]
        if problems:
            raise MismatchError("file and model do not match", mismatches=problems)
        return self

    def __str__(self) -> str:
        counted = {rung: sum(o.rung == rung for o in self.objects) for rung in RUNGS}
        objects = ", ".join(f"{n} by {rung}" for rung, n in counted.items() if n)
        lines = [f"objects: {objects}"] if objects else []  # weights alone bring none
        lines.append(
            f"variables: {len(self.matched)} matched, {len(self.missing)} missing, "
            f"{len(self.unexpected)} unexpected, {len(self.mismatched)} mismatched"
            + (f", {len(self.deferred)} deferred" if self.deferred else "")
        )
        lines += [f"converted: {item}" for item in self.converted]
        lines += [f"lost: {item}" for item in self.lost]
        return "\n".join(lines)
