"""Processes that make one save together.

Every process makes the same calls, so that each comes to the same meetings in the same order. At a
meeting each says something and hears what all have said; if one has failed, all fail there. The
process of index 0 leads: it alone makes what there is one of, and puts the whole in its place.

Who the others are is known above, where JAX is; see `hozon.graphs.processes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hozon.raw.stores.seen import forget_all

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Team(Protocol):
    """The processes of a save.

    Attributes:
        index: which one this is.
        count: how many there are.
    """

    index: int
    count: int

    def meet(self, word: bytes = b"") -> list[bytes]:
        """Wait for all, and hear what each has said, in their order.

        Raises:
            SaveError: one has failed, or did not come.
        """

    def fail(self, error: BaseException) -> None:
        """Say at the next meeting that this process has failed."""

    def whole(self, value: Any) -> NDArray[Any]:
        """The values of an array that lies on devices of several processes, at a meeting."""


_TEAM: ContextVar[Team | None] = ContextVar("team", default=None)


def team() -> Team | None:
    """The processes that save together with this one; None where it is alone."""
    return _TEAM.get()


def leads() -> bool:
    """Whether this process makes what there is one of."""
    others = team()
    return others is None or others.index == 0


@contextmanager
def together(others: Team) -> Iterator[None]:
    """What is saved inside is one save of all of these."""
    token = _TEAM.set(others)
    try:
        yield
    except BaseException as error:
        others.fail(error)
        raise
    finally:
        _TEAM.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """What is saved inside is of this process alone."""
    token = _TEAM.set(None)
    try:
        yield
    finally:
        _TEAM.reset(token)


def on_host(value: Any) -> NDArray[Any]:
    """The values of an array, wherever it lies; on devices of several processes, at a meeting."""
    others = team()
    if others is not None and not (
        getattr(value, "is_fully_addressable", True) or value.is_fully_replicated
    ):
        return others.whole(value)
    return np.asarray(value)


@contextmanager
def led() -> Iterator[bool]:
    """Whether this process leads, once all are here; the others go on when the leader is done."""
    others = team()
    if others is None:
        yield True
        return
    others.meet()
    yield others.index == 0
    others.meet()
    forget_all()  # the leader has changed what this process has seen
