"""One index out of those of several processes, each of which has written a data file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hozon.errors import MismatchError
from hozon.formats.bundle.layout import Entry, read_entry
from hozon.formats.sstable import read_table
from hozon.raw.location import Location
from hozon.raw.sources import MemorySource
from hozon.stored.extents import Extents


def merged(tables: Sequence[bytes]) -> Mapping[bytes, Entry]:
    """The entries of all tables; a tensor of which several have parts has those of all.

    Raises:
        MismatchError: two processes have written one tensor, or parts of it are missing.
    """
    found: dict[bytes, Entry] = {}
    for number, table in enumerate(tables):
        where = Location(f"the index of process {number}")
        for key, value in read_table(MemorySource(where.file, table)):
            entry = read_entry(value, where)._replace(shard=number)
            found[key] = _joined(key, found[key], entry) if key in found else entry
    for key, entry in found.items():
        _check_whole(key, entry)
    return found


def _joined(key: bytes, entry: Entry, more: Entry) -> Entry:
    same = (entry.dtype, entry.shape) == (more.dtype, more.shape)
    if not same or not entry.slices or not more.slices:
        raise MismatchError(
            f"two processes have written tensor {key.decode(errors='replace')!r}",
            mismatches=[f"shape {each.shape}, data file {each.shard}" for each in (entry, more)],
        )
    return entry._replace(shard=0, slices=(*entry.slices, *more.slices))


def _check_whole(key: bytes, entry: Entry) -> None:
    """Slices do not overlap: each is the first copy of its place."""
    if not entry.slices:
        return
    held = sum(_volume(extents, entry.shape) for extents in entry.slices)
    if held != math.prod(entry.shape):
        raise MismatchError(
            f"parts of tensor {key.decode(errors='replace')!r} are missing",
            mismatches=[f"{held} of {math.prod(entry.shape)} elements lie with these processes"],
        )


def _volume(extents: Extents, shape: tuple[int, ...]) -> int:
    """Elements of a slice, in which length -1 is all of an axis."""
    lengths = (size if held < 0 else held for (_, held), size in zip(extents, shape, strict=True))
    return math.prod(lengths)
