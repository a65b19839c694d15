"""One table of tensor types: NumPy, TensorFlow, Keras and safetensors names for each.

Numbers are those of `DataType` in tensorflow/core/framework/types.proto. A string tensor is, all
over Hozon, a NumPy object array of `bytes`. Types that no array can hold (resource, variant,
invalid) carry NumPy's object dtype and `bits` 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np

from hozon.errors import UnsupportedError

REF_OFFSET = 100
"""A reference type's number is its value type's number plus this."""


@dataclass(frozen=True, slots=True)
class DType:
    """One tensor type.

    Attributes:
        name: the name that TensorFlow, Keras and NumPy share, such as `float32`.
        number: TensorFlow's `DataType` number.
        enum: TensorFlow's `DataType` name, such as `DT_FLOAT`.
        numpy: the dtype of arrays that hold such values, in native byte order.
        bits: bits of information in one element; 0 where elements have no fixed size.
        safetensors: the name in a safetensors header, or None where it has none.
        swap_unit: bytes of the unit that byte order turns around (half a complex element).
        quantized: whether elements are integers that stand for reals by a scale kept elsewhere.
        ref: whether this is the reference type of `base`.
    """

    name: str
    number: int
    enum: str
    numpy: np.dtype[Any]
    bits: int
    safetensors: str | None = None
    swap_unit: int = 1
    quantized: bool = False
    ref: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of one stored element; 0 where elements have no fixed size.

        TensorFlow and NumPy store types below 8 bits in one byte each.
        """
        return (self.bits + 7) // 8

    @property
    def fixed(self) -> bool:
        """Whether every element takes the same number of bytes."""
        return self.bits > 0

    @property
    def base(self) -> DType:
        """The value type of a reference type, else the type itself."""
        return BY_NUMBER[self.number - REF_OFFSET] if self.ref else self

    def __str__(self) -> str:
        return self.name


def _fixed(
    name: str,
    number: int,
    enum: str,
    scalar: Any,
    safetensors: str | None = None,
    *,
    bits: int = 0,
    parts: int = 1,
    quantized: bool = False,
) -> DType:
    dtype = np.dtype(scalar)
    return DType(
        name,
        number,
        f"DT_{enum}",
        dtype,
        bits or dtype.itemsize * 8,
        safetensors,
        dtype.itemsize // parts,
        quantized,
    )


def _opaque(name: str, number: int, enum: str) -> DType:
    return DType(name, number, f"DT_{enum}", np.dtype(object), 0)


INVALID = _opaque("invalid", 0, "INVALID")
FLOAT32 = _fixed("float32", 1, "FLOAT", np.float32, "F32")
FLOAT64 = _fixed("float64", 2, "DOUBLE", np.float64, "F64")
INT32 = _fixed("int32", 3, "INT32", np.int32, "I32")
UINT8 = _fixed("uint8", 4, "UINT8", np.uint8, "U8")
INT16 = _fixed("int16", 5, "INT16", np.int16, "I16")
INT8 = _fixed("int8", 6, "INT8", np.int8, "I8")
STRING = _opaque("string", 7, "STRING")
COMPLEX64 = _fixed("complex64", 8, "COMPLEX64", np.complex64, "C64", parts=2)
INT64 = _fixed("int64", 9, "INT64", np.int64, "I64")
BOOL = _fixed("bool", 10, "BOOL", np.bool_, "BOOL")
QINT8 = _fixed("qint8", 11, "QINT8", np.int8, quantized=True)
QUINT8 = _fixed("quint8", 12, "QUINT8", np.uint8, quantized=True)
QINT32 = _fixed("qint32", 13, "QINT32", np.int32, quantized=True)
BFLOAT16 = _fixed("bfloat16", 14, "BFLOAT16", ml_dtypes.bfloat16, "BF16")
QINT16 = _fixed("qint16", 15, "QINT16", np.int16, quantized=True)
QUINT16 = _fixed("quint16", 16, "QUINT16", np.uint16, quantized=True)
UINT16 = _fixed("uint16", 17, "UINT16", np.uint16, "U16")
COMPLEX128 = _fixed("complex128", 18, "COMPLEX128", np.complex128, parts=2)
FLOAT16 = _fixed("float16", 19, "HALF", np.float16, "F16")
RESOURCE = _opaque("resource", 20, "RESOURCE")
VARIANT = _opaque("variant", 21, "VARIANT")
UINT32 = _fixed("uint32", 22, "UINT32", np.uint32, "U32")
UINT64 = _fixed("uint64", 23, "UINT64", np.uint64, "U64")
FLOAT8_E5M2 = _fixed("float8_e5m2", 24, "FLOAT8_E5M2", ml_dtypes.float8_e5m2, "F8_E5M2")
FLOAT8_E4M3FN = _fixed("float8_e4m3fn", 25, "FLOAT8_E4M3FN", ml_dtypes.float8_e4m3fn, "F8_E4M3")
FLOAT8_E4M3FNUZ = _fixed(
    "float8_e4m3fnuz", 26, "FLOAT8_E4M3FNUZ", ml_dtypes.float8_e4m3fnuz, "F8_E4M3FNUZ"
)
FLOAT8_E4M3B11FNUZ = _fixed(
    "float8_e4m3b11fnuz", 27, "FLOAT8_E4M3B11FNUZ", ml_dtypes.float8_e4m3b11fnuz
)
FLOAT8_E5M2FNUZ = _fixed(
    "float8_e5m2fnuz", 28, "FLOAT8_E5M2FNUZ", ml_dtypes.float8_e5m2fnuz, "F8_E5M2FNUZ"
)
INT4 = _fixed("int4", 29, "INT4", ml_dtypes.int4, bits=4)
UINT4 = _fixed("uint4", 30, "UINT4", ml_dtypes.uint4, bits=4)
INT2 = _fixed("int2", 31, "INT2", ml_dtypes.int2, bits=2)
UINT2 = _fixed("uint2", 32, "UINT2", ml_dtypes.uint2, bits=2)
FLOAT4_E2M1FN = _fixed("float4_e2m1fn", 33, "FLOAT4_E2M1FN", ml_dtypes.float4_e2m1fn, bits=4)

VALUE_TYPES: tuple[DType, ...] = (
    INVALID,
    FLOAT32,
    FLOAT64,
    INT32,
    UINT8,
    INT16,
    INT8,
    STRING,
    COMPLEX64,
    INT64,
    BOOL,
    QINT8,
    QUINT8,
    QINT32,
    BFLOAT16,
    QINT16,
    QUINT16,
    UINT16,
    COMPLEX128,
    FLOAT16,
    RESOURCE,
    VARIANT,
    UINT32,
    UINT64,
    FLOAT8_E5M2,
    FLOAT8_E4M3FN,
    FLOAT8_E4M3FNUZ,
    FLOAT8_E4M3B11FNUZ,
    FLOAT8_E5M2FNUZ,
    INT4,
    UINT4,
    INT2,
    UINT2,
    FLOAT4_E2M1FN,
)


def _reference(dtype: DType) -> DType:
    return DType(
        f"{dtype.name}_ref",
        dtype.number + REF_OFFSET,
        f"{dtype.enum}_REF",
        dtype.numpy,
        dtype.bits,
        None,
        dtype.swap_unit,
        dtype.quantized,
        ref=True,
    )


ALL_TYPES: tuple[DType, ...] = (*VALUE_TYPES, *map(_reference, VALUE_TYPES[1:]))
_ALIASES = MappingProxyType({"float": FLOAT32, "double": FLOAT64, "half": FLOAT16})

BY_NUMBER = MappingProxyType({dtype.number: dtype for dtype in ALL_TYPES})
BY_NAME = MappingProxyType(
    {
        **{dtype.name: dtype for dtype in ALL_TYPES},
        **{dtype.enum: dtype for dtype in ALL_TYPES},
        **_ALIASES,
    }
)
BY_SAFETENSORS = MappingProxyType({d.safetensors: d for d in ALL_TYPES if d.safetensors})
BY_NUMPY = MappingProxyType(
    {dtype.numpy: dtype for dtype in VALUE_TYPES if dtype.fixed and not dtype.quantized}
)


def dtype_of_number(number: int) -> DType:
    """The type with TensorFlow's `DataType` number (reference types are 100 above).

    Raises:
        UnsupportedError: no known type has that number.
    """
    found = BY_NUMBER.get(number)
    if found is None:
        raise _unknown(f"number {number}")
    return found


def dtype_of_name(name: str) -> DType:
    """The type with a TensorFlow, Keras or NumPy name: `float32`, `DT_FLOAT`, `half` ...

    Raises:
        UnsupportedError: no known type has that name.
    """
    found = BY_NAME.get(name)
    if found is None:
        raise _unknown(f"name {name!r}")
    return found


def dtype_of_safetensors(name: str) -> DType:
    """The type with the name that a safetensors header uses, such as `BF16`.

    Raises:
        UnsupportedError: no known type has that name.
    """
    found = BY_SAFETENSORS.get(name)
    if found is None:
        raise _unknown(f"safetensors name {name!r}")
    return found


def dtype_of_numpy(dtype: np.dtype[Any] | type[Any]) -> DType:
    """The type of arrays with a NumPy dtype; byte order is ignored, text and bytes are STRING.

    Raises:
        UnsupportedError: no tensor type holds such elements.
    """
    wanted = np.dtype(dtype)
    if wanted.kind in "OSU":
        return STRING
    found = BY_NUMPY.get(wanted if wanted.isnative else wanted.newbyteorder("="))
    if found is None:
        raise _unknown(f"NumPy dtype {wanted}")
    return found


def _unknown(what: str) -> UnsupportedError:
    return UnsupportedError(f"no tensor type with {what} is known to this version", feature=what)
