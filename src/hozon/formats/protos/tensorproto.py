"""`TensorRecord` to NumPy and back, by the rules of tensorflow/core/framework/tensor.{proto,cc}.

A tensor is stored either as raw little-endian bytes or as a list of values, in which a missing
tail repeats the last value and a missing list means zeros. A tensor that only repeats one value
comes back as a read-only view of that value, so it takes no memory until someone copies it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hozon.errors import FormatError, UnsupportedError
from hozon.formats.protos.tensor import (
    ResourceHandle,
    Shape,
    TensorRecord,
    TypeNumber,
    VariantRecord,
)
from hozon.limits import LIMITS
from hozon.stored.dtypes import (
    BOOL,
    INVALID,
    RESOURCE,
    STRING,
    VARIANT,
    DType,
    dtype_of_number,
    dtype_of_numpy,
)

Array = np.ndarray[Any, Any]


def to_numpy(record: TensorRecord) -> Array:
    """The array of a tensor: strings as an object array of ``bytes``, resources and variants as
    object arrays of `ResourceHandle` and `VariantRecord`. It may be read-only.

    Raises:
        FormatError: the shape is not fully known or is larger than `LIMITS` allow, or the bytes
            or values do not fit it.
        UnsupportedError: the dtype is unknown, or its values are stored in a form that is not
            read.
    """
    dtype = dtype_of_number(int(record.dtype)).base
    if dtype is INVALID:
        raise FormatError("a stored tensor has no type", expected="a DataType", found=0)
    shape = _static_shape(record)
    count = math.prod(shape)
    _check_size(dtype, count)
    if record.content:
        return _from_content(record.content, dtype, count).reshape(shape)
    return _fill(_values_array(record.values, dtype), dtype, shape, count)


def from_numpy(array: Array) -> TensorRecord:
    """The tensor of an array: an object array of ``bytes`` becomes strings, anything else its
    raw little-endian bytes.

    Raises UnsupportedError for a dtype that TensorFlow lacks.
    """
    dtype = dtype_of_numpy(array.dtype)
    number, shape = TypeNumber(dtype.number), Shape(array.shape)
    if dtype is STRING:
        return TensorRecord(number, shape, values=tuple(map(bytes, array.ravel())))
    return TensorRecord(number, shape, content=_little_endian(array).tobytes())


def _little_endian(array: Array) -> Array:
    return array if sys.byteorder == "little" else array.astype(array.dtype.newbyteorder("<"))


def _static_shape(record: TensorRecord) -> tuple[int, ...]:
    dims = record.shape.dims
    if dims is None or None in dims:
        raise FormatError("a stored tensor has no complete shape", expected="sizes", found=dims)
    if len(dims) > LIMITS.rank:
        raise FormatError(
            "a stored tensor has too many axes", expected=f"at most {LIMITS.rank}", found=len(dims)
        )
    return tuple(size for size in dims if size is not None)


def _check_size(dtype: DType, count: int) -> None:
    """Whole tensors are refused above what a message could hold without repeating values."""
    size = count * max(dtype.itemsize, 1)
    if size > LIMITS.message_bytes:
        raise FormatError(
            "a stored tensor is larger than a message can be",
            expected=f"at most {LIMITS.message_bytes} bytes",
            found=f"{size} bytes",
        )


def _from_content(content: bytes, dtype: DType, count: int) -> Array:
    if dtype is STRING:
        return _objects(_split_strings(content, count))
    if not dtype.fixed:
        raise UnsupportedError(
            f"a {dtype} tensor stored as raw bytes is not read", feature=f"{dtype} tensor_content"
        )
    if len(content) != count * dtype.itemsize:
        raise FormatError(
            f"a {dtype} tensor's bytes do not fit its shape",
            expected=f"{count * dtype.itemsize} bytes",
            found=f"{len(content)} bytes",
        )
    return _native(np.frombuffer(content, np.uint8), dtype)


def _native(data: Array, dtype: DType) -> Array:
    """Stored little-endian bytes as elements."""
    if dtype is BOOL:
        return data.astype(np.bool_)
    if dtype.bits < 8:
        return _narrow(data, dtype)
    if sys.byteorder == "big" and dtype.swap_unit > 1:
        data = data.view(f"u{dtype.swap_unit}").byteswap().view(np.uint8)
    return data.view(dtype.numpy)


def _narrow(data: Array, dtype: DType) -> Array:
    """Types below 8 bits, one to a byte, whose upper bits are not looked at."""
    mask = np.uint8((1 << dtype.bits) - 1)
    bits = data & mask
    if dtype.name.startswith("int"):
        sign = np.uint8(1 << (dtype.bits - 1))
        return ((bits ^ sign).astype(np.int8) - np.int8(sign)).astype(dtype.numpy)
    if dtype.name.startswith("uint"):
        return bits.astype(dtype.numpy)
    return bits.view(dtype.numpy)


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """`count` varint lengths, then the strings (EncodeStringList in tensor_coding.cc)."""
    if count > len(content):
        raise FormatError(
            "a string tensor has more elements than bytes", expected=count, found=len(content)
        )
    position, lengths = 0, []
    for _ in range(count):
        length, position = _varint(content, position)
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise FormatError(
            "a string tensor's lengths do not add up to its bytes",
            expected=position + sum(lengths),
            found=len(content),
        )
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise FormatError("a string tensor has a damaged length", offset=position)


def _values_array(values: tuple[Any, ...], dtype: DType) -> Array:
    """The listed values as a vector of the tensor's dtype."""
    read = _READERS.get(dtype.name, _integers)
    return read(values, dtype)


def _plain(values: tuple[Any, ...], dtype: DType) -> Array:
    return np.array(values, dtype.numpy)


def _integers(values: tuple[int, ...], dtype: DType) -> Array:
    """Small integers come as int32, of which TensorFlow keeps the low bits."""
    wide = np.array(values, np.int64)
    return _narrow(wide.astype(np.uint8), dtype) if dtype.bits < 8 else wide.astype(dtype.numpy)


def _bits16(values: tuple[int, ...], dtype: DType) -> Array:
    return np.array(values, np.int64).astype(np.uint16).view(dtype.numpy)


def _bits8(values: tuple[int, ...], dtype: DType) -> Array:
    return _native(np.array(values, np.uint8), dtype)


def _pairs(values: tuple[float, ...], dtype: DType) -> Array:
    if len(values) % 2:
        raise FormatError(f"a {dtype} tensor has half a value", found=f"{len(values)} floats")
    half = np.float32 if dtype.itemsize == 8 else np.float64
    return np.array(values, half).view(dtype.numpy)


def _objects(values: Any, _: DType | None = None) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


_READERS: Mapping[str, Callable[[tuple[Any, ...], DType], Array]] = {
    **dict.fromkeys(("float32", "float64", "int64", "uint32", "uint64", "bool"), _plain),
    **dict.fromkeys(("float16", "bfloat16"), _bits16),
    **dict.fromkeys(("complex64", "complex128"), _pairs),
    **dict.fromkeys(("string", "resource", "variant"), _objects),
    **dict.fromkeys(
        (
            "float8_e5m2",
            "float8_e4m3fn",
            "float8_e4m3fnuz",
            "float8_e4m3b11fnuz",
            "float8_e5m2fnuz",
            "float4_e2m1fn",
        ),
        _bits8,
    ),
}


def _fill(values: Array, dtype: DType, shape: tuple[int, ...], count: int) -> Array:
    """`values` as an array of `shape`: further ones ignored, missing ones repeat the last."""
    if not len(values):
        values = _default(dtype, count)
    if len(values) >= count:
        return values[:count].reshape(shape)
    if len(values) == 1:
        return np.broadcast_to(values[0] if dtype.fixed else values.reshape(()), shape)
    filled = np.empty(count, values.dtype)
    filled[: len(values)] = values
    filled[len(values) :] = values[-1]
    return filled.reshape(shape)


def _default(dtype: DType, count: int) -> Array:
    if dtype in (RESOURCE, VARIANT) and count:
        raise FormatError(f"a {dtype} tensor has no values", expected=count, found=0)
    return _objects([b""]) if dtype is STRING else np.zeros(1, dtype.numpy)


def handles(record: TensorRecord) -> tuple[ResourceHandle | VariantRecord, ...]:
    """The handles or variants of a tensor that no number array can hold."""
    return tuple(to_numpy(record).reshape(-1))
