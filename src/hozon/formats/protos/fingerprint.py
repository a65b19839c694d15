"""``fingerprint.pb`` as a plain record (TensorFlow's fingerprint.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.parse import parse_message


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes (FarmHash64) of a SavedModel's parts. `uuid` is unique per save, "" before 2.12."""

    saved_model: int
    graph: int
    signatures: int
    object_graph: int
    checkpoint: int
    uuid: str
    producer: int


def decode_fingerprint(data: bytes, *, file: str = "fingerprint.pb") -> Fingerprint:
    """The record of the bytes of a ``fingerprint.pb``."""
    message = parse_message(pb.FingerprintDef, data, file=file, record="FingerprintDef")
    return Fingerprint(
        message.saved_model_checksum,
        message.graph_def_program_hash,
        message.signature_def_hash,
        message.saved_object_graph_hash,
        message.checkpoint_hash,
        message.uuid,
        message.version.producer,
    )


def encode_fingerprint(fingerprint: Fingerprint) -> bytes:
    """The bytes of a ``fingerprint.pb``."""
    message = pb.FingerprintDef(
        saved_model_checksum=fingerprint.saved_model,
        graph_def_program_hash=fingerprint.graph,
        signature_def_hash=fingerprint.signatures,
        saved_object_graph_hash=fingerprint.object_graph,
        checkpoint_hash=fingerprint.checkpoint,
        uuid=fingerprint.uuid,
    )
    message.version.producer = fingerprint.producer
    data: bytes = message.SerializeToString(deterministic=True)
    return data
