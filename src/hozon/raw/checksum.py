"""CRC-32C, plain and masked.

The mask is the one of LevelDB's util/crc32c.h, which TensorFlow's files share: a checksum that is
stored among checksummed bytes is rotated and shifted, so that it does not cancel itself out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Buffer = bytes | NDArray[Any]

_MASK_DELTA = 0xA282EAD8
_CHUNK = 64 << 20


def crc32c(data: Buffer, seed: int = 0) -> int:
    """The CRC-32C of `seed`'s bytes followed by `data`, without copying `data`.

    Args:
        data: bytes, or a contiguous array. It is taken in chunks, because the library holds the
            interpreter lock while it works (some 16 GB/s).
        seed: the checksum of the bytes before.
    """
    if isinstance(data, np.ndarray):
        data = data.reshape(-1).view(np.uint8)
    if len(data) <= _CHUNK:
        return int(google_crc32c.extend(seed, data))
    for start in range(0, len(data), _CHUNK):
        seed = int(google_crc32c.extend(seed, data[start : start + _CHUNK]))
    return seed


def mask(checksum: int) -> int:
    """The form in which a file stores `checksum`."""
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def unmask(stored: int) -> int:
    """The checksum that a file stores as `stored`."""
    rotated = (stored - _MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def masked_crc32c(data: Buffer) -> int:
    """The checksum of `data` in the form in which a file stores it."""
    return mask(crc32c(data))
