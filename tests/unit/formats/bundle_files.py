"""Builds tables and bundles byte by byte, right ones and wrong ones.

It shares no code with the readers, so that a misunderstanding cannot hide in both.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FLOAT, DOUBLE, INT32, STRING, VARIANT = 1, 2, 3, 7, 21

Records = Sequence[tuple[bytes, bytes]]


def masked(data: bytes) -> int:
    """LevelDB's masked CRC-32C."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    """An unsigned or two's complement integer in groups of seven bits."""
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def entry_bytes(shared: int, own: bytes, value: bytes) -> bytes:
    """One entry of a block."""
    return varint(shared) + varint(len(own)) + varint(len(value)) + own + value


def block(records: Records, interval: int = 16) -> bytes:
    """A block with prefix compression and restart points."""
    out, restarts, last = b"", [], b""
    for number, (key, value) in enumerate(records):
        shared = 0
        if number % interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += entry_bytes(shared, key[shared:], value)
        last = key
    restarts = restarts or [0]
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def sealed(contents: bytes, compression: int = 0) -> bytes:
    """A block with its trailer."""
    kind = bytes([compression])
    return contents + kind + struct.pack("<I", masked(contents + kind))


def table(blocks: Sequence[tuple[bytes, int]], last_keys: Sequence[bytes]) -> bytes:
    """A table of (stored contents, compression) blocks."""
    out, index = b"", []
    for (contents, compression), key in zip(blocks, last_keys, strict=True):
        index.append((key, varint(len(out)) + varint(len(contents))))
        out += sealed(contents, compression)
    return out + tail(len(out), block(index, interval=1))


def tail(offset: int, index: bytes) -> bytes:
    """Meta index block, index block and footer of a table whose blocks end at `offset`."""
    meta = block([])
    start = offset + len(sealed(meta))
    handles = varint(offset) + varint(len(meta)) + varint(start) + varint(len(index))
    return sealed(meta) + sealed(index) + handles.ljust(40, b"\0") + MAGIC


def simple_table(records: Records, per_block: int = 100) -> bytes:
    """An uncompressed table."""
    chunks = [records[i : i + per_block] for i in range(0, len(records), per_block)]
    return table([(block(chunk), 0) for chunk in chunks], [chunk[-1][0] for chunk in chunks])


def number(field: int, value: int) -> bytes:
    """A varint field of a message; 0 is the default and left out."""
    return varint(field << 3) + varint(value) if value else b""


def message(field: int, value: bytes) -> bytes:
    """A field of a message that is a message or bytes."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def shape_bytes(shape: Sequence[int]) -> bytes:
    """A TensorShapeProto."""
    return b"".join(message(2, number(1, size)) for size in shape)


def entry(
    dtype: int,
    shape: Sequence[int],
    *,
    shard: int = 0,
    offset: int = 0,
    size: int = 0,
    crc: int = 0,
    slices: Sequence[Sequence[tuple[int, int] | None]] = (),
) -> bytes:
    """A BundleEntryProto; None in a slice is all of the axis."""
    out = number(1, dtype) + message(2, shape_bytes(shape)) + number(3, shard)
    out += number(4, offset) + number(5, size) + b"\x35" + struct.pack("<I", crc)
    for axes in slices:
        extents = (
            b"" if axis is None else number(1, axis[0]) + varint(2 << 3) + varint(axis[1])
            for axis in axes
        )
        out += message(7, b"".join(message(1, extent) for extent in extents))
    return out


def header(shards: int = 1, *, big_endian: bool = False, min_consumer: int = 0) -> bytes:
    """A BundleHeaderProto."""
    version = number(1, 1) + number(2, min_consumer)
    return number(1, shards) + number(2, int(big_endian)) + message(3, version)


def write_index(prefix: Path, records: dict[bytes, bytes], head: bytes | None = None) -> None:
    """The index file of a bundle."""
    rows = [(b"", header() if head is None else head), *sorted(records.items())]
    index_file(prefix).write_bytes(simple_table(rows))


def index_file(prefix: Path) -> Path:
    """The path of the index."""
    return prefix.with_name(f"{prefix.name}.index")


def data_file(prefix: Path, shard: int = 0, shards: int = 1) -> Path:
    """The path of a data file."""
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


def write_arrays(
    prefix: Path, arrays: dict[str, np.ndarray[Any, Any]], *, big_endian: bool = False
) -> None:
    """A bundle of numeric arrays (float32, float64, int32) in one data file."""
    numbers = {"f4": FLOAT, "f8": DOUBLE, "i4": INT32, "c8": 8, "u2": 17}
    data, records = b"", {}
    for name in sorted(arrays):
        array = arrays[name]
        raw = array.astype(array.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
        kind = numbers[array.dtype.str[1:]]
        records[name.encode()] = entry(
            kind, array.shape, offset=len(data), size=len(raw), crc=masked(raw)
        )
        data += raw
    write_index(prefix, records, header(big_endian=big_endian))
    data_file(prefix).write_bytes(data)
