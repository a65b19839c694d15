"""Signatures and tensor infos as plain records (meta_graph.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.struct import TypeSpec, decode_type_spec, encode_type_spec
from hozon.formats.protos.tensor import (
    Shape,
    TensorRecord,
    TypeNumber,
    decode_shape,
    decode_tensor,
    encode_shape,
    encode_tensor,
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
        message.name,
        TypeNumber(message.dtype),
        decode_shape(message.tensor_shape),
        _sparse(message.coo_sparse) if encoding == "coo_sparse" else None,
        _composite(message.composite_tensor) if encoding == "composite_tensor" else None,
    )


def _signature(message: Any) -> SignatureDef:
    return SignatureDef(
        _infos(message.inputs),
        _infos(message.outputs),
        message.method_name,
        {key: decode_tensor(message.defaults[key]) for key in sorted(message.defaults)},
    )


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


def encode_signature(signature: SignatureDef) -> Any:
    """The ``SignatureDef`` message of a `SignatureDef`."""
    return pb.SignatureDef(
        inputs={key: encode_tensor_info(info) for key, info in signature.inputs.items()},
        outputs={key: encode_tensor_info(info) for key, info in signature.outputs.items()},
        method_name=signature.method_name,
        defaults={key: encode_tensor(value) for key, value in signature.defaults.items()},
    )


def encode_tensor_info(info: TensorInfo) -> Any:
    """The ``TensorInfo`` message of a `TensorInfo`."""
    message = pb.TensorInfo(dtype=int(info.dtype), tensor_shape=encode_shape(info.shape))
    if info.sparse is not None:
        message.coo_sparse.CopyFrom(_encode_sparse(info.sparse))
    elif info.composite is not None:
        message.composite_tensor.CopyFrom(_encode_composite(info.composite))
    else:
        message.name = info.name
    return message


def _encode_sparse(sparse: CooSparse) -> Any:
    return pb.TensorInfo.CooSparse(
        values_tensor_name=sparse.values,
        indices_tensor_name=sparse.indices,
        dense_shape_tensor_name=sparse.dense_shape,
    )


def _encode_composite(composite: Composite) -> Any:
    return pb.TensorInfo.CompositeTensor(
        type_spec=encode_type_spec(composite.type_spec),
        components=map(encode_tensor_info, composite.components),
    )
