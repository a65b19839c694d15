"""The few messages of XLA that graphs hold as bytes in attributes: dimension numbers.

Field numbers are those of xla/xla_data.proto (openxla/xla). A dimension that is not written is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hozon.raw.cursor import Cursor
from hozon.raw.location import Location
from hozon.raw.varint import to_signed

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class DotNumbers:
    """``DotDimensionNumbers``."""

    lhs_contracting: tuple[int, ...]
    rhs_contracting: tuple[int, ...]
    lhs_batch: tuple[int, ...]
    rhs_batch: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GatherNumbers:
    """``GatherDimensionNumbers``; those of a scatter name the same things of its updates."""

    offset: tuple[int, ...]
    collapsed: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching: tuple[int, ...]
    indices_batching: tuple[int, ...]
    index_vector: int


@dataclass(frozen=True, slots=True)
class ConvNumbers:
    """``ConvolutionDimensionNumbers``: batch, feature and spatial axes, or kernel in and out."""

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    out: tuple[int, ...]


class _Message:
    """Integers by field number."""

    def __init__(self, data: bytes, where: Location) -> None:
        self.values = _integers(data, where)

    def many(self, number: int) -> tuple[int, ...]:
        """A repeated field."""
        return tuple(self.values.get(number, ()))

    def one(self, number: int) -> int:
        """A field, the last one if it is written more than once."""
        return (0, *self.many(number))[-1]


def _integers(data: bytes, where: Location) -> Mapping[int, Sequence[int]]:
    found: dict[int, list[int]] = {}
    cursor = Cursor(data, where)
    while cursor.remaining:
        key = cursor.varint()
        values = found.setdefault(key >> 3, [])
        wire = key & 7
        if wire == _VARINT:
            values.append(to_signed(cursor.varint()))
        elif wire == _LENGTH:
            packed = Cursor(cursor.take(cursor.varint()), where)
            while packed.remaining:
                values.append(to_signed(packed.varint()))
        elif wire in (_FIXED64, _FIXED32):
            cursor.take(8 if wire == _FIXED64 else 4)
        else:
            raise where.damaged(f"wire type {wire} in a message of XLA")
    return found


def parse_dot(data: bytes, where: Location) -> DotNumbers:
    """The ``DotDimensionNumbers`` in `data`; FormatError for bytes that are none."""
    message = _Message(data, where)
    return DotNumbers(*(message.many(number) for number in (1, 2, 3, 4)))


def parse_gather(data: bytes, where: Location) -> GatherNumbers:
    """The ``GatherDimensionNumbers`` or ``ScatterDimensionNumbers`` in `data`.

    Raises FormatError for bytes that are none.
    """
    message = _Message(data, where)
    offset, collapsed, start, operand, indices = (message.many(n) for n in (1, 2, 3, 5, 6))
    return GatherNumbers(offset, collapsed, start, operand, indices, message.one(4))


def parse_conv(data: bytes, where: Location) -> ConvNumbers:
    """The ``ConvolutionDimensionNumbers`` in `data`; FormatError for bytes that are none."""
    message = _Message(data, where)
    return ConvNumbers(
        (message.one(7), message.one(8), *message.many(11)),
        (message.one(4), message.one(3), *message.many(6)),
        (message.one(9), message.one(10), *message.many(12)),
    )


def parse_precision(data: bytes, where: Location) -> tuple[int, ...]:
    """The precision asked for each operand: 0 is the default, 1 high, 2 the highest."""
    return _Message(data, where).many(1)
