"""``StructuredValue`` to plain Python structures (TensorFlow's struct.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos import struct_pb2 as pb
from hozon.formats.protos.tensor import (
    Shape,
    TensorRecord,
    TypeNumber,
    decode_shape,
    decode_tensor,
    encode_shape,
    encode_tensor,
)

#: None, float, int, str, bool, Shape, TypeNumber, a spec, or a list, tuple or dict of these.
Structure = Any


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor that a function takes or gives."""

    shape: Shape
    dtype: TypeNumber
    name: str = ""


@dataclass(frozen=True, slots=True)
class BoundedTensorSpec:
    """A `TensorSpec` whose values lie between two tensors (TF-Agents)."""

    shape: Shape
    dtype: TypeNumber
    name: str
    minimum: TensorRecord
    maximum: TensorRecord


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """Any other type of value: ragged, sparse, a dataset, an extension type.

    `kind` is the enum name without ``_SPEC`` in lower case, as ``ragged_tensor``; `class_name`
    names the class where the enum does not; `components` counts the tensors it flattens to.
    """

    kind: str
    class_name: str
    state: Structure
    components: int


@dataclass(frozen=True, slots=True)
class NamedTuple:
    """A namedtuple: its class name and its fields in order."""

    name: str
    fields: Mapping[str, Structure]


@dataclass(frozen=True, slots=True)
class Empty:
    """A ``StructuredValue`` without a kind: written by a newer producer, or damaged."""


#: ``TypeSpecProto.TypeSpecClass`` (struct.proto).
TYPE_SPEC_KINDS = {
    0: "unknown",
    1: "sparse_tensor",
    2: "indexed_slices",
    3: "ragged_tensor",
    4: "tensor_array",
    5: "dataset",
    6: "iterator",
    7: "optional",
    8: "per_replica",
    9: "variable",
    10: "row_partition",
    12: "registered",
    13: "extension_type",
}


def decode_structure(message: Any) -> Structure:
    """The plain Python structure of a ``StructuredValue``.

    The parser has already bounded how deep it nests.
    """
    kind = message.WhichOneof("kind")
    return Empty() if kind is None else _KINDS[kind](getattr(message, kind))


def decode_type_spec(message: Any) -> TypeSpec:
    """A `TypeSpec` of a ``TypeSpecProto``."""
    number = message.type_spec_class
    return TypeSpec(
        TYPE_SPEC_KINDS.get(number, f"number {number}"),
        message.type_spec_class_name,
        decode_structure(message.type_state),
        message.num_flat_components,
    )


def _tensor_spec(message: Any) -> TensorSpec:
    return TensorSpec(decode_shape(message.shape), TypeNumber(message.dtype), message.name)


def _bounded_spec(message: Any) -> BoundedTensorSpec:
    return BoundedTensorSpec(
        decode_shape(message.shape),
        TypeNumber(message.dtype),
        message.name,
        decode_tensor(message.minimum),
        decode_tensor(message.maximum),
    )


def _named_tuple(message: Any) -> NamedTuple:
    return NamedTuple(message.name, {p.key: decode_structure(p.value) for p in message.values})


def _dict(message: Any) -> dict[str, Structure]:
    return {key: decode_structure(message.fields[key]) for key in sorted(message.fields)}


_KINDS: Mapping[str, Any] = {
    "none_value": lambda _: None,
    "float64_value": float,
    "int64_value": int,
    "string_value": str,
    "bool_value": bool,
    "tensor_shape_value": decode_shape,
    "tensor_dtype_value": TypeNumber,
    "tensor_spec_value": _tensor_spec,
    "type_spec_value": decode_type_spec,
    "bounded_tensor_spec_value": _bounded_spec,
    "list_value": lambda m: [decode_structure(value) for value in m.values],
    "tuple_value": lambda m: tuple(decode_structure(value) for value in m.values),
    "dict_value": _dict,
    "named_tuple_value": _named_tuple,
    "tensor_value": decode_tensor,
    "numpy_value": decode_tensor,
}


def encode_structure(value: Structure) -> Any:
    """The ``StructuredValue`` of a plain Python structure, the inverse of `decode_structure`."""
    for kind, field, encode in _ENCODERS:
        if isinstance(value, kind):
            return pb.StructuredValue(**{field: encode(value)})
    raise TypeError(f"no StructuredValue holds a {type(value).__name__}")


def encode_type_spec(spec: TypeSpec) -> Any:
    """The ``TypeSpecProto`` of a `TypeSpec`."""
    return pb.TypeSpecProto(
        type_spec_class=_TYPE_SPEC_NUMBERS[spec.kind],
        type_state=encode_structure(spec.state),
        type_spec_class_name=spec.class_name,
        num_flat_components=spec.components,
    )


def _encode_tensor_spec(spec: TensorSpec) -> Any:
    return pb.TensorSpecProto(name=spec.name, shape=encode_shape(spec.shape), dtype=int(spec.dtype))


def _encode_bounded_spec(spec: BoundedTensorSpec) -> Any:
    return pb.BoundedTensorSpecProto(
        name=spec.name,
        shape=encode_shape(spec.shape),
        dtype=int(spec.dtype),
        minimum=encode_tensor(spec.minimum),
        maximum=encode_tensor(spec.maximum),
    )


def _encode_named_tuple(value: NamedTuple) -> Any:
    pairs = [
        pb.PairValue(key=key, value=encode_structure(item)) for key, item in value.fields.items()
    ]
    return pb.NamedTupleValue(name=value.name, values=pairs)


def _encode_dict(value: Mapping[str, Structure]) -> Any:
    return pb.DictValue(fields={key: encode_structure(item) for key, item in value.items()})


_TYPE_SPEC_NUMBERS = {name: number for number, name in TYPE_SPEC_KINDS.items()}

#: (Python type, field, encoder) in the order of trial: ``bool`` and `TypeNumber` are ``int`` too.
_ENCODERS: tuple[tuple[type, str, Any], ...] = (
    (type(None), "none_value", lambda _: pb.NoneValue()),
    (bool, "bool_value", bool),
    (TypeNumber, "tensor_dtype_value", int),
    (int, "int64_value", int),
    (float, "float64_value", float),
    (str, "string_value", str),
    (Shape, "tensor_shape_value", encode_shape),
    (TensorSpec, "tensor_spec_value", _encode_tensor_spec),
    (BoundedTensorSpec, "bounded_tensor_spec_value", _encode_bounded_spec),
    (TypeSpec, "type_spec_value", encode_type_spec),
    (NamedTuple, "named_tuple_value", _encode_named_tuple),
    (TensorRecord, "tensor_value", encode_tensor),
    (list, "list_value", lambda v: pb.ListValue(values=map(encode_structure, v))),
    (tuple, "tuple_value", lambda v: pb.TupleValue(values=map(encode_structure, v))),
    (Mapping, "dict_value", _encode_dict),
)
