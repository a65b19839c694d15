"""The entries of a block in columns, so that a table of a million is read in a second or two.

A block is a number of runs, one from each restart point on. The first entries of all runs are
decoded at once, then all second ones, and so on: as many steps as a run has entries, sixteen where
TensorFlow wrote the table. A block that is unlike what writers make, or damaged, is left to
`block.py`, which takes an entry after the other and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

import numpy as np

from hozon.formats.sstable.block import read_entries
from hozon.limits import Limits
from hozon.raw.location import Location
from hozon.raw.varints import PADDING, Bytes, Ints, read_varints

_BLOCK_BYTES = 1 << 20
_RUN_ENTRIES = 64
_KEY_CELLS = 16 << 20
_ENTRIES = 4096
_KEY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Rows:
    """Entries of a table, in order.

    Attributes:
        keys: the bytes of all keys, one behind the other.
        key_bounds: where each key begins in `keys`, and the end of the last.
        data: bytes that hold the values, with `PADDING` more at their end.
        starts: where each value begins in `data`.
        ends: where each value ends.
    """

    keys: bytes
    key_bounds: Ints
    data: Bytes
    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Each key with its value."""
        data = self.data.tobytes()
        bounds = pairwise(self.key_bounds.tolist())
        for (a, b), c, d in zip(bounds, self.starts.tolist(), self.ends.tolist(), strict=True):
            yield self.keys[a:b], data[c:d]

    def key(self, row: int) -> bytes:
        """The key of a row, which may count from the end."""
        bounds = self.key_bounds[:-1][row], self.key_bounds[1:][row]
        return self.keys[bounds[0] : bounds[1]]

    def after(self, count: int) -> Rows:
        """The rows but the first `count`."""
        kept = slice(count, None)
        return Rows(self.keys, self.key_bounds[kept], self.data, self.starts[kept], self.ends[kept])


def rows_of(block: bytes, where: Location, limits: Limits) -> Iterator[Rows]:
    """The entries of a block, some at a time, never none.

    Raises:
        FormatError: the block is damaged, or its keys are not in increasing order.
    """
    rows = _in_columns(block, limits)
    if rows is not None:
        yield rows
        return
    entries: list[tuple[bytes, bytes]] = []
    held = 0
    for entry in read_entries(block, where, limits):
        entries.append(entry)
        held += len(entry[0])
        if len(entries) == _ENTRIES or held > _KEY_BYTES:
            yield _in_turn(entries)
            entries, held = [], 0
    if entries:
        yield _in_turn(entries)


def _in_turn(entries: Sequence[tuple[bytes, bytes]]) -> Rows:
    keys = [key for key, _ in entries]
    values = [value for _, value in entries]
    bounds = _bounds(values)
    data = np.frombuffer(b"".join(chain(values, [bytes(PADDING)])), np.uint8)
    return Rows(b"".join(keys), _bounds(keys), data, bounds[:-1], bounds[1:])


def _bounds(parts: Sequence[bytes]) -> Ints:
    return np.array([0, *accumulate(map(len, parts))], np.int64)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Entries at the same place of their runs, in columns: which runs, and their three counts."""

    runs: Ints
    shared: Ints
    own_starts: Ints
    starts: Ints
    ends: Ints

    @property
    def lengths(self) -> Ints:
        return self.shared + self.starts - self.own_starts


def _in_columns(block: bytes, limits: Limits) -> Rows | None:
    if not 4 < len(block) <= _BLOCK_BYTES:
        return None
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * count
    if end <= 0 or not count:
        return None
    data = np.frombuffer(block + bytes(PADDING), np.uint8)
    restarts = np.frombuffer(block, "<u4", count, end).astype(np.int64)
    bounds = np.append(restarts, end)
    if restarts[0] or (np.diff(bounds) <= 0).any():
        return None
    steps = _steps(data, restarts, bounds[1:])
    return None if steps is None else _joined(data, steps, count, limits)


def _steps(data: Bytes, positions: Ints, bounds: Ints) -> list[_Entries] | None:
    """The entries of all runs: the first ones, the second ones, and so on."""
    steps: list[_Entries] = []
    runs = np.arange(len(positions))
    held = np.zeros(len(positions), np.int64)
    while runs.size:
        step = None if len(steps) == _RUN_ENTRIES else _step(data, runs, positions)
        if step is None or (step.shared > held).any() or (step.ends > bounds).any():
            return None
        steps.append(step)
        going = step.ends < bounds
        runs, positions, bounds = runs[going], step.ends[going], bounds[going]
        held = step.lengths[going]
    return steps


def _step(data: Bytes, runs: Ints, positions: Ints) -> _Entries | None:
    counts: list[Ints] = []
    for _ in range(3):
        # A count may begin in the padding where a block is cut short, but not behind it.
        if (positions >= len(data) - PADDING + 3).any():
            return None
        read = read_varints(data, positions)
        if read is None:
            return None
        counts.append(read[0])
        positions = read[1]
    shared, own, length = counts
    if max(own.max(), length.max()) > len(data):
        return None
    return _Entries(runs, shared, positions, positions + own, positions + own + length)


def _joined(data: Bytes, steps: list[_Entries], runs: int, limits: Limits) -> Rows | None:
    """The entries in their order, with their whole keys."""
    width = max(int(step.lengths.max()) for step in steps)
    if width > limits.key_bytes or runs * len(steps) * width > _KEY_CELLS:
        return None
    shape = (runs, len(steps))
    keys = np.zeros((*shape, width), np.uint8)
    lengths, starts, ends = (np.full(shape, -1, np.int64) for _ in range(3))
    columns = np.arange(width)
    for number, step in enumerate(steps):
        shared, whole = step.shared[:, None], step.lengths[:, None]
        own = data[np.minimum(step.own_starts[:, None] - shared + columns, len(data) - 1)]
        own[(columns < shared) | (columns >= whole)] = 0
        if number:
            own |= np.where(columns < shared, keys[step.runs, number - 1], np.uint8(0))
        keys[step.runs, number] = own
        for column, values in ((lengths, step.lengths), (starts, step.starts), (ends, step.ends)):
            column[step.runs, number] = values
    there = lengths >= 0
    table, sizes = keys[there], lengths[there]
    if not _increasing(table, sizes):
        return None
    key_bounds = np.append(0, np.cumsum(sizes))
    joined = table[columns < sizes[:, None]].tobytes()
    return Rows(joined, key_bounds, data, starts[there], ends[there])


def _increasing(keys: Bytes, lengths: Ints) -> bool:
    """Whether each key, padded with zeros, comes after the one before it."""
    if not keys.shape[1]:
        return len(keys) < 2
    differ = keys[1:] != keys[:-1]
    first = differ.argmax(1)
    rows = np.arange(len(first))
    later = keys[1:][rows, first] > keys[:-1][rows, first]
    longer = ~differ[rows, first] & (lengths[1:] > lengths[:-1])
    return bool((later | longer).all())
