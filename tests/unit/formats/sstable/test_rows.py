"""The entries of a block in columns: those that are read one by one, or left to be so read."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hozon.errors import FormatError
from hozon.formats.sstable import encode_table, rows
from hozon.formats.sstable.block import read_entries
from hozon.formats.sstable.reader import _data_blocks
from hozon.formats.sstable.rows import rows_of
from hozon.limits import LIMITS
from hozon.raw.location import Location
from hozon.raw.sources import MemorySource

WHERE = Location("t.index", "block")
Records = list[tuple[bytes, bytes]]


def one_block(records: Records) -> bytes:
    """The first block of a table."""
    data = encode_table(records)
    return data[: next(_data_blocks(MemorySource("t.index", data), LIMITS)).size]


def at_once(contents: bytes) -> Records:
    return [pair for found in rows_of(contents, WHERE, LIMITS) for pair in found.pairs()]


def in_turn(contents: bytes) -> Records | str:
    try:
        return list(read_entries(contents, WHERE, LIMITS))
    except FormatError as error:
        return str(error)


@given(st.dictionaries(st.binary(max_size=200), st.binary(max_size=300), min_size=1, max_size=90))
@settings(deadline=None)
def test_a_block_is_decoded_at_once(records: dict[bytes, bytes]) -> None:
    ordered = sorted(records.items())
    contents = one_block(ordered)
    assert rows._in_columns(contents, LIMITS) is not None
    assert at_once(contents) == ordered


@given(
    st.dictionaries(st.binary(max_size=9), st.binary(max_size=9), min_size=1, max_size=50),
    st.integers(0, 1 << 30),
)
@settings(deadline=None, max_examples=300)
def test_a_damaged_block_means_what_it_means_entry_by_entry(
    records: dict[bytes, bytes], seed: int
) -> None:
    drawn = random.Random(seed)
    contents = bytearray(one_block(sorted(records.items())))
    for _ in range(drawn.choice((1, 1, 2, 5))):
        contents[drawn.randrange(len(contents))] = drawn.choice((0, 1, 127, 128, 255, 7))
    damaged = bytes(contents[: drawn.choice((len(contents), drawn.randrange(len(contents))))])
    expected = in_turn(damaged)
    if isinstance(expected, str):
        with pytest.raises(FormatError) as error:
            at_once(damaged)
        assert str(error.value) == expected
    else:
        assert at_once(damaged) == expected


def test_a_block_of_one_long_run_is_left_to_be_read_entry_by_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordered = [(b"%05d" % number, b"v") for number in range(200)]
    contents = one_block(ordered)
    entries = contents[: -4 - 4 * int.from_bytes(contents[-4:], "little")]
    one_run = entries + bytes(4) + (1).to_bytes(4, "little")
    monkeypatch.setattr(rows, "_ENTRIES", 30)
    assert rows._in_columns(one_run, LIMITS) is None
    assert at_once(one_run) == ordered
