"""Variable-length integers: seven bits a byte, least significant group first.

The encoding that LevelDB tables, snappy and protocol buffers share (LevelDB's util/coding.h).
"""

from __future__ import annotations

from hozon.raw.location import Location

MAX_BITS = 64


def read_varint(data: bytes, position: int, where: Location) -> tuple[int, int]:
    """The unsigned 64-bit integer at `position`, and the position after it.

    Raises:
        FormatError: the bytes end inside it, or it has more than 64 bits.
    """
    start, value, shift = position, 0, 0
    for byte in data[position : position + 10]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> MAX_BITS:
                break
            return value, position
        shift += 7
    if shift == 70 or value >> MAX_BITS:
        raise where.damaged("a variable-length integer has more than 64 bits", at=start)
    raise where.damaged("the bytes end inside a variable-length integer", at=start)


def write_varint(value: int) -> bytes:
    """`value`, from 0 to 2**64 - 1, in 1 to 10 bytes."""
    if not 0 <= value < 1 << MAX_BITS:
        raise ValueError(f"{value} is not an unsigned 64-bit integer")
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def to_signed(value: int) -> int:
    """The signed 64-bit integer that an unsigned one holds in two's complement."""
    return value - (1 << MAX_BITS) if value >> (MAX_BITS - 1) else value


def from_zigzag(value: int) -> int:
    """The signed integer that zigzag maps to `value`: 0, 1, 2, 3 stand for 0, -1, 1, -2."""
    return (value >> 1) ^ -(value & 1)


def to_zigzag(value: int) -> int:
    """The unsigned integer that stands for a signed 64-bit one."""
    return value * 2 if value >= 0 else -value * 2 - 1
