"""The index of a bundle: every entry decoded, and checked against every other."""

from __future__ import annotations

from dataclasses import dataclass

from hozon.formats.bundle.layout import (
    HEADER_KEY,
    VERSION,
    Entry,
    Header,
    read_entry,
    read_header,
)
from hozon.formats.bundle.slices import SLICE_MARK
from hozon.formats.sstable import read_table
from hozon.limits import Limits
from hozon.raw.location import Location
from hozon.raw.sources import Source
from hozon.stored.dtypes import BY_NUMBER


@dataclass(frozen=True, slots=True)
class Index:
    """What the index file says.

    Attributes:
        header: number of data files, byte order, version.
        entries: the tensors by name, in the order of the file.
        slices: the slices of partitioned tensors by their encoded keys.
    """

    header: Header
    entries: dict[str, Entry]
    slices: dict[bytes, Entry]


def read_index(source: Source, limits: Limits) -> Index:
    """Reads the whole index.

    Raises:
        FormatError: it is damaged, or what it says is impossible.
        UnsupportedError: it is of another version, or has tensors of unknown types.
    """
    records = read_table(source, limits)
    header = _first(next(records, None), Location(source.name, "header"))
    entries: dict[str, Entry] = {}
    slices: dict[bytes, Entry] = {}
    for count, (key, value) in enumerate(records, start=1):
        if count > limits.tensors:
            raise Location(source.name).damaged(
                "the checkpoint has too many tensors", expected=f"at most {limits.tensors}"
            )
        name = _name(key, source.name)
        where = Location(source.name, name)
        entry = read_entry(value, where)
        _check(entry, header, where, limits)
        if key.startswith(SLICE_MARK):
            slices[key] = entry
        else:
            entries[name] = entry
    _check_extents(entries, slices, source.name)
    return Index(header, entries, slices)


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


def _check_extents(entries: dict[str, Entry], slices: dict[bytes, Entry], file: str) -> None:
    """Tensors may share their bytes, but none may lie half in another."""
    stored = {(e.shard, e.offset, e.size) for e in (*entries.values(), *slices.values()) if e.size}
    last = (-1, 0, 0)
    for extent in sorted(stored):
        if extent[0] == last[0] and extent[1] < last[1] + last[2]:
            name = _owner(extent, entries, slices)
            raise Location(file, name).damaged(
                "the tensor overlaps another one in its data file",
                expected=f"an offset of {last[1] + last[2]} or more",
                found=extent[1],
            )
        last = extent


def _owner(
    extent: tuple[int, int, int], entries: dict[str, Entry], slices: dict[bytes, Entry]
) -> str:
    named = ((name, e) for name, e in entries.items())
    sliced = ((repr(key), e) for key, e in slices.items())
    return next(name for name, e in (*named, *sliced) if (e.shard, e.offset, e.size) == extent)
