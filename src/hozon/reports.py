"""What a save did: where it went, and what the form could not hold; warnings to the caller."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

__all__ = ["SaveReport", "warn"]


@dataclass(slots=True)
class SaveReport:
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
