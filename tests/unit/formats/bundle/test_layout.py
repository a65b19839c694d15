"""The two messages of a bundle, and the checksummed form of long lengths."""

from __future__ import annotations

import struct

import numpy as np

from hozon.formats.bundle.layout import data_file, read_entry, read_header
from hozon.formats.bundle.strings import _length_bytes
from hozon.raw.location import Location
from tests.unit.formats import bundle_files as files

WHERE = Location("x.index", "w")
UNKNOWN = (
    files.number(8, 300)
    + files.message(100, b"bytes")
    + files.varint(9 << 3 | 1)
    + bytes(8)
    + files.varint(10 << 3 | 5)
    + bytes(4)
)


def test_an_entry() -> None:
    data = files.entry(
        files.FLOAT,
        (300, 0, 2),
        shard=3,
        offset=1 << 40,
        size=77,
        crc=0xDEADBEEF,
        slices=[[(0, 5), None, (1, 0)]],
    )
    entry = read_entry(UNKNOWN + data + UNKNOWN, WHERE)
    assert entry.dtype == files.FLOAT
    assert entry.shape == (300, 0, 2)
    assert (entry.shard, entry.offset, entry.size, entry.crc) == (3, 1 << 40, 77, 0xDEADBEEF)
    assert entry.slices == (((0, 5), (0, -1), (1, 0)),)


def test_an_entry_of_defaults() -> None:
    assert read_entry(b"", WHERE) == (0, (), 0, 0, 0, 0, ())


def test_a_header() -> None:
    data = files.header(shards=7, big_endian=True, min_consumer=1)
    header = read_header(UNKNOWN + data, WHERE)
    assert header == (7, True, 1, 1, ())


def test_refused_versions_packed_and_not() -> None:
    packed = files.message(3, files.message(3, files.varint(300) + files.varint(2)))
    single = files.message(3, files.number(3, 300) + files.number(3, 2))
    for data in (packed, single):
        assert read_header(data, WHERE).bad_consumers == (300, 2)


def test_names_of_data_files() -> None:
    assert data_file("a/b", 3, 12) == "a/b.data-00003-of-00012"


def test_long_lengths_are_checksummed_as_64_bits() -> None:
    lengths = np.array([1, 1 << 32, (1 << 32) - 1], np.uint64)
    assert _length_bytes(lengths, "<") == struct.pack("<IQI", 1, 1 << 32, (1 << 32) - 1)
    assert _length_bytes(lengths[:1], ">") == struct.pack(">I", 1)
