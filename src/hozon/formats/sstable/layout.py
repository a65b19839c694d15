"""The bytes of a sorted table (LevelDB's doc/table_format.md; TensorFlow's core/lib/io/format.cc).

A file is data blocks, then a meta index block, then an index block, then a footer of 48 bytes:
two handles (meta index, index; each an offset and a size as varints), zeros up to byte 40, and
eight bytes of magic. Each block is followed by a trailer: one byte of compression (0 none, 1
snappy) and the masked CRC-32C of the block and that byte.

A block is entries, then the offsets of its restart points and their number (32 bits each). An
entry is three varints (bytes of the key shared with the key before, bytes that are its own, bytes
of the value), its own key bytes and the value. At a restart point no bytes are shared. An entry of
the index block holds the handle of a data block, its key lies at or after that block's last key.
"""

from __future__ import annotations

from dataclasses import dataclass

from hozon.raw.cursor import Cursor
from hozon.raw.location import Location
from hozon.raw.sniff import looks_like
from hozon.raw.varint import write_varint

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TRAILER_BYTES = 5
NO_COMPRESSION = 0
SNAPPY = 1


@dataclass(frozen=True, slots=True)
class Handle:
    """Where a block is: its offset in the file, and its size without the trailer, in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the block's trailer."""
        return self.offset + self.size + TRAILER_BYTES


def read_handle(cursor: Cursor) -> Handle:
    """The handle at the cursor."""
    return Handle(cursor.varint(), cursor.varint())


def write_handle(handle: Handle) -> bytes:
    """The bytes of a handle."""
    return write_varint(handle.offset) + write_varint(handle.size)


def read_footer(footer: bytes, head: bytes, where: Location) -> Handle:
    """The handle of the index block.

    Args:
        footer: the last 48 bytes of the file, or all of a shorter file.
        head: the first bytes of the file, to tell what it is if it is no table.
        where: the footer's place.

    Raises:
        FormatError: the file is no table.
    """
    magic = int.from_bytes(footer[-8:], "little")
    if len(footer) < FOOTER_BYTES or magic != MAGIC:
        raise where.damaged(
            f"this is no sorted table, or its end is missing; it looks like {looks_like(head)}",
            at=max(0, len(footer) - 8),
            expected=f"magic {MAGIC:#x}",
            found=f"{magic:#x}",
        )
    cursor = Cursor(footer[:-8], where)
    read_handle(cursor)
    return read_handle(cursor)
