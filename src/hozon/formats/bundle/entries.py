"""The entries of a bundle in columns: a million of them take 40 bytes each beside their names.

What `layout.read_entry` decodes of one entry is decoded here of many at once: all first fields, all
second fields, in the order in which every writer of protocol buffers puts them. Entries that are
unlike that (slices, unknown fields, damage) are left to `read_entry`, one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hozon.errors import FormatError
from hozon.formats.bundle.layout import Entry, read_shape
from hozon.formats.bundle.names import Names
from hozon.formats.sstable import Rows
from hozon.raw.varints import Bytes, Ints, read_varints

RECORD = np.dtype(
    {
        "names": ["dtype", "shape", "shard", "offset", "size", "crc"],
        "formats": ["u8", "u4", "u4", "u8", "u8", "u4"],
    }
)
"""An entry without its slices; its shape is a number among `Shapes`."""

Records = NDArray[np.void]
Slices = tuple[tuple[tuple[int, int], ...], ...]

_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE, _CRC = 0x08, 0x12, 0x18, 0x20, 0x28, 0x35
"""The tags of an entry's fields: their numbers, and of which kind they are."""

_SHAPE_BYTES = 32

_FACTORS = np.array([3**40, 5**27, 7**22, 11**18, 13**17], np.uint64)
"""What turns the words of a shape into one, hardly ever the same for two."""


class Shapes:
    """The shapes that tensors have, each once, by number.

    Attributes:
        listed: the shapes, where their numbers say.
        largest: the product of the axes of the largest, those of length 0 taken for 1.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}
        self.listed: list[tuple[int, ...]] = []
        self.largest = 1

    def number(self, shape: tuple[int, ...]) -> int:
        """The number of a shape, a new one where it is new."""
        number = self._numbers.setdefault(shape, len(self.listed))
        if number == len(self.listed):
            self.listed.append(shape)
            self.largest = max(self.largest, math.prod(length or 1 for length in shape))
        return number


class Entries(Mapping[str, Entry]):
    """The entries of tensors by name, in the order of the file."""

    def __init__(
        self, names: Names, records: Records, shapes: Shapes, slices: Mapping[int, Slices]
    ) -> None:
        self._names = names
        self._records = records
        self._shapes = shapes.listed
        self._slices = slices

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._names.row(name) is not None

    def __getitem__(self, name: str) -> Entry:
        row = self._names.row(name)
        if row is None:
            raise KeyError(name)
        return self._entry(row, self._records[row].item())

    def each(self) -> Iterator[tuple[str, Entry]]:
        """Names and entries."""
        for row, (name, record) in enumerate(zip(self._names, self._records, strict=True)):
            yield name, self._entry(row, record.item())

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes."""
        numbers = self._records["shape"].tolist()
        yield from zip(self._names, map(self._shapes.__getitem__, numbers), strict=True)

    def _entry(self, row: int, record: tuple[int, int, int, int, int, int]) -> Entry:
        dtype, shape, shard, offset, size, crc = record
        slices = self._slices.get(row, ())
        return Entry(dtype, self._shapes[shape], shard, offset, size, crc, slices)


def recorded(entries: Sequence[Entry], shapes: Shapes) -> Records:
    """Decoded entries as records."""
    rows = [(e.dtype, shapes.number(e.shape), *e[2:6]) for e in entries]
    return np.array(rows, RECORD)


def decoded(rows: Rows, shapes: Shapes) -> Records | None:
    """The records of many entries, None where one is unlike what writers make."""
    fields = _Fields(rows)
    records = np.zeros(len(rows), RECORD)
    try:
        records["dtype"] = fields.numbers(_DTYPE)
        records["shape"] = _numbered(*fields.messages(_SHAPE), shapes)
        records["shard"] = fields.numbers(_SHARD)
        records["offset"] = fields.numbers(_OFFSET)
        records["size"] = fields.numbers(_SIZE)
        records["crc"] = fields.words(_CRC)
        fields.finish()
    except (_UnusualError, FormatError):
        return None
    return records


class _UnusualError(Exception):
    """An entry that is to be decoded alone."""


class _Fields:
    """The fields of many messages, in the order of their numbers; one that is missing is 0."""

    def __init__(self, rows: Rows) -> None:
        self._data = rows.data
        self._positions = rows.starts.copy()
        self._ends = rows.ends

    def numbers(self, tag: int) -> Ints:
        """A field that is a number."""
        there = self._having(tag)
        values = np.zeros(len(self._ends), np.int64)
        read = read_varints(self._data, self._positions[there] + 1)
        if read is None:
            raise _UnusualError
        values[there], self._positions[there] = read
        return values

    def words(self, tag: int) -> NDArray[np.uint32]:
        """A field of four bytes."""
        there = self._having(tag)
        values = np.zeros(len(self._ends), "<u4")
        cells = self._data[self._positions[there][:, None] + np.arange(1, 5)]
        values[there] = cells.view("<u4")[:, 0]
        self._positions[there] += 5
        return values

    def messages(self, tag: int) -> tuple[Bytes, Ints]:
        """A field of a few bytes: the bytes, with zeros behind them, and how many they are."""
        lengths = self.numbers(tag)
        longest = int(lengths.max(initial=0))
        if longest > _SHAPE_BYTES:
            raise _UnusualError
        columns = np.arange(_SHAPE_BYTES)[:longest]
        cells = np.zeros((len(lengths), _SHAPE_BYTES), np.uint8)
        part = self._data[np.minimum(self._positions[:, None] + columns, len(self._data) - 1)]
        cells[:, :longest] = np.where(columns < lengths[:, None], part, 0)
        self._positions += lengths
        return cells, lengths

    def finish(self) -> None:
        """Makes sure that nothing is left of any message."""
        if (self._positions != self._ends).any():
            raise _UnusualError

    def _having(self, tag: int) -> NDArray[np.intp]:
        left = self._positions < self._ends
        return np.flatnonzero(left & (self._data[np.where(left, self._positions, 0)] == tag))


def _numbered(cells: Bytes, lengths: Ints, shapes: Shapes) -> Ints:
    """The number of each row's shape, decoded once where many rows have the same bytes."""
    words = np.column_stack([cells.view("<u8"), lengths.astype("<u8")])
    mixed = (words * _FACTORS).sum(1, dtype=np.uint64)
    _, first, which = np.unique(mixed, return_index=True, return_inverse=True)
    if (words[first][which] != words).any():
        raise _UnusualError
    numbers = [
        shapes.number(read_shape(cells[row, : lengths[row]].tobytes())) for row in first.tolist()
    ]
    return np.array(numbers, np.int64)[which]
