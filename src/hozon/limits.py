"""The one policy of sizes, depths, counts and ratios that every reader obeys.

A reader first compares what a file declares with the file's own length; these limits bound what
the length cannot: nesting, what compressed bytes may expand to, and how many records there may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, far above anything that a real model holds.

    Attributes:
        nesting: depth of nested messages, JSON values, groups and functions.
        header_bytes: bytes of one header or metadata document.
        message_bytes: bytes of one serialized protocol buffer (which has the same bound itself).
        key_bytes: bytes of one key of an index table, or of one name.
        key_ratio: bytes of all keys of an index table for each byte of its file.
        key_floor: bytes that all keys of an index table may have at any ratio.
        block_bytes: bytes of one uncompressed index block.
        expansion_ratio: uncompressed bytes for each compressed byte.
        members: members of an archive, or datasets of an HDF5 file.
        nodes: nodes of an object graph, or of all functions of a program.
        tensors: tensors of a checkpoint.
        rank: axes of a tensor (NumPy has no more).
        tensor_bytes: bytes of a tensor, also one with an axis of length 0 and other long ones.
        shards: data files of a checkpoint.
        slices: slices that one partitioned tensor is stored in.
        steps: nodes of a function and of those that it calls, each as often as it is called.
        elements: elements of a tensor whose shape a graph states, such as random numbers.
        weight_elements: elements of one weight; the largest published ones have some 2**32.
        fresh_bytes: bytes of the weights that an architecture asks for and no file holds.
        arrival_seconds: how long a process that saves with others waits for them.
    """

    nesting: int = 200
    header_bytes: int = 100 << 20
    message_bytes: int = (1 << 31) - 1
    key_bytes: int = 1 << 16
    key_ratio: int = 32
    key_floor: int = 8 << 20
    block_bytes: int = 256 << 20
    expansion_ratio: int = 256
    members: int = 1_000_000
    nodes: int = 10_000_000
    tensors: int = 10_000_000
    rank: int = 64
    tensor_bytes: int = (1 << 63) - 1
    shards: int = 100_000
    slices: int = 100_000
    steps: int = 2_000_000
    elements: int = 1 << 31
    weight_elements: int = 1 << 36
    fresh_bytes: int = 4 << 30
    arrival_seconds: float = 1800


LIMITS = Limits()
_ALLOWED: ContextVar[Limits] = ContextVar("hozon_limits", default=LIMITS)


def allowed() -> Limits:
    """The limits that hold here: of what takes memory or time, a caller can allow more."""
    return _ALLOWED.get()


@contextmanager
def allowing(
    *,
    steps: int | None = None,
    elements: int | None = None,
    fresh_bytes: int | None = None,
    arrival_seconds: float | None = None,
) -> Iterator[None]:
    """Allow graphs, architectures, other processes more, in this thread, while the body runs.

    Args:
        steps: see `Limits`; None leaves it.
        elements: see `Limits`; None leaves it.
        fresh_bytes: see `Limits`; None leaves it.
        arrival_seconds: see `Limits`; None leaves it.

    Example:
        >>> with hozon.limits.allowing(elements=1 << 33):
        ...     noise = loaded.sample_noise()
    """
    changes = {
        "steps": steps,
        "elements": elements,
        "fresh_bytes": fresh_bytes,
        "arrival_seconds": arrival_seconds,
    }
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    token = _ALLOWED.set(replace(_ALLOWED.get(), **given))
    try:
        yield
    finally:
        _ALLOWED.reset(token)
