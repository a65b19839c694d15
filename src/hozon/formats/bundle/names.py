"""The names of a bundle's tensors: sorted bytes in a few pieces, text when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hozon.raw.varints import Ints


class Piece(NamedTuple):
    """Some names, one behind the other, where each begins, and the end of the last."""

    joined: bytes
    bounds: memoryview
    """Of numbers, which it gives faster than an array does."""


def piece_of(joined: bytes, bounds: Ints) -> Piece:
    """Names that lie one behind the other."""
    return Piece(joined, bounds.astype(np.uint32).data)


def joined(names: Sequence[bytes]) -> Piece:
    """Names, put one behind the other."""
    return piece_of(b"".join(names), np.cumsum([0, *map(len, names)], dtype=np.int64))


class Names(Sequence[str]):
    """Names in the order of their UTF-8, which is that of their characters too."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = [piece for piece in pieces if len(piece.bounds) > 1]
        self._first_rows = [0]
        for piece in self._pieces:
            self._first_rows.append(self._first_rows[-1] + len(piece.bounds) - 1)
        self._first_names = [_name(piece, 0) for piece in self._pieces]
        #: The row of each name in a piece, once one of its names has been looked up.
        self._rows: dict[int, dict[bytes, int]] = {}

    def __len__(self) -> int:
        return self._first_rows[-1]

    def __getitem__(self, row: int) -> str:  # type: ignore[override]
        if not 0 <= row < len(self):
            raise IndexError(row)
        number = bisect_right(self._first_rows, row) - 1
        return _name(self._pieces[number], row - self._first_rows[number]).decode()

    def __iter__(self) -> Iterator[str]:
        for names, bounds in self._pieces:
            ends = pairwise(bounds.tolist())
            if names.isascii():
                text = names.decode("ascii")
                yield from (text[start:end] for start, end in ends)
            else:
                yield from (names[start:end].decode() for start, end in ends)

    def row(self, name: str) -> int | None:
        """Which row has a name, if one has."""
        wanted = name.encode(errors="surrogatepass")
        number = bisect_right(self._first_names, wanted) - 1
        if number < 0:
            return None
        rows = self._rows.get(number)
        if rows is None:
            piece = self._pieces[number]
            rows = {_name(piece, row): row for row in range(len(piece.bounds) - 1)}
            self._rows[number] = rows
        row = rows.get(wanted)
        return None if row is None else self._first_rows[number] + row


def _name(piece: Piece, row: int) -> bytes:
    return piece.joined[piece.bounds[row] : piece.bounds[row + 1]]
