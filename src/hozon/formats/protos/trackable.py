"""The object graph of a checkpoint as plain records (trackable_object_graph.proto)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.errors import FormatError
from hozon.formats.protos import trackable_pb2 as pb
from hozon.formats.protos.lazy import LazySequence
from hozon.formats.protos.parse import check_count, parse_message


@dataclass(frozen=True, slots=True)
class Edge:
    """A named edge to the node at position `node`."""

    name: str
    node: int


@dataclass(frozen=True, slots=True)
class SlotVariable:
    """An optimizer's slot: node `slot` holds `name` (as "m") of the variable at `variable`."""

    variable: int
    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A tensor that an object saved: `key` finds it in the checkpoint.

    `name` is the object's own name of it (``VARIABLE_VALUE``), `full_name` the variable's.
    """

    name: str
    full_name: str
    key: str


@dataclass(frozen=True, slots=True)
class RegisteredSaver:
    """A saver that the object's class registered under `name`."""

    name: str
    object_name: str


@dataclass(frozen=True, slots=True)
class TrackableNode:
    """One object of a checkpoint. `has_values` is None in files that do not say."""

    children: tuple[Edge, ...]
    tensors: tuple[SavedTensor, ...]
    slot_variables: tuple[SlotVariable, ...]
    registered_saver: RegisteredSaver | None
    has_values: bool | None


@dataclass(frozen=True, slots=True)
class TrackableGraph:
    """The objects of a checkpoint; the first is the root."""

    nodes: Sequence[TrackableNode]


def decode_trackable_graph(data: bytes, *, file: str | None = None) -> TrackableGraph:
    """The `TrackableGraph` of a checkpoint's ``_CHECKPOINTABLE_OBJECT_GRAPH`` tensor."""
    message = parse_message(pb.TrackableObjectGraph, data, file=file, record="TrackableObjectGraph")
    count = len(message.nodes)
    check_count(count, "object graph", file)
    return TrackableGraph(LazySequence(message.nodes, lambda node, i: _node(node, i, count), file))


def decode_edges(messages: Any, owner: int, count: int) -> tuple[Edge, ...]:
    """Edges of node `owner`, each checked to lead to one of `count` nodes."""
    return tuple(Edge(m.local_name, node_id(m.node_id, owner, count)) for m in messages)


def decode_slots(messages: Any, owner: int, count: int) -> tuple[SlotVariable, ...]:
    """Slot variables of node `owner`, each checked to name nodes that exist."""
    return tuple(
        SlotVariable(
            node_id(m.original_variable_node_id, owner, count),
            m.slot_name,
            node_id(m.slot_variable_node_id, owner, count),
        )
        for m in messages
    )


def node_id(number: int, owner: int, count: int) -> int:
    """`number`, which must be the position of one of `count` nodes."""
    if not 0 <= number < count:
        raise FormatError(
            f"object {owner} refers to object {number}, which does not exist",
            record=f"object {owner}",
            expected=f"0 to {count - 1}",
            found=number,
        )
    return number


def _node(message: Any, position: int, count: int) -> TrackableNode:
    saver = message.registered_saver
    return TrackableNode(
        children=decode_edges(message.children, position, count),
        tensors=tuple(
            SavedTensor(m.name, m.full_name, m.checkpoint_key) for m in message.attributes
        ),
        slot_variables=decode_slots(message.slot_variables, position, count),
        registered_saver=(
            RegisteredSaver(saver.name, saver.object_name)
            if message.HasField("registered_saver")
            else None
        ),
        has_values=(
            message.has_checkpoint_values.value
            if message.HasField("has_checkpoint_values")
            else None
        ),
    )


def encode_trackable_graph(graph: TrackableGraph) -> bytes:
    """The bytes of a checkpoint's ``_CHECKPOINTABLE_OBJECT_GRAPH`` tensor."""
    message = pb.TrackableObjectGraph(nodes=map(_encode_node, graph.nodes))
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def encode_edges(edges: Iterable[Edge]) -> list[Any]:
    """Edges, as `decode_edges` reads them."""
    return [pb.ObjectReference(local_name=edge.name, node_id=edge.node) for edge in edges]


def encode_slots(slots: Iterable[SlotVariable]) -> list[Any]:
    """Slot variables, as `decode_slots` reads them."""
    return [
        pb.SlotVariableReference(
            original_variable_node_id=slot.variable,
            slot_name=slot.name,
            slot_variable_node_id=slot.slot,
        )
        for slot in slots
    ]


def _encode_node(node: TrackableNode) -> Any:
    kind = pb.TrackableObjectGraph.TrackableObject
    message = kind(
        children=encode_edges(node.children),
        attributes=[
            kind.SerializedTensor(name=t.name, full_name=t.full_name, checkpoint_key=t.key)
            for t in node.tensors
        ],
        slot_variables=encode_slots(node.slot_variables),
    )
    if node.registered_saver is not None:
        message.registered_saver.name = node.registered_saver.name
        message.registered_saver.object_name = node.registered_saver.object_name
    if node.has_values is not None:
        message.has_checkpoint_values.value = node.has_values
    return message
