"""A bounds-checked reader of small binary structures."""

from __future__ import annotations

import struct

from hozon.raw.location import Location
from hozon.raw.varint import read_varint

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class Cursor:
    """Reads little-endian values one after another and never past the end.

    Attributes:
        data: all the bytes.
        where: the record that `data` is, for errors.
        position: index in `data` of the next byte to read.
    """

    __slots__ = ("data", "position", "where")

    def __init__(self, data: bytes, where: Location, position: int = 0) -> None:
        self.data = data
        self.where = where
        self.position = position

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.position

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            FormatError: fewer are left, or `count` is negative.
        """
        if not 0 <= count <= self.remaining:
            raise self.where.damaged(
                "a field runs past the end",
                at=self.position,
                expected=f"at most {self.remaining} bytes",
                found=f"{count} bytes",
            )
        self.position += count
        return self.data[self.position - count : self.position]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def u32(self) -> int:
        """The next four bytes as an unsigned integer."""
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        """The next eight bytes as an unsigned integer."""
        return int(_U64.unpack(self.take(8))[0])

    def varint(self) -> int:
        """The next variable-length unsigned integer."""
        value, self.position = read_varint(self.data, self.position, self.where)
        return value
