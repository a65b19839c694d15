"""The data files of a bundle while they are written: many small pieces, few large writes."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hozon.raw.kernel import preallocate
from hozon.raw.stores import create_descriptor, join

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLUSH_BYTES = 1 << 20
_FLUSH_PIECES = 1000  # the system takes 1024 at once
_RESERVE_BYTES = 64 << 20


class Shards:
    """Data files in a folder, `0`, `1` and so on, each of which grows at its end.

    Attributes:
        paths: the files so far.
        offset: bytes in the last file so far, those that still wait included.
    """

    def __init__(self, folder: str) -> None:
        self.paths: list[str] = []
        self.offset = 0
        self._folder = folder
        self._descriptor = -1
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._reserved = 0
        self.start()

    @property
    def number(self) -> int:
        """The number of the last file."""
        return len(self.paths) - 1

    def start(self) -> None:
        """Go on in another file."""
        self.close()
        path = join(self._folder, str(len(self.paths)))
        self._descriptor = create_descriptor(path)
        self.paths.append(path)
        self.offset = self._reserved = 0

    def add(self, data: bytes | NDArray[Any]) -> None:
        """Append bytes, or an array of them, which must not change until the next `flush`."""
        size = len(data)
        self._waiting.append(data)
        self._waiting_bytes += size
        self.offset += size
        if self._waiting_bytes >= _FLUSH_BYTES:
            self._reserve()
            self.flush()
        elif len(self._waiting) >= _FLUSH_PIECES:
            self.flush()

    def flush(self) -> None:
        """Hand what waits to the system."""
        pieces, self._waiting, self._waiting_bytes = self._waiting, [], 0
        while pieces:
            written = _write(self._descriptor, pieces)
            pieces = _rest(pieces, written)

    def close(self) -> None:
        """Finish the last file."""
        if self._descriptor < 0:
            return
        try:
            self.flush()
            if self._reserved > self.offset:
                os.ftruncate(self._descriptor, self.offset)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._waiting = []
        self.close()

    def _reserve(self) -> None:
        """Reserve room ahead, in large pieces: a third quicker than growing with each write."""
        while 0 <= self._reserved < self.offset:
            if not preallocate(self._descriptor, self._reserved, _RESERVE_BYTES):
                self._reserved = -1
                return
            self._reserved += _RESERVE_BYTES


def _write(descriptor: int, pieces: list[Any]) -> int:
    if hasattr(os, "writev"):
        return os.writev(descriptor, pieces)
    return os.write(descriptor, b"".join(map(bytes, pieces)))  # Windows


def _rest(pieces: list[Any], written: int) -> list[Any]:
    """What is left of some pieces after that many bytes."""
    for number, piece in enumerate(pieces):
        if written < len(piece):
            return [piece[written:], *pieces[number + 1 :]]
        written -= len(piece)
    return []
