"""Many variable-length integers at once, in columns; `varint.py` has the encoding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

PADDING = 16
"""Bytes that have to follow the last one that a number may begin in."""

_MAX_BYTES = 9
"""Of a number that a signed 64-bit integer holds."""


def read_varints(data: Bytes, positions: Ints) -> tuple[Ints, Ints] | None:
    """The numbers at `positions`, and the positions after them; None if one has over 63 bits.

    Args:
        data: bytes, with `PADDING` more at their end.
        positions: where each number begins, before the padding.
    """
    group = data[positions]
    values = (group & 0x7F).astype(np.int64)
    ends = positions + 1
    going = np.flatnonzero(group > 0x7F)
    for place in range(1, _MAX_BYTES):
        if not going.size:
            return values, ends
        group = data[positions[going] + place]
        values[going] |= (group & 0x7F).astype(np.int64) << (7 * place)
        ends[going] += 1
        going = going[group > 0x7F]
    return None if going.size else (values, ends)
