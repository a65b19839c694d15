"""What a save did: where it went, and what the form could not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SaveReport"]


@dataclass(slots=True)
class SaveReport:
    """The outcome of a save.

    Attributes:
        path: what was written.
        format: the saved form, such as ``"savedmodel"``.
        nbytes: bytes of all files together.
        converted: what the form, or the Keras that it is for, says in another way.
        lost: what it cannot hold.
        fallbacks: TensorFlow functions that are one XlaCallModule op, with the JAX primitives that
            TensorFlow has no ops for. They run in TensorFlow and give no gradients there.
    """

    path: str
    format: str
    nbytes: int = 0
    converted: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.format}, {self.nbytes:,} bytes"]
        lines += [f"converted: {item}" for item in self.converted]
        lines += [f"lost: {item}" for item in self.lost]
        lines += [
            f"no native ops: {name} ({', '.join(primitives)})"
            for name, primitives in self.fallbacks.items()
        ]
        return "\n".join(lines)
