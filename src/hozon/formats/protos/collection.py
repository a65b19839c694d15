"""Collections of a meta graph as plain records (meta_graph.proto, variable.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.parse import parse_message

#: Collections of ``tf.GraphKeys`` whose items are serialized ``VariableDef`` messages.
VARIABLE_COLLECTIONS = frozenset(
    {
        "variables",
        "trainable_variables",
        "local_variables",
        "model_variables",
        "metric_variables",
        "moving_average_variables",
        "trainable_resource_variables",
        "global_step",
    }
)


@dataclass(frozen=True, slots=True)
class SaveSlice:
    """The part of a partitioned variable that one variable holds."""

    full_name: str
    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VariableDef:
    """A TensorFlow 1 variable: the tensors and ops of the graph that make it up."""

    name: str
    initial_value: str
    initializer: str
    snapshot: str
    is_resource: bool
    trainable: bool
    save_slice: SaveSlice | None


@dataclass(frozen=True, slots=True)
class Collection:
    """A named list. `kind` is "nodes" (names), "bytes", "ints", "floats", "protos" (pairs of type
    URL and bytes), "variables" (`VariableDef`), or "" for an empty one."""

    kind: str
    values: tuple[Any, ...]


def decode_collections(messages: Any) -> dict[str, Collection]:
    """All collections of a meta graph by name."""
    return {name: _collection(name, messages[name]) for name in sorted(messages)}


def _collection(name: str, message: Any) -> Collection:
    field = message.WhichOneof("kind")
    if field is None:
        return Collection("", ())
    kind = _KINDS[field]
    values = tuple(getattr(message, field).value)
    if kind == "protos":
        return Collection(kind, tuple((any_.type_url, any_.value) for any_ in values))
    if kind == "bytes" and name in VARIABLE_COLLECTIONS:
        return Collection("variables", tuple(_variable(data, name) for data in values))
    return Collection(kind, values)


def _variable(data: bytes, collection: str) -> VariableDef:
    message = parse_message(
        pb.VariableDef, data, file=f"collection {collection!r}", record="VariableDef"
    )
    piece = message.save_slice_info_def
    return VariableDef(
        message.variable_name,
        message.initial_value_name,
        message.initializer_name,
        message.snapshot_name,
        message.is_resource,
        message.trainable,
        _slice(piece) if message.HasField("save_slice_info_def") else None,
    )


def _slice(message: Any) -> SaveSlice:
    return SaveSlice(
        message.full_name,
        tuple(message.full_shape),
        tuple(message.var_offset),
        tuple(message.var_shape),
    )


_KINDS: Mapping[str, str] = {
    "node_list": "nodes",
    "bytes_list": "bytes",
    "int64_list": "ints",
    "float_list": "floats",
    "any_list": "protos",
}
