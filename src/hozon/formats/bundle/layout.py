"""The bytes of a tensor bundle (tensorflow/core/protobuf/tensor_bundle.proto).

`<prefix>.index` is a sorted table. Its first key, the empty one, holds a header message:
    1 num_shards: int32; 2 endianness: 0 little, 1 big; 3 version: {1 producer, 2 min_consumer,
    3 bad_consumers}
Every other key is a tensor's name (or the name of a slice, see `slices.py`) and holds an entry:
    1 dtype; 2 shape: {2 dim: {1 size}, 3 unknown_rank}; 3 shard_id; 4 offset; 5 size;
    6 crc32c: fixed32, masked; 7 slices: {1 extent: {1 start, 2 length}}
The tensors' bytes are in `<prefix>.data-<shard>-of-<num_shards>`.

These two messages are decoded here rather than with the protobuf library, since there is one for
each of what may be a hundred thousand tensors. Unknown fields are skipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from hozon.errors import FormatError
from hozon.limits import LIMITS
from hozon.raw.location import Location
from hozon.raw.varint import read_varint, to_signed, write_varint

VERSION = 1
"""The version of the format that this reader knows; TensorFlow has had no other."""

HEADER_KEY = b""
INDEX_SUFFIX = ".index"

Value = int | bytes
_NOWHERE = Location("")


class Header(NamedTuple):
    """What the empty key holds."""

    num_shards: int
    big_endian: bool
    producer: int
    min_consumer: int
    bad_consumers: tuple[int, ...]


class Entry(NamedTuple):
    """Where a tensor is and what it is; a tuple because a checkpoint has so many.

    `slices` holds, for a partitioned tensor, the (start, length) of each axis of each slice, with
    length -1 for all of the axis.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[tuple[tuple[int, int], ...], ...]


def data_file(prefix: str, shard: int, num_shards: int) -> str:
    """The path of a data file."""
    return f"{prefix}.data-{shard:05d}-of-{num_shards:05d}"


def read_header(data: bytes, where: Location) -> Header:
    """Decodes the header message.

    Raises:
        FormatError: it is damaged, or its values are impossible.
    """
    num_shards, endianness, version = 0, 0, b""
    for number, value in _fields(data, where):
        if number == 1:
            num_shards = to_signed(_number(value, where))
        elif number == 2:
            endianness = _number(value, where)
        elif number == 3:
            version += _bytes(value, where)
    if not 0 <= num_shards <= LIMITS.shards:
        raise where.damaged(
            "the number of data files is impossible",
            expected=f"0 to {LIMITS.shards}",
            found=num_shards,
        )
    if endianness not in (0, 1):
        raise where.damaged("the byte order is unknown", expected="0 or 1", found=endianness)
    return Header(num_shards, endianness == 1, *_read_version(version, where))


def read_entry(data: bytes, where: Location) -> Entry:
    """Decodes the entry of a tensor or of a slice.

    Raises:
        FormatError: it is damaged, or its values are impossible.
    """
    dtype = shard = offset = size = crc = 0
    shape: tuple[int, ...] = ()
    slices: tuple[tuple[tuple[int, int], ...], ...] = ()
    for number, value in _fields(data, where):
        if number == 2:
            shape += _shape(_bytes(value, where), where)
        elif number == 7:
            slices += (_read_slice(_bytes(value, where), where),)
        elif number > 7 or number < 1:
            continue
        elif isinstance(value, bytes):
            raise where.damaged(f"field {number} is not a number")
        elif number == 4:
            offset = value
        elif number == 5:
            size = value
        elif number == 6:
            crc = value
        elif number == 1:
            dtype = value
        else:
            shard = value
    if (offset | size | shard) >> 63:
        raise where.damaged(
            "the extent is negative",
            found=f"shard {to_signed(shard)}, offset {to_signed(offset)}, size {to_signed(size)}",
        )
    if len(slices) > LIMITS.slices:
        raise where.damaged("the tensor has too many slices", found=len(slices))
    return Entry(dtype, shape, shard, offset, size, crc, slices)


def _shape(data: bytes, where: Location) -> tuple[int, ...]:
    try:
        return read_shape(data)
    except FormatError as error:
        # Shapes repeat, so they are decoded once, without a place; the place is put in here.
        raise where.damaged(error.message, expected=error.expected, found=error.found) from None


@lru_cache(maxsize=4096)
def read_shape(data: bytes) -> tuple[int, ...]:
    """Decodes a shape.

    Raises:
        FormatError: it is damaged, or its values are impossible.
    """
    dims = []
    for number, value in _fields(data, _NOWHERE):
        if number == 2:
            dims.append(_read_dim(_bytes(value, _NOWHERE)))
        elif number == 3 and value:
            raise _NOWHERE.damaged("the shape has an unknown rank")
    if len(dims) > LIMITS.rank:
        raise _NOWHERE.damaged("too many axes", expected=f"<= {LIMITS.rank}", found=len(dims))
    return tuple(dims)


def _read_dim(data: bytes) -> int:
    size = 0
    for number, value in _fields(data, _NOWHERE):
        if number == 1:
            size = to_signed(_number(value, _NOWHERE))
    if size < 0:
        raise _NOWHERE.damaged("the shape has a negative axis", found=size)
    return size


def _read_slice(data: bytes, where: Location) -> tuple[tuple[int, int], ...]:
    axes = (_bytes(value, where) for number, value in _fields(data, where) if number == 1)
    return tuple(_read_extent(axis, where) for axis in axes)


def _read_extent(data: bytes, where: Location) -> tuple[int, int]:
    start, length = 0, -1
    for number, value in _fields(data, where):
        if number == 1:
            start = to_signed(_number(value, where))
        elif number == 2:
            length = to_signed(_number(value, where))
    if start < 0 or length < -1:
        raise where.damaged("a slice has a negative extent", found=f"{start},{length}")
    return start, length


def _read_version(data: bytes, where: Location) -> tuple[int, int, tuple[int, ...]]:
    producer = min_consumer = 0
    bad: list[int] = []
    for number, value in _fields(data, where):
        if number == 1:
            producer = to_signed(_number(value, where))
        elif number == 2:
            min_consumer = to_signed(_number(value, where))
        elif number == 3:
            bad.extend(_numbers(value, where))
    return producer, min_consumer, tuple(bad)


def _numbers(value: Value, where: Location) -> list[int]:
    """A repeated number, packed or not."""
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = read_varint(value, position, where)
        numbers.append(number)
    return numbers


def _number(value: Value, where: Location) -> int:
    if isinstance(value, int):
        return value
    raise where.damaged("a field that is a number holds bytes")


def _bytes(value: Value, where: Location) -> bytes:
    if isinstance(value, bytes):
        return value
    raise where.damaged("a field that is a message holds a number")


def _fields(data: bytes, where: Location) -> list[tuple[int, Value]]:
    """The field numbers and values of a message (protobuf.dev/programming-guides/encoding)."""
    fields: list[tuple[int, Value]] = []
    position, end = 0, len(data)
    while position < end:
        begin = position
        tag = data[position]
        position += 1
        if tag > 0x7F:
            tag, position = read_varint(data, begin, where)
        value: Value
        # Literals, since there are half a million fields in a large checkpoint.
        match tag & 7:
            case 0 | 2 as kind:
                if position < end and (number := data[position]) < 0x80:
                    position += 1
                else:
                    number, position = read_varint(data, position, where)
                value = number
                if kind == 2:
                    value = data[position : position + number]
                    position += number
            case 1 | 5 as kind:
                width = 8 if kind == 1 else 4
                value = int.from_bytes(data[position : position + width], "little")
                position += width
            case kind:
                raise where.damaged(f"a message has a field of unknown kind {kind}", at=begin)
        if position > end:
            raise where.damaged("a field runs past the end of its message", at=begin)
        fields.append((tag >> 3, value))
    return fields


def write_header(header: Header) -> bytes:
    """Encodes the header message; fields of value 0 are left out, as protocol buffers do."""
    version = _field(1, header.producer) + _field(2, header.min_consumer)
    version += b"".join(b"\x18" + _unsigned(number) for number in header.bad_consumers)
    shards = _field(1, header.num_shards) + _field(2, int(header.big_endian))
    return shards + _message(3, version)


def write_entry(entry: Entry) -> bytes:
    """Encodes the entry of a tensor or of a slice, with a shape even where it has no axes."""
    data = _write_kind(entry.dtype, entry.shape, entry.shard)
    if entry.offset:
        data += b"\x20" + write_varint(entry.offset)
    if entry.size:
        data += b"\x28" + write_varint(entry.size)
    if entry.crc:
        data += b"\x35" + entry.crc.to_bytes(4, "little")
    return data + b"".join(map(_write_slice, entry.slices)) if entry.slices else data


@lru_cache(maxsize=4096)
def _write_kind(dtype: int, shape: tuple[int, ...], shard: int) -> bytes:
    """The first three fields, which repeat from tensor to tensor."""
    axes = b"".join(_message(2, _field(1, size)) for size in shape)
    return _field(1, dtype) + _message(2, axes) + _field(3, shard)


def _write_slice(extents: tuple[tuple[int, int], ...]) -> bytes:
    return _message(7, b"".join(map(_write_extent, extents)))


def _write_extent(extent: tuple[int, int]) -> bytes:
    start, length = extent
    # The length is one of a choice, which is written even if it is 0, and left out for all.
    return _message(1, _field(1, start) + (b"" if length < 0 else b"\x10" + _unsigned(length)))


def _field(number: int, value: int) -> bytes:
    """A number in a field whose tag takes one byte; nothing for 0."""
    return bytes([number << 3]) + _unsigned(value) if value else b""


def _message(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _unsigned(len(data)) + data


def _unsigned(value: int) -> bytes:
    return bytes([value]) if 0 <= value < 128 else write_varint(value)
