"""Global heap collections, which hold texts of variable length: checked before HDF5 reads them.

HDF5 goes through a collection by the sizes of its objects, and never ends at a size of nothing.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from hozon.errors import FormatError

SIGNATURE = b"GCOL\1\0\0\0"
#: Of a collection: signature, version, size. Of an object: number, references, size.
_HEAD, _OBJECT = 16, struct.Struct("<HHIQ")


def check_heap(block: np.ndarray[Any, Any], file: str, offset: int) -> None:
    """Raise FormatError if a block that HDF5 reads is a collection that it would not end with.

    Layout: "Disk Format: Level 1E - Global Heap" of HDF5's file format specification.
    """
    if block.size < _HEAD or block[: len(SIGNATURE)].tobytes() != SIGNATURE:
        return
    size = int.from_bytes(block[8:_HEAD].tobytes(), "little")
    data, at = block.data, _HEAD
    while at + _OBJECT.size <= min(size, block.size):
        number, _, _, length = _OBJECT.unpack_from(data, at)
        taken = _OBJECT.size + (length + 7 & ~7) if number else length
        if taken < _OBJECT.size or at + taken > size:
            raise FormatError(
                f"{file} is a damaged HDF5 file: an object of a heap is larger than the heap",
                file=file,
                offset=offset + at,
                expected=f"{_OBJECT.size} to {size - at} bytes",
                found=taken,
            )
        at += taken
