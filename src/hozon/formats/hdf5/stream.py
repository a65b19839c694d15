"""The file objects that h5py reads from and writes to."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from hozon.formats.hdf5.heap import check_heap

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
            check_heap(target, self._source.name, self._position)
            self._position += length
        return length


class WriteStream(io.RawIOBase):
    """A file for HDF5 to write, which remembers the first error that the system gave.

    HDF5 passes none on while it closes a file.

    Attributes:
        error: the first error; None while there is none.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def readable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        with self._noting():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        with self._noting():
            return int(self._file.readinto(buffer))  # type: ignore[attr-defined]

    def write(self, data: Any) -> int:
        """Write bytes, all of them."""
        with self._noting():
            return self._file.write(data)

    def truncate(self, size: int | None = None) -> int:
        """Cut off, or grow."""
        with self._noting():
            return self._file.truncate(size)

    def flush(self) -> None:
        """Hand everything to the system."""
        with self._noting():
            self._file.flush()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            raise
