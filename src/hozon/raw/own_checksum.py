"""A checksum that a file holds of itself, in a place that other readers pass over.

HDF5, JSON and safetensors have no checksums, and those of a zip archive leave its headers out. What
Hozon writes holds the CRC-32C of the whole file, as eight hexadecimal digits that count as zeros:

- behind the end of HDF5's own data, and in the comment of an archive, after `TRAILER`;
- as the first entry of a JSON object, or of the metadata of a safetensors file, after `JSON_HEAD`
  or `SAFETENSORS_HEAD`;
- as the last line of a text whose lines may be comments, after `COMMENT`.

A program that changes such a file leaves no stale one behind: HDF5 cuts a file that it changes to
its own length, and no writer of JSON puts blanks where they are here. Those that add to an archive
keep its comment, so a load goes by the checksums of an archive's members if this one differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from hozon.errors import FormatError
from hozon.raw.checksum import crc32c
from hozon.raw.sources import MemorySource, Source, forget, map_descriptor

BLANK = b"00000000"
TRAILER = b"\0hozon crc32c:"
COMMENT = b"# hozon crc32c:"
JSON_KEY = "hozon_crc32c"
JSON_HEAD = b'{"hozon_crc32c" : "'
SAFETENSORS_HEAD = b'{"__metadata__" : {"hozon_crc32c":"'
#: What begins a file whose checksum is near its beginning, and where.
HEADS = ((JSON_HEAD, 0), (SAFETENSORS_HEAD, 8))
_BLOCK = 16 << 20


def check_own(source: Source) -> bool:
    """Compare the checksum that a file holds of itself; whether it holds one.

    Raises:
        FormatError: it differs.
    """
    place = _place(source)
    if place is None:
        return False
    stored = source.view(place, len(BLANK)).tobytes()
    found = _digits(source, place)
    if found != stored:
        raise FormatError(
            f"{source.name} is damaged, or another program changed it: its checksum differs",
            file=source.name,
            expected=stored.decode("latin-1"),
            found=found.decode(),
        )
    return True


def fill_own(file: BinaryIO, path: str) -> None:
    """Write the checksum of a file that has been written with `BLANK` in its place."""
    file.flush()
    source = map_descriptor(file.fileno(), path)
    place = _place(source)
    assert place is not None
    file.seek(place)
    file.write(_digits(source, place))


def with_own(document: bytes) -> bytes:
    """The text of a JSON object with a checksum of itself."""
    rest = document.removeprefix(b"{")
    return _filled(JSON_HEAD + BLANK + b'"' + behind(rest))


def without_own(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is in a JSON object besides the checksum."""
    return {name: value for name, value in document.items() if name != JSON_KEY}


def with_comment(text: bytes) -> bytes:
    """A text of lines with a checksum of itself, in a comment."""
    return _filled(text + COMMENT + BLANK)


def _filled(blank: bytes) -> bytes:
    source = MemorySource("", blank)
    place = _place(source)
    assert place is not None
    return blank[:place] + _digits(source, place) + blank[place + len(BLANK) :]


def behind(rest: bytes) -> bytes:
    """What follows the first entry of a JSON object, given the text of its other entries."""
    return rest if rest == b"}" else b"," + rest


def _place(source: Source) -> int | None:
    """Where the digits are; None where a file has none."""
    end = source.size - len(BLANK)
    ends = ((mark, end - len(mark)) for mark in (TRAILER, COMMENT))
    for mark, start in (*ends, *HEADS):
        place = start + len(mark)
        if start >= 0 and place <= end and source.view(start, len(mark)).tobytes() == mark:
            return place
    return None


def _digits(source: Source, place: int) -> bytes:
    """The checksum of a file, whose own digits count as zeros."""
    checksum = crc32c(BLANK, _checksum(source, 0, place, 0))
    checksum = _checksum(source, place + len(BLANK), source.size, checksum)
    return f"{checksum:08x}".encode()


def _checksum(source: Source, start: int, end: int, checksum: int) -> int:
    for begin in range(start, end, _BLOCK):
        block = source.view(begin, min(_BLOCK, end - begin))
        checksum = crc32c(block, checksum)
        forget(block)
    return checksum
