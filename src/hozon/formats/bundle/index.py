"""The index of a bundle: every entry decoded, and checked against every other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from hozon.formats.bundle.entries import (
    RECORD,
    Entries,
    Records,
    Shapes,
    Slices,
    decoded,
    recorded,
)
from hozon.formats.bundle.layout import (
    HEADER_KEY,
    VERSION,
    Entry,
    Header,
    read_entry,
    read_header,
)
from hozon.formats.bundle.names import Names, Piece, joined, piece_of
from hozon.formats.bundle.slices import SLICE_MARK
from hozon.formats.sstable import Rows, read_rows
from hozon.limits import Limits
from hozon.raw.location import Location
from hozon.raw.sources import Source
from hozon.stored.dtypes import BY_NUMBER

_KNOWN = np.array(list(BY_NUMBER), np.uint64)
_WIDEST = max(dtype.itemsize for dtype in BY_NUMBER.values())


@dataclass(frozen=True, slots=True)
class Index:
    """What the index file says.

    Attributes:
        header: number of data files, byte order, version.
        entries: the tensors by name, in the order of the file.
        slices: the slices of partitioned tensors by their encoded keys.
    """

    header: Header
    entries: Entries
    slices: dict[bytes, Entry]


def read_index(source: Source, limits: Limits) -> Index:
    """Reads the whole index.

    Raises:
        FormatError: it is damaged, or what it says is impossible.
        UnsupportedError: it is of another version, or has tensors of unknown types.
    """
    table = read_rows(source, limits)
    first = next(table, None)
    record = None if first is None else next(first.pairs())
    building = _Building(_first(record, Location(source.name, "header")), source.name, limits)
    for rows in chain([] if first is None else [first.after(1)], table):
        building.add(rows)
    return building.done()


class _Building:
    """An index that grows by some entries at a time."""

    def __init__(self, header: Header, file: str, limits: Limits) -> None:
        self._header = header
        self._file = file
        self._limits = limits
        self._names: list[Piece] = []
        self._records: list[Records] = [np.zeros(0, RECORD)]
        self._shapes = Shapes()
        self._parted: dict[int, Slices] = {}
        self._slices: dict[bytes, Entry] = {}
        self._count = 0
        self._seen = 0

    def add(self, rows: Rows) -> None:
        """Adds entries, each checked."""
        self._seen += len(rows)
        if self._seen > self._limits.tensors:
            raise Location(self._file).damaged(
                "the checkpoint has too many tensors", expected=f"at most {self._limits.tensors}"
            )
        records = self._ordinary(rows)
        if records is None:
            self._add_in_turn(rows)
        else:
            self._put(piece_of(rows.keys, rows.key_bounds), records)

    def _ordinary(self, rows: Rows) -> Records | None:
        """The records of entries that need no look at each; None if one may."""
        if not len(rows) or rows.key(0).startswith(SLICE_MARK) or not rows.keys.isascii():
            return None
        records = decoded(rows, self._shapes)
        if records is None or (records["shard"] >= self._header.num_shards).any():
            return None
        known = np.isin(records["dtype"], _KNOWN).all()
        return (
            records
            if known and self._shapes.largest * _WIDEST <= self._limits.tensor_bytes
            else None
        )

    def _add_in_turn(self, rows: Rows) -> None:
        names: list[bytes] = []
        entries: list[Entry] = []
        for key, value in rows.pairs():
            where = Location(self._file, _name(key, self._file))
            entry = read_entry(value, where)
            _check(entry, self._header, where, self._limits)
            if key.startswith(SLICE_MARK):
                self._slices[key] = entry
                continue
            if entry.slices:
                self._parted[self._count + len(names)] = entry.slices
            names.append(key)
            entries.append(entry)
        if names:
            self._put(joined(names), recorded(entries, self._shapes))

    def _put(self, names: Piece, records: Records) -> None:
        self._names.append(names)
        self._records.append(records)
        self._count += len(records)

    def done(self) -> Index:
        """The index, checked as a whole."""
        records = np.concatenate(self._records)
        self._records.clear()
        entries = Entries(Names(self._names), records, self._shapes, self._parted)
        _check_extents(records, entries, self._slices, self._file)
        return Index(self._header, entries, self._slices)


def _first(record: tuple[bytes, bytes] | None, where: Location) -> Header:
    if record is None or record[0] != HEADER_KEY:
        raise where.damaged(
            "the table is not the index of a checkpoint: it has no header",
            expected="an empty key",
            found="no key" if record is None else record[0][:40],
        )
    header = read_header(record[1], where)
    if header.min_consumer > VERSION or VERSION in header.bad_consumers:
        raise where.unsupported(
            f"the checkpoint asks for a reader of version {header.min_consumer}; this is one of "
            f"version {VERSION}",
            feature=f"checkpoint version {header.producer}",
        )
    return header


def _name(key: bytes, file: str) -> str:
    if key.startswith(SLICE_MARK):
        return repr(key)
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise Location(file, repr(key)).damaged("a tensor's name is not UTF-8") from None


def _check(entry: Entry, header: Header, where: Location, limits: Limits) -> None:
    dtype = BY_NUMBER.get(entry.dtype)
    if dtype is None:
        raise where.unsupported(
            f"the tensor is of an unknown type, number {entry.dtype}",
            feature=f"type number {entry.dtype}",
        )
    if entry.shard >= header.num_shards:
        raise where.damaged(
            "the tensor is in a data file that the checkpoint does not have",
            expected=f"below {header.num_shards}",
            found=entry.shard,
        )
    largest = dtype.itemsize or 1
    for length in entry.shape:
        largest *= length or 1
    if largest > limits.tensor_bytes:
        raise where.damaged("the tensor is too large", found=f"shape {entry.shape}")


def _check_extents(
    records: Records, entries: Entries, slices: Mapping[bytes, Entry], file: str
) -> None:
    """Tensors may share their bytes, but none may lie half in another."""
    kept = recorded(list(slices.values()), Shapes())
    fields = ("shard", "offset", "size")
    shards, offsets, sizes = (np.concatenate([records[f], kept[f]]) for f in fields)
    order = np.lexsort((sizes, offsets, shards))
    order = order[sizes[order] > 0]
    shards, offsets, sizes = shards[order], offsets[order], sizes[order]
    same_file = shards[1:] == shards[:-1]
    shared = same_file & (offsets[1:] == offsets[:-1]) & (sizes[1:] == sizes[:-1])
    overlapping = same_file & ~shared & (offsets[1:] < offsets[:-1] + sizes[:-1])
    for later in np.flatnonzero(overlapping)[:1] + 1:
        extent = (int(shards[later]), int(offsets[later]), int(sizes[later]))
        raise Location(file, _owner(extent, entries, slices)).damaged(
            "the tensor overlaps another one in its data file",
            expected=f"an offset of {offsets[later - 1] + sizes[later - 1]} or more",
            found=extent[1],
        )


def _owner(extent: tuple[int, int, int], entries: Entries, slices: Mapping[bytes, Entry]) -> str:
    sliced = ((repr(key), e) for key, e in slices.items())
    named = chain(entries.each(), sliced)
    return next(name for name, e in named if (e.shard, e.offset, e.size) == extent)
