"""Tables that are written: read back, and byte for byte those of TensorFlow."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hozon.formats.sstable import encode_table, read_table
from hozon.formats.sstable.writer import separator, successor
from hozon.raw.sources import MemorySource, map_file
from tests.conftest import shared_folder
from tests.oracle.client import Oracle
from tests.unit.formats import bundle_files as files

INDEXES = sorted((shared_folder() / "wild").glob("models/**/*.index"))

WRITE_MANY = """
names = [f"layer-{i % 97}/unit-{i}/" + "x" * (i % 300) for i in range(3000)]
tensors = [tf.constant(float(i)) for i in range(3000)]
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names),
                  tensors=tensors)
"""


def read(data: bytes) -> list[tuple[bytes, bytes]]:
    return list(read_table(MemorySource("t.index", data)))


@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=300), max_size=80))
def test_what_is_written_is_read(records: dict[bytes, bytes]) -> None:
    rows = sorted(records.items())
    assert read(encode_table(rows)) == rows


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_many_blocks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = {rng.bytes(int(rng.integers(0, 30))) for _ in range(40)}
    rows = [(key, rng.bytes(int(rng.integers(0, 100_000)))) for key in sorted(keys)]
    assert read(encode_table(rows)) == rows


def test_a_small_table_byte_for_byte() -> None:
    rows = [(b"", b"head"), *((b"k%03d" % i, b"v" * i) for i in range(100))]
    block = files.sealed(files.block(rows))
    index = files.block([(b"l", files.varint(0) + files.varint(len(block) - 5))], interval=1)
    assert encode_table(rows) == block + files.tail(len(block), index)


def test_a_table_without_records() -> None:
    data = encode_table([])
    assert read(data) == []
    assert data == files.table([], [])


def test_values_of_more_than_a_block() -> None:
    rows = [(b"a", b"x" * 1_000_000), (b"ab", b""), (b"b", b"y" * 300_000)]
    assert read(encode_table(rows)) == rows


@pytest.mark.parametrize("keys", [(b"a", b"a"), (b"b", b"a"), (b"", b"")])
@pytest.mark.parametrize("size", [1, 300_000])
def test_keys_must_increase(keys: tuple[bytes, bytes], size: int) -> None:
    with pytest.raises(ValueError, match="must increase"):
        encode_table([(key, b"v" * size) for key in keys])


@pytest.mark.parametrize(
    ("last", "following", "expected"),
    [
        (b"abcdef", b"abzz", b"abd"),
        (b"abc", b"abd", b"abc"),
        (b"ab", b"abc", b"ab"),
        (b"a\xfe\x01", b"a\xff", b"a\xfe\x01"),
        (b"", b"a", b""),
    ],
)
def test_separators(last: bytes, following: bytes, expected: bytes) -> None:
    assert separator(last, following) == expected


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_a_separator_separates(a: bytes, b: bytes) -> None:
    last, following = sorted((a, b))
    if last < following:
        found = separator(last, following)
        assert last <= found < following
        assert len(found) <= len(last)
    assert successor(last) >= last


def test_successors() -> None:
    found = [successor(key) for key in (b"abc", b"\xff\x01a", b"\xff\xff", b"")]
    assert found == [b"b", b"\xff\x02", b"\xff\xff", b""]


def test_the_same_bytes_as_tensorflow_over_several_blocks(oracle: Oracle, tmp_path: Path) -> None:
    oracle.python(WRITE_MANY, prefix=str(tmp_path / "many"))
    theirs = (tmp_path / "many.index").read_bytes()
    rows = read(theirs)
    assert len(rows) == 3001
    assert _data_blocks(theirs) >= 2
    assert encode_table(rows) == theirs


@pytest.mark.skipif(not INDEXES, reason="the recorded models are missing")
def test_the_same_bytes_as_recorded_indexes() -> None:
    for path in INDEXES:
        assert encode_table(read_table(map_file(path))) == path.read_bytes(), path


def _data_blocks(table: bytes) -> int:
    """The number of restart points of the index block, one for each data block."""
    footer = MemorySource("footer", table[-48:]).view(0, 40).tobytes()
    numbers, value, shift = [], 0, 0
    for byte in footer:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value = shift = 0
    end = numbers[2] + numbers[3]
    return int(struct.unpack("<I", table[end - 4 : end])[0])
