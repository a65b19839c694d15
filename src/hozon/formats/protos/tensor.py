"""Shapes, types and tensors as plain records (TensorFlow's tensor.proto, tensor_shape.proto)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hozon.errors import FormatError
from hozon.formats.protos import tensor_pb2
from hozon.formats.protos.parse import parse_message

#: A TensorFlow 1 reference type is its value type plus this.
REFERENCE_OFFSET = 100


class TypeNumber(int):
    """A TensorFlow ``DataType`` number, told apart from an ordinary integer."""

    __slots__ = ()

    @property
    def base(self) -> TypeNumber:
        """The value type of a reference type; itself otherwise."""
        return TypeNumber(self - REFERENCE_OFFSET) if self > REFERENCE_OFFSET else self

    def __repr__(self) -> str:
        return f"TypeNumber({int(self)})"


@dataclass(frozen=True, slots=True)
class Shape:
    """A possibly partial shape: `dims` is None for an unknown rank, an entry for a free size."""

    dims: tuple[int | None, ...] | None

    @property
    def rank(self) -> int | None:
        """The number of dimensions, None when unknown."""
        return None if self.dims is None else len(self.dims)

    @property
    def is_static(self) -> bool:
        """Whether every size is known."""
        return self.dims is not None and None not in self.dims


UNKNOWN_SHAPE = Shape(None)


@dataclass(frozen=True, slots=True)
class ResourceHandle:
    """A handle of a variable, table or iterator, with what it declares about its values."""

    device: str
    container: str
    name: str
    type_name: str
    values: tuple[tuple[TypeNumber, Shape], ...]


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """A value of a type that its producer defined: a name, opaque bytes and tensors."""

    type_name: str
    metadata: bytes
    tensors: tuple[TensorRecord, ...]


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A ``TensorProto``: either `content`, the raw little-endian bytes, or listed `values`.

    `values` is the list that belongs to `dtype`, as stored: complex numbers are pairs of floats,
    half-precision numbers their bits, float8 and 4-bit numbers one integer each. Fewer values
    than `shape` has elements means that the last one is repeated.
    """

    dtype: TypeNumber
    shape: Shape
    content: bytes = b""
    values: tuple[Any, ...] = ()


def decode_shape(message: Any) -> Shape:
    """A `Shape` of a ``TensorShapeProto``; a size of -1 is free.

    Raises FormatError for sizes below -1, which TensorFlow refuses as well.
    """
    if message.unknown_rank:
        return UNKNOWN_SHAPE
    sizes = tuple(dim.size for dim in message.dim)
    if any(size < -1 for size in sizes):
        raise FormatError(
            f"a shape has a negative size: {list(sizes)}",
            expected="sizes of at least -1",
            found=list(sizes),
        )
    return Shape(tuple(None if size == -1 else size for size in sizes))


def decode_handle(message: Any) -> ResourceHandle:
    """A `ResourceHandle` of a ``ResourceHandleProto``."""
    return ResourceHandle(
        message.device,
        message.container,
        message.name,
        message.maybe_type_name,
        decode_handle_data(message.dtypes_and_shapes),
    )


def decode_handle_data(messages: Any) -> tuple[tuple[TypeNumber, Shape], ...]:
    """(dtype, shape) of each value behind a handle."""
    return tuple((TypeNumber(item.dtype), decode_shape(item.shape)) for item in messages)


def _variant(message: Any) -> VariantRecord:
    tensors = tuple(map(decode_tensor, message.tensors))
    return VariantRecord(message.type_name, message.metadata, tensors)


def _listed(name: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda message: tuple(getattr(message, name))


def _handles(message: Any) -> tuple[ResourceHandle, ...]:
    return tuple(map(decode_handle, message.resource_handle_val))


def _variants(message: Any) -> tuple[VariantRecord, ...]:
    return tuple(map(_variant, message.variant_val))


#: Which list of a ``TensorProto`` holds the values of which ``DataType`` number (tensor.proto).
_FIELDS: Mapping[str, tuple[int, ...]] = {
    "float_val": (1,),
    "double_val": (2,),
    "int_val": (3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30, 31, 32),
    "string_val": (7,),
    "scomplex_val": (8,),
    "int64_val": (9,),
    "bool_val": (10,),
    "half_val": (14, 19),
    "dcomplex_val": (18,),
    "resource_handle_val": (20,),
    "variant_val": (21,),
    "uint32_val": (22,),
    "uint64_val": (23,),
    "float8_val": (24, 25, 26, 27, 28, 33),
}
_VALUE_FIELD = {number: field for field, numbers in _FIELDS.items() for number in numbers}
_SPECIAL: Mapping[str, Callable[[Any], tuple[Any, ...]]] = {
    "resource_handle_val": _handles,
    "variant_val": _variants,
}
_READ = {field: _SPECIAL.get(field, _listed(field)) for field in _FIELDS}


def parse_tensor(data: bytes, *, file: str | None = None) -> TensorRecord:
    """The `TensorRecord` of a serialized ``TensorProto`` (what ``tf.io.serialize_tensor`` makes).

    Raises FormatError when the bytes are damaged or something else.
    """
    return decode_tensor(parse_message(tensor_pb2.TensorProto, data, file=file, record="tensor"))


def decode_tensor(message: Any) -> TensorRecord:
    """A `TensorRecord` of a ``TensorProto``."""
    dtype = TypeNumber(message.dtype)
    field = _VALUE_FIELD.get(int(dtype.base))
    values = _READ[field](message) if field is not None else ()
    return TensorRecord(dtype, decode_shape(message.tensor_shape), message.tensor_content, values)


def encode_shape(shape: Shape) -> Any:
    """The ``TensorShapeProto`` of a `Shape`."""
    message = tensor_pb2.ShapeProto(unknown_rank=shape.dims is None)
    for size in shape.dims or ():
        message.dim.add(size=-1 if size is None else size)
    return message


def encode_handle_data(values: Iterable[tuple[TypeNumber, Shape]]) -> list[Any]:
    """What lies behind a handle, as `decode_handle_data` reads it."""
    kind = tensor_pb2.ResourceHandleProto.DtypeAndShape
    return [kind(dtype=int(dtype), shape=encode_shape(shape)) for dtype, shape in values]


def encode_handle(handle: ResourceHandle) -> Any:
    """The ``ResourceHandleProto`` of a `ResourceHandle`."""
    return tensor_pb2.ResourceHandleProto(
        device=handle.device,
        container=handle.container,
        name=handle.name,
        maybe_type_name=handle.type_name,
        dtypes_and_shapes=encode_handle_data(handle.values),
    )


def encode_tensor(record: TensorRecord) -> Any:
    """The ``TensorProto`` of a `TensorRecord`."""
    message = tensor_pb2.TensorProto(
        dtype=int(record.dtype),
        tensor_shape=encode_shape(record.shape),
        tensor_content=record.content,
    )
    field = _VALUE_FIELD.get(int(record.dtype.base))
    if field is not None and record.values:
        _write(message, field, record.values)
    return message


def _write(message: Any, field: str, values: tuple[Any, ...]) -> None:
    if field == "float8_val":
        message.float8_val = bytes(values)
    elif field in _SPECIAL:
        encode = encode_handle if field == "resource_handle_val" else _encode_variant
        getattr(message, field).extend(map(encode, values))
    else:
        getattr(message, field).extend(values)


def _encode_variant(record: VariantRecord) -> Any:
    tensors = map(encode_tensor, record.tensors)
    return tensor_pb2.VariantProto(
        type_name=record.type_name, metadata=record.metadata, tensors=tensors
    )
