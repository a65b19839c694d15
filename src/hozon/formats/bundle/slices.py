"""Partitioned tensors: the keys of their slices, and putting a part together from them.

A partitioned tensor has an entry without bytes that lists its slices. Each slice has an entry of
its own under a key that sorts like what it encodes (EncodeTensorNameSlice in
tensorflow/core/util/saved_tensor_slice_util.cc, over tensorflow/core/lib/strings/ordered_code.cc):
the number 0, the tensor's name, the number of axes, and for each axis start and length, -1 for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from hozon.raw.location import Location
from hozon.stored.extents import Extents

SLICE_MARK = b"\0"
"""The first byte of a slice's key, which no tensor's name has."""

_ESCAPES = {0: b"\0\xff", 255: b"\xff\0"}


def slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of a slice; a length of -1 stands for all of an axis."""
    parts = [_unsigned(0), _text(name), _unsigned(len(extents))]
    for start, length in extents:
        parts += (_signed(start), _signed(length))
    return b"".join(parts)


def resolve(extents: Sequence[tuple[int, int]], shape: tuple[int, ...], where: Location) -> Extents:
    """A slice's extents with -1 replaced by the length of the axis.

    Raises:
        FormatError: the slice does not fit the tensor's shape.
    """
    fits = len(extents) == len(shape)
    resolved = tuple(
        (start, size if length < 0 else length)
        for (start, length), size in zip(extents, shape, strict=False)
    )
    ends = (start + length for start, length in resolved)
    if not fits or any(end > size for end, size in zip(ends, shape, strict=False)):
        raise where.damaged(
            "a slice lies outside its tensor", expected=f"within {shape}", found=tuple(extents)
        )
    return resolved


def _unsigned(value: int) -> bytes:
    """The number of bytes, then the bytes, most significant first."""
    width = (value.bit_length() + 7) // 8
    return bytes([width]) + value.to_bytes(width, "big")


def _text(value: bytes) -> bytes:
    """The bytes with 0 and 255 escaped, then a separator."""
    return b"".join(_ESCAPES.get(byte, bytes([byte])) for byte in value) + b"\0\1"


def _signed(value: int) -> bytes:
    """As many leading one bits as there are bytes, then the number; all inverted if negative."""
    bits = (~value if value < 0 else value).bit_length()
    width = bits // 7 + 1
    leading = ((1 << width) - 1) << (7 * width)
    return ((value & ((1 << 8 * width) - 1)) ^ leading).to_bytes(width, "big")
