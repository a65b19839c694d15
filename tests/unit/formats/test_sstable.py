"""Sorted tables built byte by byte."""

from __future__ import annotations

import struct

import pytest

from hozon.errors import FormatError, UnsupportedError
from hozon.formats.sstable import is_table, read_table
from hozon.raw.sources import MemorySource
from tests.unit.formats.bundle_files import block, simple_table, table, varint

RECORDS = [(f"layer/{i:04d}/kernel".encode(), bytes([i % 256]) * (i % 300)) for i in range(500)]


def read(data: bytes) -> list[tuple[bytes, bytes]]:
    return list(read_table(MemorySource("t.index", data)))


@pytest.mark.parametrize("per_block", [1, 7, 100, 1000])
def test_every_record_in_order(per_block: int) -> None:
    assert read(simple_table(RECORDS, per_block)) == RECORDS


def test_an_empty_key_and_an_empty_value() -> None:
    assert read(simple_table([(b"", b""), (b"a", b"")])) == [(b"", b""), (b"a", b"")]


def test_a_table_without_records() -> None:
    assert read(table([], [])) == []
    assert read(table([(block([]), 0)], [b""])) == []


def snappy(data: bytes) -> bytes:
    """One literal with a length of two bytes."""
    return varint(len(data)) + b"\xf4" + struct.pack("<H", len(data) - 1) + data


def test_a_block_that_snappy_compressed() -> None:
    blocks = [(snappy(block(RECORDS[:50])), 1), (block(RECORDS[50:60]), 0)]
    assert read(table(blocks, [RECORDS[49][0], RECORDS[59][0]])) == RECORDS[:60]


def test_an_unknown_compression_is_named() -> None:
    with pytest.raises(UnsupportedError, match="number 2"):
        read(table([(block(RECORDS[:1]), 2)], [b"z"]))


def test_keys_out_of_order() -> None:
    twice = [(b"b", b""), (b"a", b"")]
    with pytest.raises(FormatError, match="increasing order"):
        read(simple_table(twice))
    with pytest.raises(FormatError, match="increasing order"):
        read(simple_table(twice, per_block=1))
    with pytest.raises(FormatError, match="increasing order"):
        read(simple_table([(b"a", b""), (b"a", b"")]))


def test_is_table_looks_at_the_end() -> None:
    assert is_table(MemorySource("t", simple_table(RECORDS)))
    assert not is_table(MemorySource("t", simple_table(RECORDS)[:-1]))
    assert not is_table(MemorySource("t", b""))
