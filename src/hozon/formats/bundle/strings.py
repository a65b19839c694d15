"""String tensors of a bundle (ReadStringTensor in TensorFlow's tensor_bundle.cc).

The lengths as varints, the masked checksum of the lengths (32 bits), then the bytes of all strings.
Both this checksum and the entry's take a length not as it is stored but as an integer of 32 bits,
or of 64 if it needs them, in the byte order of the machine that wrote the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.raw.checksum import crc32c, mask
from hozon.raw.location import Location
from hozon.raw.varint import write_varint

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CRC_BYTES = 4
_MAX_VARINT = 9


def read_strings(
    data: NDArray[np.uint8], count: int, big_endian: bool, stored_crc: int | None, where: Location
) -> NDArray[Any]:
    """The strings of a tensor, as a flat read-only object array of `bytes`.

    Args:
        data: the tensor's bytes.
        count: number of elements.
        big_endian: byte order of the machine that wrote the file.
        stored_crc: the entry's masked checksum, or None to compare no checksum.
        where: the tensor's place.

    Raises:
        FormatError: the bytes are damaged.
    """
    if not len(data) and not count:
        return _object_array([])
    lengths, start = _read_lengths(data, count, where)
    first = start + _CRC_BYTES
    if first > len(data) or int(lengths.sum()) != len(data) - first:
        raise where.damaged(
            "the lengths of the strings do not add up to the size of the tensor",
            expected=f"{len(data) - first} bytes",
            found=f"{int(lengths.sum())} bytes",
        )
    if stored_crc is not None:
        _check(lengths, data[start:first].tobytes(), data[first:], big_endian, stored_crc, where)
    ends = first + np.cumsum(lengths, dtype=np.int64)
    bounds = [first, *ends.tolist()]
    whole = data.tobytes()
    return _object_array([whole[a:b] for a, b in pairwise(bounds)])


def write_strings(strings: Sequence[bytes]) -> tuple[bytes, int]:
    """What comes before the bytes of the strings, and its part of the entry's checksum.

    Returns:
        The lengths and their masked checksum as stored, and the (unmasked) checksum that the
        bytes of all strings, one after another, go on from.
    """
    lengths = np.fromiter(map(len, strings), np.uint64, len(strings))
    checksum = crc32c(_length_bytes(lengths, "<"))
    stored = mask(checksum).to_bytes(_CRC_BYTES, "little")
    return b"".join(map(write_varint, map(len, strings))) + stored, crc32c(stored, checksum)


def _read_lengths(
    data: NDArray[np.uint8], count: int, where: Location
) -> tuple[NDArray[np.uint64], int]:
    """The lengths of the strings, and the position after them."""
    if count > len(data):
        raise where.damaged(
            "a string tensor has more elements than bytes", expected=f"{count}", found=len(data)
        )
    if not count:
        return np.empty(0, np.uint64), 0
    ends = np.flatnonzero(data[: count * _MAX_VARINT] < 0x80)[:count] + 1
    starts = np.concatenate(([0], ends[:-1]))
    widths = ends - starts
    if len(ends) < count or widths.max() > _MAX_VARINT:
        raise where.damaged("the length of a string is cut short or has more than 63 bits")
    used = int(ends[-1])
    shifts = 7 * (np.arange(used) - np.repeat(starts, widths)).astype(np.uint64)
    lengths = np.add.reduceat((data[:used] & np.uint8(0x7F)).astype(np.uint64) << shifts, starts)
    if lengths.max() > len(data):
        raise where.damaged(
            "a string is longer than its tensor",
            expected=f"at most {len(data)} bytes",
            found=f"{int(lengths.max())} bytes",
        )
    return lengths, used


def _check(
    lengths: NDArray[np.uint64],
    length_crc: bytes,
    text: NDArray[np.uint8],
    big_endian: bool,
    stored_crc: int,
    where: Location,
) -> None:
    order = ">" if big_endian else "<"
    checksum = crc32c(_length_bytes(lengths, order))
    stored_lengths = int.from_bytes(length_crc, "big" if big_endian else "little")
    _compare("the lengths of the strings", mask(checksum), stored_lengths, where)
    checksum = crc32c(text, crc32c(length_crc, checksum))
    _compare("the tensor", mask(checksum), stored_crc, where)


def _length_bytes(lengths: NDArray[np.uint64], order: str) -> bytes:
    if not len(lengths) or lengths.max() <= 0xFFFFFFFF:
        return lengths.astype(f"{order}u4").tobytes()
    widths = (f"{order}u{4 if length <= 0xFFFFFFFF else 8}" for length in lengths)
    pairs = zip(lengths, widths, strict=True)
    return b"".join(length.astype(width).tobytes() for length, width in pairs)


def _compare(what: str, actual: int, stored: int, where: Location) -> None:
    if actual != stored:
        raise where.damaged(
            f"the checksum of {what} is wrong",
            at=0,
            expected=f"{stored:#010x}",
            found=f"{actual:#010x}",
        )


def _object_array(items: list[bytes]) -> NDArray[Any]:
    array = np.empty(len(items), object)
    array[:] = items
    array.flags.writeable = False
    return array
