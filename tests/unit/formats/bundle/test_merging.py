"""One index out of those of several processes."""

from __future__ import annotations

import pytest

from hozon.errors import MismatchError
from hozon.formats.bundle.layout import Entry, write_entry
from hozon.formats.bundle.merging import merged
from hozon.formats.sstable import encode_table

TOP, BOTTOM = ((0, 2), (0, -1)), ((2, 2), (0, -1))


def table(**entries: Entry) -> bytes:
    return encode_table([(key.encode(), write_entry(entry)) for key, entry in entries.items()])


def parted(*slices: tuple[tuple[int, int], ...], shape: tuple[int, ...] = (4, 3)) -> Entry:
    return Entry(1, shape, 0, 0, 0, 0, slices)


def test_parts_of_several() -> None:
    whole = Entry(1, (2,), 0, 8, 8, 5, ())
    found = merged([table(a=whole, w=parted(TOP)), table(w=parted(BOTTOM)), table()])
    assert found[b"w"].slices == (TOP, BOTTOM)
    assert found[b"a"] == whole
    assert merged([table(), table(a=whole)])[b"a"].shard == 1


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([table(w=parted(TOP)), table()], "parts of tensor 'w' are missing"),
        ([table(w=Entry(1, (2,), 0, 0, 8, 5, ()))] * 2, "two processes have written tensor 'w'"),
        ([table(w=parted(TOP)), table(w=parted(BOTTOM, shape=(5, 3)))], "two processes"),
    ],
)
def test_what_does_not_fit(tables: list[bytes], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        merged(tables)
