"""Collective saves where JAX runs in several processes (``jax.distributed``).

What processes say to each other goes through the key-value store of JAX's coordination service,
which every process has reached already. A key is the number of the save, of the meeting, and of the
process; each process counts alike, since each makes the same calls.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from hozon.errors import SaveError
from hozon.limits import allowed
from hozon.raw.team import Team, team, together

if TYPE_CHECKING:
    from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

#: Bytes of a value of the store; longer words are several.
PIECE = 1 << 20
WELL, FAILED = b"+", b"-"
PREFIX = "hozon"

_numbers = count()


class Processes:
    """All processes of ``jax.distributed``, for one save."""

    def __init__(self, client: Any, index: int, number: int) -> None:
        import jax

        self.index = index
        self.count = jax.process_count()
        self._client = client
        self._save = f"{PREFIX}/{number}"
        self._number = number
        self._meetings = count()
        self._lock = Lock()

    def meet(self, word: bytes = b"") -> list[bytes]:
        """Say this, and hear all."""
        with self._lock:
            meeting = f"{self._save}/{next(self._meetings)}"
            self._say(meeting, WELL + word)
            heard = [self._hear(meeting, index) for index in range(self.count)]
        failed = [(i, word[1:].decode()) for i, word in enumerate(heard) if word[:1] == FAILED]
        if failed:
            said = "; ".join(f"process {index}: {text}" for index, text in failed)
            raise SaveError(f"nothing was saved, since another process failed: {said}")
        return [word[1:] for word in heard]

    def fail(self, error: BaseException) -> None:
        """Say so at the next meeting; whoever is there already hears it."""
        with self._lock:
            meeting = f"{self._save}/{next(self._meetings)}"
            self._say(meeting, FAILED + f"{type(error).__name__}: {error}".encode())

    def forget_last(self) -> None:
        """Take the words of the save before this one, which all have heard, out of the store."""
        if self.index == 0 and self._number:
            self._client.key_value_delete(f"{PREFIX}/{self._number - 1}/")

    def whole(self, value: Any) -> NDArray[Any]:
        """Every process gets all of the array; none waits on a device for one that has failed."""
        self.meet()
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(value, tiled=True))

    def _say(self, meeting: str, word: bytes) -> None:
        key = f"{meeting}/{self.index}"
        pieces = [word[at : at + PIECE] for at in range(0, len(word), PIECE)]
        for number, piece in enumerate(pieces):
            self._client.key_value_set_bytes(f"{key}/{number}", piece)
        self._client.key_value_set_bytes(key, str(len(pieces)).encode())

    def _hear(self, meeting: str, index: int) -> bytes:
        key = f"{meeting}/{index}"
        pieces = int(self._waited(key, index))
        return b"".join(self._waited(f"{key}/{number}", index) for number in range(pieces))

    def _waited(self, key: str, index: int) -> bytes:
        seconds = allowed().arrival_seconds
        try:
            return bytes(self._client.blocking_key_value_get_bytes(key, int(seconds * 1000)))
        except Exception as error:  # of XLA's runtime, which has one class for all
            raise SaveError(
                f"nothing was saved, since process {index} did not come within {seconds:g} s: "
                f"{error!s:.200}",
                instead="make the same call in every process; if one takes longer, "
                "hozon.limits.allowing(arrival_seconds=...)",
            ) from error


def collective(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator for what saves: where JAX runs in several processes, they do it together."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        others = _others() if team() is None else None
        if others is None:
            return function(*args, **kwargs)
        with together(others):
            _agree(others, f"{function.__qualname__}({_paths(args, kwargs)})")
            others.forget_last()
            done = function(*args, **kwargs)
            others.meet()  # nobody goes on before it is whole
            return done

    return call


def _paths(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    given = (value for value in (*args, *kwargs.values()) if isinstance(value, (str, os.PathLike)))
    return ", ".join(os.fspath(value) for value in given)


def _agree(others: Team, call: str) -> None:
    """Raise SaveError where processes do not make the same call."""
    calls = [word.decode() for word in others.meet(call.encode())]
    if len(set(calls)) > 1:
        each = "; ".join(f"process {index}: {text}" for index, text in enumerate(calls))
        raise SaveError(
            f"nothing was saved, since processes make different calls: {each}",
            instead="the same call with the same path in every process",
        )


def _others() -> Processes | None:
    jax = sys.modules.get("jax")
    if jax is None or not jax.distributed.is_initialized() or jax.process_count() == 1:
        return None
    from hozon.graphs._jax import coordination

    return Processes(coordination(), jax.process_index(), next(_numbers))
