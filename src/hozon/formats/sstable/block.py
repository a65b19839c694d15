"""One block of a sorted table: its checksum, its compression and its entries."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from hozon.formats.sstable.layout import NO_COMPRESSION, SNAPPY, TRAILER_BYTES, Handle
from hozon.limits import Limits
from hozon.raw.checksum import masked_crc32c
from hozon.raw.location import Location
from hozon.raw.snappy import decompress
from hozon.raw.sources import Source, forget
from hozon.raw.varint import read_varint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_block(source: Source, handle: Handle, where: Location, limits: Limits) -> bytes:
    """The uncompressed contents of a block whose checksum is right.

    Raises:
        FormatError: the block is larger than `limits.block_bytes`, or damaged.
        UnsupportedError: it is compressed in an unknown way.
    """
    if handle.size > limits.block_bytes:
        raise where.damaged(
            "a block is too large",
            expected=f"at most {limits.block_bytes} bytes",
            found=f"{handle.size} bytes",
        )
    stored = source.view(handle.offset, handle.size + TRAILER_BYTES)
    _check(stored[:-4], stored[-4:].tobytes(), where)
    contents, compression = stored[:-TRAILER_BYTES].tobytes(), int(stored[-TRAILER_BYTES])
    forget(stored)
    return _expand(contents, compression, where, limits)


def _check(checked: NDArray[np.uint8], stored: bytes, where: Location) -> None:
    actual = masked_crc32c(checked)
    expected = int.from_bytes(stored, "little")
    if actual != expected:
        raise where.damaged(
            "the checksum of a block is wrong",
            at=0,
            expected=f"{expected:#010x}",
            found=f"{actual:#010x}",
        )


def _expand(contents: bytes, compression: int, where: Location, limits: Limits) -> bytes:
    if compression == NO_COMPRESSION:
        return contents
    if compression == SNAPPY:
        return decompress(contents, where, limits)
    raise where.unsupported(
        f"a block is compressed in an unknown way, number {compression}",
        feature=f"table compression {compression}",
    )


def read_entries(block: bytes, where: Location, limits: Limits) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block, in order.

    Raises:
        FormatError: the block is damaged, or its keys are not in increasing order.
    """
    bounds = _restarts(block, where)
    previous = b""
    for start, end in pairwise(bounds):
        if start < end:
            for entry in _run(block, start, end, previous, where, limits):
                previous = entry[0]
                yield entry


def _restarts(block: bytes, where: Location) -> list[int]:
    """The offsets of the restart points, and that of the end of the entries."""
    size = len(block)
    count = int.from_bytes(block[-4:], "little") if size >= 4 else 0
    end = size - 4 - 4 * count
    if size < 4 or end < 0:
        raise where.damaged(
            "the restart points of a block do not fit into it",
            expected=f"at most {max(0, size - 4) // 4}",
            found=count,
        )
    bounds = [*struct.unpack_from(f"<{count}I", block, end), end]
    if bounds[0] != 0 or any(a > b for a, b in pairwise(bounds)):
        raise where.damaged("the restart points of a block are out of order or out of range")
    return bounds


def _run(
    block: bytes, position: int, end: int, previous: bytes, where: Location, limits: Limits
) -> Iterator[tuple[bytes, bytes]]:
    """The entries from one restart point to the next; `previous` is the key before them."""
    key = b""
    while position < end:
        begin = position
        # The three counts take one byte each in nearly every entry.
        shared, own, length = block[position], block[position + 1], block[position + 2]
        if (shared | own | length) < 0x80:
            position += 3
        else:
            shared, position = read_varint(block, position, where)
            own, position = read_varint(block, position, where)
            length, position = read_varint(block, position, where)
        value_start = position + own
        position = value_start + length
        if shared > len(key) or position > end or shared + own > limits.key_bytes:
            raise _bad_entry(where, begin, shared, len(key), position, end)
        key = key[:shared] + block[value_start - own : value_start]
        if key <= previous and begin:
            raise where.damaged("the keys of a table are not in increasing order", at=begin)
        previous = key
        yield key, block[value_start:position]


def _bad_entry(
    where: Location, begin: int, shared: int, have: int, position: int, end: int
) -> Exception:
    if shared > have:
        return where.damaged(
            "a key shares more bytes than the key before it has",
            at=begin,
            expected=f"at most {have}",
            found=shared,
        )
    if position > end:
        return where.damaged(
            "an entry runs past the end of its block or into a restart point",
            at=begin,
            expected=f"an end at {end} or before",
            found=position,
        )
    return where.damaged("a key is too long", at=begin)
