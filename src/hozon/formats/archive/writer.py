"""Writing: members as they are, one after the other, without times."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from hozon.errors import SaveError
from hozon.raw.own_checksum import BLANK, TRAILER, fill_own
from hozon.raw.stores import create

#: The earliest time that a zip archive can state.
NO_TIME = (1980, 1, 1, 0, 0, 0)
CHECK_BYTES = 8 << 20
#: Where members begin, so that values in them can be mapped as they are.
ALIGNMENT = 64
#: The extra field that other aligned archives have, and its head: number and length.
PADDING_FIELD, PADDING = 0xD935, struct.Struct("<HH")
#: Bytes, or a function that writes them into the file that it is given.
Content = bytes | Callable[[BinaryIO], None]


def write_archive(path: str, members: Iterable[tuple[str, Content]]) -> None:
    """Write an archive; the caller puts it in its place.

    Its comment is a checksum of the whole file.

    Args:
        path: of the new file.
        members: names and contents. A function writes straight into the archive, where its bytes
            begin at 0, and may go back and forth.

    Raises:
        SaveError: the system refuses to write.
    """
    try:
        with create(path) as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                _write_members(archive, file, members)
                archive.comment = TRAILER + BLANK
            fill_own(file, path)
    except OSError as error:
        raise SaveError(f"{path} cannot be written: {error}", file=path) from error


def _write_members(
    archive: zipfile.ZipFile, file: BinaryIO, members: Iterable[tuple[str, Content]]
) -> None:
    for name, content in members:
        info = zipfile.ZipInfo(name, NO_TIME)
        info.external_attr = 0o644 << 16
        if isinstance(content, bytes):
            archive.writestr(info, content)
        else:
            _write_in_place(archive, file, info, content)


def _write_in_place(
    archive: zipfile.ZipFile,
    file: BinaryIO,
    info: zipfile.ZipInfo,
    write: Callable[[BinaryIO], None],
) -> None:
    """A member whose length and checksum are known only when it is written."""
    info.header_offset = file.seek(0, io.SEEK_END)
    info.CRC = info.file_size = info.compress_size = 0
    info.extra = _padding(info.header_offset + len(info.FileHeader(zip64=True)))
    file.write(info.FileHeader(zip64=True))
    window = _Window(file, file.tell())
    write(window)
    end = file.seek(0, io.SEEK_END)
    info.CRC = _checksum(file, window.start)
    info.file_size = info.compress_size = end - window.start
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=True))
    file.seek(end)
    archive.filelist.append(info)
    archive.NameToInfo[info.filename] = info
    archive.start_dir = end


def _padding(start: int) -> bytes:
    """An extra field, of no meaning, that lets what follows begin at a multiple of `ALIGNMENT`."""
    count = -(start + PADDING.size) % ALIGNMENT
    return PADDING.pack(PADDING_FIELD, count) + bytes(count)


def _checksum(file: BinaryIO, start: int) -> int:
    file.flush()
    file.seek(start)
    checksum, buffer = 0, bytearray(CHECK_BYTES)
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        checksum = zlib.crc32(memoryview(buffer)[:count], checksum)
    return checksum


class _Window(io.RawIOBase, BinaryIO):
    """The end of a file from an offset on, as a file of its own."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self.start = start

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
        """Move; the start of the window is 0."""
        place = self.start + offset if whence == io.SEEK_SET else offset
        return self._file.seek(place, whence) - self.start

    def tell(self) -> int:
        """The position."""
        return self._file.tell() - self.start

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        return int(self._file.readinto(buffer))  # type: ignore[attr-defined]

    def write(self, data: Any) -> int:
        """Write bytes."""
        return self._file.write(data)

    def truncate(self, size: int | None = None) -> int:
        """Cut off, or grow."""
        return self._file.truncate(self.start + (self.tell() if size is None else size))

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()
