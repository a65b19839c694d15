"""Writes a sorted table, byte for byte as TensorFlow's table builder does.

The layout is in `layout.py`. What a writer is free to choose is chosen as in TensorFlow's
core/lib/io/table_builder.cc and block_builder.cc with the options of its tensor bundle: a restart
point at every sixteenth entry (in the index block at every one), a data block ended once it has
262144 bytes, no compression, and index keys shortened to the shortest that still separate blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hozon.formats.sstable.layout import FOOTER_BYTES, MAGIC, NO_COMPRESSION, Handle, write_handle
from hozon.raw.checksum import masked_crc32c
from hozon.raw.varint import write_varint

_RESTART_INTERVAL = 16
_BLOCK_BYTES = 262144
_KIND = bytes([NO_COMPRESSION])
_SMALL = [bytes([number]) for number in range(128)]


def encode_table(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a table.

    Args:
        records: keys and values, in strictly increasing order of the keys.

    Raises:
        ValueError: the keys are not in increasing order.
    """
    table = _Table()
    for key, value in records:
        table.add(key, value)
    return table.finish()


class _Table:
    """A table that grows at its end."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._data = _Block(_RESTART_INTERVAL)
        self._index = _Block(1)
        self._pending: Handle | None = None

    def add(self, key: bytes, value: bytes) -> None:
        last = self._data.last
        if self._pending is not None:
            self._index.add(separator(last, key), write_handle(self._pending))
            self._pending = None
            self._data = _Block(_RESTART_INTERVAL)
        if key <= last and (self._out or self._data.counted):
            raise ValueError(f"the keys of a table must increase: {key!r} comes after {last!r}")
        self._data.add(key, value)
        if self._data.size >= _BLOCK_BYTES:
            self._flush()

    def finish(self) -> bytes:
        if self._data.counted and self._pending is None:
            self._flush()
        meta = self._append(_Block(_RESTART_INTERVAL))
        if self._pending is not None:
            self._index.add(successor(self._data.last), write_handle(self._pending))
        handles = write_handle(meta) + write_handle(self._append(self._index))
        self._out += handles.ljust(FOOTER_BYTES - 8, b"\0") + MAGIC.to_bytes(8, "little")
        return bytes(self._out)

    def _flush(self) -> None:
        self._pending = self._append(self._data)

    def _append(self, block: _Block) -> Handle:
        contents = block.finish()
        handle = Handle(len(self._out), len(contents))
        self._out += contents + _KIND
        self._out += masked_crc32c(contents + _KIND).to_bytes(4, "little")
        return handle


class _Block:
    """A block that grows at its end.

    Attributes:
        last: the last key.
        counted: number of entries.
    """

    __slots__ = ("_interval", "_out", "_restarts", "counted", "last")

    def __init__(self, interval: int) -> None:
        self.last = b""
        self.counted = 0
        self._interval = interval
        self._out = bytearray()
        self._restarts = [0]

    @property
    def size(self) -> int:
        """Bytes that the block has if it ends now."""
        return len(self._out) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes) -> None:
        out, shared = self._out, 0
        if self.counted % self._interval:
            shared = _shared(self.last, key)
        elif self.counted:
            self._restarts.append(len(out))
        own = len(key) - shared
        out += _varint(shared) + _varint(own) + _varint(len(value))
        out += key[shared:]
        out += value
        self.last = key
        self.counted += 1

    def finish(self) -> bytes:
        count = len(self._restarts)
        return bytes(self._out) + struct.pack(f"<{count + 1}I", *self._restarts, count)


def _varint(value: int) -> bytes:
    return _SMALL[value] if value < 128 else write_varint(value)


def _shared(first: bytes, second: bytes) -> int:
    """The number of leading bytes that two keys share."""
    if second.startswith(first):
        return len(first)
    # As one large number each, which is quicker than byte after byte.
    size = min(len(first), len(second))
    differing = int.from_bytes(first[:size], "big") ^ int.from_bytes(second[:size], "big")
    return size - (differing.bit_length() + 7) // 8


def separator(last: bytes, following: bytes) -> bytes:
    """A short key from `last` on and before `following`, the way LevelDB picks it."""
    shared = _shared(last, following)
    if shared < min(len(last), len(following)):
        byte = last[shared]
        if byte < 255 and byte + 1 < following[shared]:
            return last[:shared] + bytes([byte + 1])
    return last


def successor(last: bytes) -> bytes:
    """A short key from `last` on: its first byte that is not 255, raised by one."""
    for position, byte in enumerate(last):
        if byte < 255:
            return last[:position] + bytes([byte + 1])
    return last
