"""A byte source as the file object that h5py reads from."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hozon.raw.sources import Source


class SourceStream(io.RawIOBase):
    """Read-only, seekable."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start, the position or the end."""
        base = (0, self._position, self._source.size)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; fewer bytes only at the end of the source."""
        length = min(len(buffer), max(0, self._source.size - self._position))
        if length:
            target = np.frombuffer(buffer, np.uint8)[:length]
            target[:] = self._source.view(self._position, length)
            self._position += length
        return length
