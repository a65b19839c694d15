"""``StructuredValue`` to plain Python structures (TensorFlow's struct.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos.tensor import (
    Shape,
    TensorRecord,
    TypeNumber,
    decode_shape,
    decode_tensor,
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
        TYPE_SPEC_KINDS.get(number, f"number {number}"), message.type_spec_class_name,
        decode_structure(message.type_state), message.num_flat_components,
    )  # fmt: skip


def _tensor_spec(message: Any) -> TensorSpec:
    return TensorSpec(decode_shape(message.shape), TypeNumber(message.dtype), message.name)


def _bounded_spec(message: Any) -> BoundedTensorSpec:
    return BoundedTensorSpec(
        decode_shape(message.shape), TypeNumber(message.dtype), message.name,
        decode_tensor(message.minimum), decode_tensor(message.maximum),
    )  # fmt: skip


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
