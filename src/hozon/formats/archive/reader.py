"""Reading: the list of members is checked as a whole, then each member when it is read.

Members that are stored as they are, as Keras stores all of its own, are views of the mapped file.
The layout is that of PKWARE's APPNOTE.TXT, 4.3.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from hozon.errors import FormatError, UnsafeError, UnsupportedError
from hozon.formats.hdf5.stream import SourceStream
from hozon.limits import LIMITS
from hozon.raw.own_checksum import BLANK, TRAILER, check_own
from hozon.raw.sniff import looks_like
from hozon.raw.sources import MemorySource, Source, forget
from hozon.raw.stores import open_source, place

if TYPE_CHECKING:
    from hozon.raw.sources import Bytes

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
LOCAL_HEADER = 30
ENCRYPTED = 0x1
#: Bytes that a compressed member may always expand to.
EXPANSION_FLOOR = 16 << 20
_BLOCK = 8 << 20


def is_zip(source: Source) -> bool:
    """Whether a file begins as a zip archive does."""
    return source.size >= 4 and source.view(0, 4).tobytes() in SIGNATURES


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """The archive at a path or URL.

    Raises:
        FormatError: it is no zip archive, or damaged.
        UnsafeError: a member's name leads out of the archive.
    """
    source = open_source(place(path))
    if not is_zip(source):
        found = looks_like(source.view(0, min(source.size, 64)).tobytes())
        raise FormatError(
            f"{source.name} is not a zip archive",
            file=source.name,
            expected="a zip archive",
            found=found,
        )
    return Archive(source)


class Archive:
    """An open archive.

    Attributes:
        members: the files in it, by name.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        try:
            self._zip = zipfile.ZipFile(SourceStream(source))
            infos = [info for info in self._zip.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise FormatError(
                f"{source.name} is a damaged zip archive: {error}", file=source.name
            ) from error
        comment = self._zip.comment
        if comment.startswith(TRAILER) and len(comment) != len(TRAILER + BLANK):
            raise FormatError(f"{source.name} is cut short", file=source.name)
        self.members: Mapping[str, zipfile.ZipInfo] = _checked(infos, source)

    def __contains__(self, name: object) -> bool:
        return name in self.members

    def read(self, name: str, most: int | None = None) -> bytes:
        """The bytes of a member, its checksum compared.

        Args:
            name: the member.
            most: how many bytes it may have; None for any number.

        Raises:
            FormatError: there is none of that name, or it is damaged or too long.
        """
        if most is not None and name in self and self.members[name].file_size > most:
            raise FormatError(
                f"{name!r} is too long",
                file=self._source.name,
                record=name,
                expected=f"at most {most}",
                found=self.members[name].file_size,
            )
        return self.open(name).view(0, self.members[name].file_size).tobytes()

    def open(self, name: str, *, check: bool = True) -> Source:
        """A member as a source: a view of the file if it is stored as it is.

        Args:
            name: the member.
            check: whether to compare its checksum now, for which all of it is read; else
                ``check()`` of the source does, the first time that it is called.

        Raises:
            FormatError: there is none of that name, or it is damaged.
        """
        info = self.members.get(name)
        file = self._source.name
        if info is None:
            raise FormatError(
                f"{file} has no member {name!r}",
                file=file,
                record=name,
                found=", ".join(sorted(self.members)[:8]) or "an empty archive",
            )
        if info.compress_type == zipfile.ZIP_STORED:
            source = Member(info, self._source, self._start(info), lambda: self._is_sound)
            if check:
                source.check()
            return source
        try:
            return MemorySource(f"{file}:{name}", self._zip.read(info))
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise FormatError(f"{name!r} is damaged: {error}", file=file, record=name) from error

    def check(self, name: str) -> int:
        """Compare the checksum of a member, a block after the other; the bytes that it covers.

        Raises:
            FormatError: it differs, or the member is damaged otherwise.
        """
        source = self.open(name)
        return self.members[name].compress_size if source.size else 0

    @cached_property
    def _is_sound(self) -> bool:
        """Whether a checksum of the whole file says that nothing is damaged: the faster way.

        Where it differs, those of the members tell which of them it is.
        """
        try:
            return isinstance(self._source, MemorySource) and check_own(self._source)
        except FormatError:
            return False

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Where a member's bytes begin, after its own header."""
        header = self._source.view(info.header_offset, LOCAL_HEADER).tobytes()
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = info.header_offset + LOCAL_HEADER + lengths
        if header[:4] != SIGNATURES[0] or start + info.file_size > self._source.size:
            raise FormatError(
                f"{info.filename!r} lies outside of the archive",
                file=self._source.name,
                record=info.filename,
                offset=info.header_offset,
            )
        return start


class Member:
    """A member that is stored as it is: a part of the archive's own source."""

    def __init__(
        self, info: zipfile.ZipInfo, source: Source, start: int, is_sound: Callable[[], bool]
    ) -> None:
        self.name = f"{source.name}:{info.filename}"
        self.size = info.file_size
        self._info = info
        self._source = source
        self._start = start
        self._is_sound = is_sound
        self._checked = False

    def check(self) -> None:
        """Compare the checksum, once, a block after the other.

        Raises:
            FormatError: it differs.
        """
        self._checked = self._checked or self._is_sound()
        if self._checked:
            return
        found = 0
        for start in range(0, self.size, _BLOCK):
            block = self.view(start, min(_BLOCK, self.size - start))
            found = zlib.crc32(block.data, found)
            forget(block)
        if found != self._info.CRC:
            name = self._info.filename
            raise FormatError(
                f"{name!r} is damaged: its checksum differs",
                file=self._source.name,
                record=name,
                expected=f"{self._info.CRC:#010x}",
                found=f"{found:#010x}",
            )
        self._checked = True

    def view(self, offset: int, length: int) -> Bytes:
        """`length` bytes from `offset` on."""
        return self._source.view(self._start + offset, length)


def _checked(infos: list[zipfile.ZipInfo], source: Source) -> Mapping[str, zipfile.ZipInfo]:
    """The members by name; nothing is read that is too many, too long, twice or elsewhere."""
    file = source.name
    if len(infos) > LIMITS.members:
        raise FormatError(f"{file} has too many members", file=file, found=len(infos))
    members: dict[str, zipfile.ZipInfo] = {}
    end = 0
    for info in sorted(infos, key=lambda item: item.header_offset):
        _check(info, source)
        if info.filename in members:
            raise FormatError(f"{info.filename!r} is in {file} twice", file=file)
        if info.header_offset < end:
            raise FormatError(f"{info.filename!r} overlaps another member", file=file)
        end = info.header_offset + LOCAL_HEADER + info.compress_size
        members[info.filename] = info
    if end > source.size:
        raise FormatError(f"{file} is cut short", file=file, expected=end, found=source.size)
    return members


def _check(info: zipfile.ZipInfo, source: Source) -> None:
    name, file = info.filename, source.name
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or plain.startswith("/") or ":" in parts[0]:
        raise UnsafeError(
            f"member {name!r} leads out of the archive",
            refused="paths out of an archive",
            file=file,
            record=name,
        )
    if info.flag_bits & ENCRYPTED:
        raise UnsupportedError(
            f"member {name!r} is encrypted", feature="encrypted archives", file=file
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(
            f"member {name!r} is compressed in a way that Keras does not use",
            feature=f"zip compression {info.compress_type}",
            file=file,
        )
    most = info.compress_size
    if info.compress_type != zipfile.ZIP_STORED:
        most = max(most * LIMITS.expansion_ratio, EXPANSION_FLOOR)
    if info.compress_size > source.size or info.file_size > most:
        raise FormatError(
            f"member {name!r} declares more bytes than it can hold",
            file=file,
            record=name,
            expected=f"at most {most}",
            found=info.file_size,
        )
