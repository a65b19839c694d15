"""Signatures and tensor infos as plain records (meta_graph.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos.struct import TypeSpec, decode_type_spec
from hozon.formats.protos.tensor import (
    Shape,
    TensorRecord,
    TypeNumber,
    decode_shape,
    decode_tensor,
)


@dataclass(frozen=True, slots=True)
class CooSparse:
    """The three tensors of a sparse tensor in coordinate form."""

    values: str
    indices: str
    dense_shape: str


@dataclass(frozen=True, slots=True)
class Composite:
    """A value made of several tensors, as a ragged tensor: its type and its parts."""

    type_spec: TypeSpec
    components: tuple[TensorInfo, ...]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a signature.

    `name` is a tensor of the graph (``"x:0"``), or "" where `sparse` or `composite` says which
    tensors together make the value.
    """

    name: str
    dtype: TypeNumber
    shape: Shape
    sparse: CooSparse | None = None
    composite: Composite | None = None


@dataclass(frozen=True, slots=True)
class SignatureDef:
    """A signature: named inputs and outputs. `defaults` are values of inputs left out."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method_name: str
    defaults: Mapping[str, TensorRecord]


def decode_signatures(messages: Any) -> dict[str, SignatureDef]:
    """All signatures of a meta graph by key."""
    return {key: _signature(messages[key]) for key in sorted(messages)}


def decode_tensor_info(message: Any) -> TensorInfo:
    """A `TensorInfo`."""
    encoding = message.WhichOneof("encoding")
    return TensorInfo(
        message.name, TypeNumber(message.dtype), decode_shape(message.tensor_shape),
        _sparse(message.coo_sparse) if encoding == "coo_sparse" else None,
        _composite(message.composite_tensor) if encoding == "composite_tensor" else None,
    )  # fmt: skip


def _signature(message: Any) -> SignatureDef:
    return SignatureDef(
        _infos(message.inputs), _infos(message.outputs), message.method_name,
        {key: decode_tensor(message.defaults[key]) for key in sorted(message.defaults)},
    )  # fmt: skip


def _infos(messages: Any) -> dict[str, TensorInfo]:
    return {key: decode_tensor_info(messages[key]) for key in sorted(messages)}


def _sparse(message: Any) -> CooSparse:
    return CooSparse(
        message.values_tensor_name, message.indices_tensor_name, message.dense_shape_tensor_name
    )


def _composite(message: Any) -> Composite:
    return Composite(
        decode_type_spec(message.type_spec), tuple(map(decode_tensor_info, message.components))
    )
