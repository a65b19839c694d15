"""Read-only byte sources: a mapped local file, a remote file, bytes in memory.

All of them hand out parts as read-only arrays of bytes. A part of a mapped file is a view: it
takes no memory of its own, and its bytes are fetched when they are first touched.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from hozon.errors import FormatError, HozonError, SaveError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]


#: Bytes of a block of a remote file, and how many blocks of one file are kept.
_BLOCK, _BLOCKS = 1 << 16, 64


@contextmanager
def reached(path: str) -> Iterator[None]:
    """What a file system says that cannot be reached becomes an UnsupportedError.

    Each has errors of its own, those of the library that it stands on.
    """
    try:
        yield
    except HozonError:
        raise
    except Exception as error:
        cause: BaseException | None = error
        if isinstance(error, FileNotFoundError):  # or a server does not answer
            cause = error.__cause__
            if not isinstance(cause, OSError) or isinstance(cause, FileNotFoundError):
                raise
        raise UnsupportedError(
            f"{path} cannot be reached: {cause}",
            feature=f"the file system {path.partition('://')[0]}",
            file=path,
            instead="look at the address and at what it takes to sign in, or copy the file to "
            "this machine",
        ) from error


@contextmanager
def putting(path: str) -> Iterator[None]:
    """What a file system says that takes no file becomes a SaveError."""
    try:
        yield
    except HozonError:
        raise
    except Exception as error:
        raise SaveError(
            f"{path} cannot be saved: {error or type(error).__name__}",
            file=path,
            errno=getattr(error, "errno", None),
            instead="look at the address, and at what it takes to sign in and to write there",
        ) from error


class Source(Protocol):
    """Something with a name, a length, and bytes to be read at any offset.

    Attributes:
        name: path or URL.
        size: length in bytes.
    """

    name: str
    size: int

    def view(self, offset: int, length: int) -> Bytes:
        """`length` bytes from `offset` on; the caller has checked that they exist."""


@runtime_checkable
class CheckedSource(Source, Protocol):
    """A source whose bytes have a checksum, which is compared when asked."""

    def check(self) -> None:
        """Compare it, the first time; raise FormatError where it differs."""


class MemorySource:
    """Bytes that are in memory, or mapped: parts are views.

    Attributes:
        identity: device and number of the mapped file.
    """

    __slots__ = ("_bytes", "identity", "name", "size")

    def __init__(
        self,
        name: str,
        data: bytes | memoryview | mmap.mmap,
        identity: tuple[int, int] | None = None,
    ) -> None:
        self.identity = identity
        self.name = name
        self.size = len(data)
        self._bytes: Bytes = np.frombuffer(data, np.uint8)

    def view(self, offset: int, length: int) -> Bytes:
        """A read-only view of `length` bytes from `offset` on."""
        return self._bytes[offset : offset + length]


class RemoteSource:
    """A file of an fsspec file system.

    A large part is one ranged request. Small ones, of which HDF5 and zip files need many, come out
    of aligned blocks, of which the last used are kept. A server that sends the whole file whatever
    is asked of it is asked once.
    """

    __slots__ = ("_blocks", "_files", "_path", "_whole", "name", "size")

    def __init__(self, name: str, files: Any, path: str, size: int) -> None:
        self.name = name
        self.size = size
        self._files = files
        self._path = path
        self._blocks: dict[int, Bytes] = {}
        self._whole: Bytes | None = None

    def view(self, offset: int, length: int) -> Bytes:
        """`length` bytes from `offset` on, fetched now.

        Raises:
            FormatError: the file system returned fewer.
        """
        if length == 0:
            return np.empty(0, np.uint8)
        if self._whole is not None:
            return self._whole[offset : offset + length]
        if length >= _BLOCK:
            return self._fetched(offset, length)
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        blocks = [self._block(number) for number in range(first, last + 1)]
        joined = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        part = joined[offset - first * _BLOCK :][:length]
        part.flags.writeable = False
        return part

    def _block(self, number: int) -> Bytes:
        block = self._blocks.pop(number, None)
        if block is None:
            start = number * _BLOCK
            block = self._fetched(start, min(_BLOCK, self.size - start))
        self._blocks[number] = block  # at the end: used last
        for old in list(self._blocks)[:-_BLOCKS]:
            self._blocks.pop(old, None)
        return block

    def _fetched(self, offset: int, length: int) -> Bytes:
        with reached(self.name):
            data = self._files.cat_file(self._path, start=offset, end=offset + length)
        if len(data) == self.size != length:  # it knows no ranges
            self._whole = np.frombuffer(data, np.uint8)
            return self._whole[offset : offset + length]
        if len(data) != length:
            raise FormatError(
                f"{self.name} returned too few bytes",
                file=self.name,
                offset=offset,
                expected=f"{length} bytes",
                found=f"{len(data)} bytes",
            )
        return np.frombuffer(data, np.uint8)


def map_file(path: str | os.PathLike[str]) -> MemorySource:
    """The bytes of a local file, mapped into memory.

    The mapping lives as long as any view of it. Meanwhile the file may be replaced, but must not
    be changed or cut short in place: views would show it, or fault.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is not a regular file.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    try:
        return map_descriptor(descriptor, os.fspath(path))
    finally:
        os.close(descriptor)


def map_descriptor(descriptor: int, name: str) -> MemorySource:
    """The bytes of an open file, mapped into memory; the descriptor can be closed afterwards.

    Raises:
        FormatError: it is not a regular file.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{name} is not a regular file", file=name)
    identity = (status.st_dev, status.st_ino)
    if status.st_size == 0:
        return MemorySource(name, b"", identity)
    return MemorySource(
        name, mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ), identity
    )


def forget(part: Bytes) -> None:
    """Let go of the memory that a part of a mapped file takes now that its bytes were touched.

    They stay in the system's cache of the file and come back when they are touched again. Does
    nothing for bytes that are not mapped.
    """
    owner: Any = part
    while isinstance(owner, np.ndarray):
        owner = owner.base
    mapped = owner.obj if isinstance(owner, memoryview) else owner
    if not isinstance(mapped, mmap.mmap) or not hasattr(mapped, "madvise") or not part.size:
        return
    start = part.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    mapped.madvise(mmap.MADV_DONTNEED, first, start + part.nbytes - first)


def is_same_file(source: Source, path: str) -> bool:
    """Whether a mapped file is still the one at a path, and not replaced or removed."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False
    return getattr(source, "identity", None) == (status.st_dev, status.st_ino)


_BINARY = getattr(os, "O_BINARY", 0)
