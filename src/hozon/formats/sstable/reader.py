"""Reads a sorted table: every key and value, in order, each block checked once."""

from __future__ import annotations

from collections.abc import Iterator

from hozon.formats.sstable.block import read_block, read_entries
from hozon.formats.sstable.layout import FOOTER_BYTES, MAGIC, Handle, read_footer, read_handle
from hozon.formats.sstable.rows import Rows, rows_of
from hozon.limits import LIMITS, Limits
from hozon.raw.cursor import Cursor
from hozon.raw.location import Location
from hozon.raw.sources import Source

_HEAD_BYTES = 64


def is_table(source: Source) -> bool:
    """Whether the last bytes of a file are those of a sorted table."""
    if source.size < FOOTER_BYTES:
        return False
    return source.view(source.size - 8, 8).tobytes() == MAGIC.to_bytes(8, "little")


def read_table(source: Source, limits: Limits = LIMITS) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a sorted table, in increasing order of the keys.

    Raises:
        FormatError: the file is no table, or is damaged.
        UnsupportedError: a block is compressed in an unknown way.
    """
    for rows in read_rows(source, limits):
        yield from rows.pairs()


def read_rows(source: Source, limits: Limits = LIMITS) -> Iterator[Rows]:
    """The entries of a sorted table in columns, some at a time, never none.

    Raises:
        FormatError: the file is no table, or is damaged.
        UnsupportedError: a block is compressed in an unknown way.
    """
    last: bytes | None = None
    # Prefix compression lets a few bytes stand for a long key, so the sum is bounded.
    allowance = max(limits.key_floor, limits.key_ratio * source.size)
    for number, handle in enumerate(_data_blocks(source, limits)):
        where = Location(source.name, f"data block {number}", handle.offset)
        for rows in rows_of(read_block(source, handle, where, limits), where, limits):
            if last is not None and rows.key(0) <= last:
                raise where.damaged("the keys of a table are not in increasing order")
            last = rows.key(-1)
            allowance -= len(rows.keys)
            if allowance < 0:
                raise where.damaged("the keys of a table expand to far more than its file")
            yield rows


def _data_blocks(source: Source, limits: Limits) -> Iterator[Handle]:
    """The handles of the data blocks, which follow each other without overlapping."""
    index = _index_handle(source)
    where = Location(source.name, "index block", index.offset)
    end = 0
    for _, value in read_entries(read_block(source, index, where, limits), where, limits):
        handle = read_handle(Cursor(value, where))
        if handle.offset < end or handle.end > index.offset:
            raise where.damaged(
                "a data block lies outside the file or overlaps another block",
                expected=f"from {end} to {index.offset}",
                found=f"{handle.offset} to {handle.end}",
            )
        end = handle.end
        yield handle


def _index_handle(source: Source) -> Handle:
    start = max(0, source.size - FOOTER_BYTES)
    where = Location(source.name, "footer", start)
    footer = source.view(start, source.size - start).tobytes()
    head = source.view(0, min(source.size, _HEAD_BYTES)).tobytes()
    handle = read_footer(footer, head, where)
    if handle.end > start:
        raise where.damaged(
            "the index block lies outside the file",
            expected=f"an end at {start} or before",
            found=handle.end,
        )
    return handle
