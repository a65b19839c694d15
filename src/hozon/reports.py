"""What a save did: where it went, and what the form could not hold; warnings to the caller."""

from __future__ import annotations

import inspect
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, is_dataclass
from html import escape
from typing import Any, ClassVar, cast

from hozon.errors import SCHEMA_VERSION as SCHEMA_VERSION

__all__ = ["SCHEMA_VERSION", "Report", "SaveReport", "plain", "size_text", "warn"]

UNITS = ("B", "kB", "MB", "GB", "TB")
#: Items of a list that a table in a notebook shows.
SHOWN = 100


class Report:
    """What all reports have in common: text for people, plain JSON, a table in a notebook.

    Attributes:
        kind: what it is a report of; in `to_dict`.
        hidden: attributes that are for the running program alone.
    """

    __slots__ = ()

    kind: ClassVar[str] = "report"
    hidden: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, under ``schema_version`` and ``kind``."""
        made = {name: plain(value) for name, value in self._facts()}
        return {"schema_version": SCHEMA_VERSION, "kind": self.kind, **made}

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def _facts(self) -> Iterator[tuple[str, Any]]:
        for item in fields(cast("Any", self)):
            if item.name not in self.hidden:
                yield item.name, getattr(self, item.name)

    def __repr__(self) -> str:
        """One line: the first of `str()`, and how many of what is listed."""
        counts = [
            f"{len(value)} {name.replace('_', ' ')}"
            for name, value in self._facts()
            if isinstance(value, (list, tuple, dict, Mapping)) and value
        ]
        title = str(self).partition("\n")[0]
        return f"<{type(self).__name__} {', '.join([title, *counts])[:200]}>"

    def _repr_html_(self) -> str:
        """A table of all facts, for notebooks."""
        rows = [
            f"<tr><th style='text-align:left;vertical-align:top'>{escape(name)}</th>"
            f"<td style='text-align:left'>{_html(value)}</td></tr>"
            for name, value in self._facts()
            if value not in (None, "", (), [], {})
        ]
        title = escape(str(self).partition("\n")[0])
        return f"<table><caption>{title}</caption>{''.join(rows)}</table>"


def plain(value: Any) -> Any:
    """A value as JSON has it: records as objects, sequences as lists, the rest as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):  # JSON has no name for what is no number
        return value if math.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return plain(value.item()) if hasattr(value, "item") else str(value)


def _html(value: Any) -> str:
    if isinstance(value, Mapping):
        lines = [f"{key}: {item}" for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        lines = [_line(item) for item in value]
    else:
        return escape(f"{value:,}" if type(value) is int else str(value))
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    listed = "<br>".join(escape(line) for line in [*lines[:SHOWN], *more])
    return f"<details><summary>{len(lines)}</summary>{listed}</details>" if lines else ""


def _line(item: Any) -> str:
    if is_dataclass(item) and not isinstance(item, type) and type(item).__str__ is object.__str__:
        return ", ".join(f"{getattr(item, field.name)}" for field in fields(item))
    return str(item)


def size_text(count: int) -> str:
    """A number of bytes in a unit that people read."""
    value = float(count)
    unit = next(u for n, u in enumerate(UNITS) if value < 1000 ** (n + 1) or u == UNITS[-1])
    value /= 1000 ** UNITS.index(unit)
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


@dataclass(slots=True, repr=False)
class SaveReport(Report):
    """The outcome of a save. One in the background, ``blocking=False``, fills it in when it ends.

    Attributes:
        path: what was written.
        format: the saved form, such as ``"savedmodel"``.
        nbytes: bytes of all files together.
        converted: what the form, or the Keras that it is for, says in another way.
        lost: what it cannot hold.
        fallbacks: TensorFlow functions that are one XlaCallModule op, with the JAX primitives that
            TensorFlow has no ops for. They run in TensorFlow and give no gradients there.
        task: the save in the background, if it is one; see `wait`.
    """

    kind: ClassVar[str] = "save"
    hidden: ClassVar[tuple[str, ...]] = ("task",)

    path: str
    format: str
    nbytes: int = 0
    converted: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: Future[None] | None = field(default=None, repr=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether the save is over; only one with ``blocking=False`` may not be."""
        return self.task is None or self.task.done()

    def wait(self, timeout: float | None = None) -> SaveReport:
        """Wait until the save is over, and return this report, which is complete then.

        Args:
            timeout: the most seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: it is not over yet.
            HozonError: whatever made it fail. The file is as it was before.
        """
        if self.task is not None:
            self.task.result(timeout)
        return self

    def take(self, other: SaveReport) -> None:
        """Become what another report says."""
        self.path, self.format, self.nbytes = other.path, other.format, other.nbytes
        self.converted, self.lost, self.fallbacks = other.converted, other.lost, other.fallbacks

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.format}, {self.nbytes:,} bytes"]
        lines += [f"converted: {item}" for item in self.converted]
        lines += [f"lost: {item}" for item in self.lost]
        lines += [
            f"no native ops: {name} ({', '.join(primitives)})"
            for name, primitives in self.fallbacks.items()
        ]
        return "\n".join(lines)


def warn(message: str) -> None:
    """Warn at the line outside of Hozon that called it."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "hozon":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level + 1)
