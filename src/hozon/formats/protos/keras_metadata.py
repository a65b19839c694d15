"""``keras_metadata.pb`` as plain records (tf_keras/protobuf/saved_metadata.proto)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hozon.formats.protos import keras_metadata_pb2 as pb
from hozon.formats.protos.object_graph import Version, decode_version, encode_version
from hozon.formats.protos.parse import parse_message


@dataclass(frozen=True, slots=True)
class KerasObject:
    """What Keras wrote about the object at position `node` of the object graph.

    `path` is the way from the root (``"root.layer-0"``), `metadata` JSON text.
    """

    node: int
    path: str
    identifier: str
    metadata: str
    version: Version


def decode_keras_metadata(
    data: bytes, *, file: str = "keras_metadata.pb"
) -> tuple[KerasObject, ...]:
    """The Keras objects of a SavedModel, in the order of the file."""
    message = parse_message(pb.KerasMetadata, data, file=file, record="SavedMetadata")
    return tuple(
        KerasObject(
            node.node_id,
            node.node_path,
            node.identifier,
            node.metadata,
            decode_version(node.version),
        )
        for node in message.nodes
    )


def encode_keras_metadata(objects: Iterable[KerasObject]) -> bytes:
    """The bytes of a ``keras_metadata.pb``."""
    nodes = [
        pb.KerasObject(
            node_id=item.node,
            node_path=item.path,
            identifier=item.identifier,
            metadata=item.metadata,
            version=encode_version(item.version),
        )
        for item in objects
    ]
    data: bytes = pb.KerasMetadata(nodes=nodes).SerializeToString(deterministic=True)
    return data
