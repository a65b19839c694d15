"""Decompression of one snappy block.

Layout (format_description.txt of the snappy project): the uncompressed length as a varint, then
elements. The two low bits of an element's first byte tell its kind: a literal, or a copy of up to
64 earlier bytes with an offset of 11, 16 or 32 bits.
"""

from __future__ import annotations

from hozon.limits import LIMITS, Limits
from hozon.raw.location import Location
from hozon.raw.varint import read_varint

# An element of at least two bytes makes at most 64.
_MAX_RATIO = 32


def decompress(data: bytes, where: Location, limits: Limits = LIMITS) -> bytes:
    """The uncompressed bytes of a snappy block.

    Raises:
        FormatError: the block is damaged, or declares a length that it cannot expand to or that
            exceeds `limits.block_bytes`.
    """
    declared, position = read_varint(data, 0, where)
    most = min(limits.block_bytes, _MAX_RATIO * len(data))
    if declared > most:
        raise where.damaged(
            "a snappy block declares more than it can hold",
            at=0,
            expected=f"at most {most} bytes",
            found=f"{declared} bytes",
        )
    output = bytearray()
    while position < len(data):
        position = _element(data, position, output, where)
        if len(output) > declared:
            break
    if len(output) != declared:
        raise where.damaged(
            "a snappy block does not expand to its declared length",
            at=0,
            expected=f"{declared} bytes",
            found=f"{len(output)} bytes" if len(output) < declared else "more",
        )
    return bytes(output)


def _element(data: bytes, position: int, output: bytearray, where: Location) -> int:
    """Appends one element to `output`; returns the position after it."""
    tag = data[position]
    kind = tag & 3
    if kind == 0:
        return _literal(data, position, output, where)
    width = (1, 2, 4)[kind - 1]
    if position + 1 + width > len(data):
        raise where.damaged("a snappy copy is cut short", at=position)
    offset = int.from_bytes(data[position + 1 : position + 1 + width], "little")
    length = (tag >> 2) + 1
    if kind == 1:
        offset |= (tag >> 5) << 8
        length = ((tag >> 2) & 7) + 4
    _copy(output, offset, length, where, position)
    return position + 1 + width


def _literal(data: bytes, position: int, output: bytearray, where: Location) -> int:
    length = (data[position] >> 2) + 1
    start = position + 1
    if length > 60:
        width = length - 60
        length = int.from_bytes(data[start : start + width], "little") + 1
        start += width
    if start + length > len(data):
        raise where.damaged("a snappy literal runs past the end", at=position)
    output += data[start : start + length]
    return start + length


def _copy(output: bytearray, offset: int, length: int, where: Location, position: int) -> None:
    """Appends `length` bytes from `offset` before the end; they may overlap what is appended."""
    if not 0 < offset <= len(output):
        raise where.damaged(
            "a snappy copy reaches before the start",
            at=position,
            expected=f"an offset from 1 to {len(output)}",
            found=offset,
        )
    start = len(output) - offset
    piece = bytes(output[start : start + length])
    repeats = -(-length // len(piece))
    output += (piece * repeats)[:length]
