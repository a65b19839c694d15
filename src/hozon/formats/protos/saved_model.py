"""A SavedModel and its meta graphs as plain records (saved_model.proto, meta_graph.proto)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hozon.errors import FormatError, UnsupportedError
from hozon.formats.protos import graph_pb2
from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.collection import Collection, decode_collections
from hozon.formats.protos.graph import GraphDef, decode_graph, encode_graph
from hozon.formats.protos.object_graph import (
    SavedObjectGraph,
    decode_object_graph,
    encode_object_graph,
)
from hozon.formats.protos.parse import looks_like, parse_message, parse_text
from hozon.formats.protos.signatures import (
    SignatureDef,
    TensorInfo,
    decode_signatures,
    decode_tensor_info,
    encode_signature,
    encode_tensor_info,
)

#: The one schema version that TensorFlow has written so far (saved_model/constants.h).
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class SaverDef:
    """The nodes that save and restore the variables, and the checkpoint format (0, 1 or 2)."""

    filename_tensor: str
    save_tensor: str
    restore_op: str
    sharded: bool
    version: int


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file in the artifact's ``assets`` folder and the tensor that holds its path."""

    tensor: TensorInfo
    filename: str


ASSETS_COLLECTION = "saved_model_assets"


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of a SavedModel with what is needed to use it.

    `saver` and `object_graph` are None where the file has none (the latter in every artifact of
    TensorFlow 1).
    """

    tags: tuple[str, ...]
    tensorflow_version: str
    tensorflow_git_version: str
    stripped_default_attrs: bool
    function_aliases: Mapping[str, str]
    graph: GraphDef
    saver: SaverDef | None
    collections: Mapping[str, Collection]
    signatures: Mapping[str, SignatureDef]
    assets: tuple[AssetFile, ...]
    object_graph: SavedObjectGraph | None


@dataclass(frozen=True, slots=True)
class SavedModelRecord:
    """A whole ``saved_model.pb``."""

    schema_version: int
    meta_graphs: tuple[MetaGraph, ...]


def decode_saved_model(data: bytes, *, file: str = "saved_model.pb") -> SavedModelRecord:
    """The record of the bytes of a ``saved_model.pb``.

    Raises FormatError when they are damaged or another kind of file, UnsupportedError for a
    schema newer than `SCHEMA_VERSION`.
    """
    try:
        message = parse_message(pb.SavedModel, data, file=file, record="SavedModel")
    except FormatError:
        _refuse_other_protos(data, file)
        raise
    if not message.meta_graphs or not message.saved_model_schema_version:
        _refuse_other_protos(data, file)
    return _record(message, file)


def decode_saved_model_text(data: bytes, *, file: str = "saved_model.pbtxt") -> SavedModelRecord:
    """The record of a SavedModel in protobuf's text form."""
    message = parse_text(pb.SavedModel, data, file=file, record="SavedModel")
    return _record(message, file)


def refuse_chunked(_data: bytes, *, file: str = "saved_model.cpb") -> SavedModelRecord:
    """Raise UnsupportedError: the root message is cut into chunks (TensorFlow's proto splitter).

    TensorFlow writes such a file only when asked to, for graphs of more than 2 GB.
    """
    raise UnsupportedError(
        "the SavedModel is stored in chunks, which Hozon does not read",
        feature="chunked SavedModel (.cpb)",
        file=file,
        instead="save it again with SaveOptions(experimental_image_format=False)",
    )


def _record(message: Any, file: str) -> SavedModelRecord:
    version = message.saved_model_schema_version
    if version > SCHEMA_VERSION:
        raise UnsupportedError(
            f"the SavedModel has schema version {version}; Hozon reads {SCHEMA_VERSION}",
            feature="SavedModel schema",
            file=file,
        )
    if not message.meta_graphs:
        raise FormatError(
            "the SavedModel holds no meta graph", file=file, expected="at least one", found=0
        )
    return SavedModelRecord(
        version, tuple(decode_meta_graph(meta_graph, file) for meta_graph in message.meta_graphs)
    )


def parse_meta_graph(data: bytes, *, file: str | None = None) -> MetaGraph:
    """The `MetaGraph` of the ``.meta`` file beside a TensorFlow 1 checkpoint.

    Raises FormatError when the bytes are damaged or something else.
    """
    message = parse_message(pb.MetaGraphDef, data, file=file, record="MetaGraphDef")
    return decode_meta_graph(message, file)


def parse_meta_graph_text(data: bytes, *, file: str | None = None) -> MetaGraph:
    """A `MetaGraph` in protobuf's text form."""
    message = parse_text(pb.MetaGraphDef, data, file=file, record="MetaGraphDef")
    return decode_meta_graph(message, file)


def decode_meta_graph(message: Any, file: str | None = None) -> MetaGraph:
    """A `MetaGraph`; its graph and objects are decoded when first read."""
    info = message.meta_info_def
    return MetaGraph(
        tags=tuple(info.tags),
        tensorflow_version=info.tensorflow_version,
        tensorflow_git_version=info.tensorflow_git_version,
        stripped_default_attrs=info.stripped_default_attrs,
        function_aliases={key: info.function_aliases[key] for key in sorted(info.function_aliases)},
        graph=decode_graph(message.graph_def, file),
        saver=_saver(message.saver_def) if message.HasField("saver_def") else None,
        collections=decode_collections(message.collection_def),
        signatures=decode_signatures(message.signature_def),
        assets=tuple(map(_asset, _asset_messages(message, file))),
        object_graph=(
            decode_object_graph(message.object_graph_def, file)
            if message.HasField("object_graph_def")
            else None
        ),
    )


def _saver(message: Any) -> SaverDef:
    return SaverDef(
        message.filename_tensor_name,
        message.save_tensor_name,
        message.restore_op_name,
        message.sharded,
        message.version,
    )


def _asset_messages(message: Any, file: str | None) -> list[Any]:
    """The assets of a meta graph; builders of TensorFlow 1 only list them in a collection
    (``ASSETS_KEY`` of tensorflow/python/saved_model/constants.py)."""
    listed = list(message.asset_file_def)
    if listed or ASSETS_COLLECTION not in message.collection_def:
        return listed
    collected = message.collection_def[ASSETS_COLLECTION].any_list.value
    return [
        parse_message(pb.AssetFileDef, item.value, file=file, record="AssetFileDef")
        for item in collected
        if item.type_url.endswith("AssetFileDef")
    ]


def _asset(message: Any) -> AssetFile:
    return AssetFile(decode_tensor_info(message.tensor_info), message.filename)


def _refuse_other_protos(data: bytes, file: str) -> None:
    """Say so when the bytes are another of TensorFlow's messages, or not a message at all.

    A SavedModel starts with its schema version (field 1, a number), a MetaGraphDef and a GraphDef
    with a message in field 1, so a wrong file parses but lacks the version.
    """
    found = looks_like(data) or _other_proto(data)
    if found is not None:
        raise FormatError("this is not a SavedModel", file=file, expected="SavedModel", found=found)


def _other_proto(data: bytes) -> str | None:
    for kind, is_one, name in _OTHERS:
        try:
            message = parse_message(kind, data, file=None, record=name)
        except FormatError:
            continue
        if is_one(message):
            return name
    return None


_OTHERS: tuple[tuple[Any, Any, str], ...] = (
    (
        pb.MetaGraphDef,
        lambda m: m.meta_info_def.tensorflow_version or m.graph_def.versions.producer,
        "a MetaGraphDef (the .meta file of a TensorFlow 1 checkpoint or session bundle)",
    ),
    (
        graph_pb2.GraphDef,
        lambda m: any(node.op for node in m.node),
        "a frozen GraphDef (a TensorFlow 1 .pb file without variables)",
    ),
)


def encode_saved_model(record: SavedModelRecord) -> bytes:
    """The bytes of a ``saved_model.pb``: equal records give equal bytes.

    Collections are not written: TensorFlow 2 has none.
    """
    message = pb.SavedModel(
        saved_model_schema_version=record.schema_version,
        meta_graphs=map(encode_meta_graph, record.meta_graphs),
    )
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def encode_meta_graph(meta_graph: MetaGraph) -> Any:
    """The ``MetaGraphDef`` message of a `MetaGraph` without its collections."""
    message = pb.MetaGraphDef(
        graph_def=encode_graph(meta_graph.graph),
        signature_def={
            key: encode_signature(signature) for key, signature in meta_graph.signatures.items()
        },
        asset_file_def=map(_encode_asset, meta_graph.assets),
    )
    message.meta_info_def.MergeFrom(_encode_info(meta_graph))
    if meta_graph.saver is not None:
        message.saver_def.CopyFrom(_encode_saver(meta_graph.saver))
    if meta_graph.object_graph is not None:
        message.object_graph_def.CopyFrom(encode_object_graph(meta_graph.object_graph))
    return message


def _encode_info(meta_graph: MetaGraph) -> Any:
    return pb.MetaGraphDef.MetaInfoDef(
        tags=meta_graph.tags,
        tensorflow_version=meta_graph.tensorflow_version,
        tensorflow_git_version=meta_graph.tensorflow_git_version,
        stripped_default_attrs=meta_graph.stripped_default_attrs,
        function_aliases=meta_graph.function_aliases,
    )


def _encode_saver(saver: SaverDef) -> Any:
    return pb.SaverDef(
        filename_tensor_name=saver.filename_tensor,
        save_tensor_name=saver.save_tensor,
        restore_op_name=saver.restore_op,
        sharded=saver.sharded,
        version=saver.version,
    )


def _encode_asset(asset: AssetFile) -> Any:
    return pb.AssetFileDef(tensor_info=encode_tensor_info(asset.tensor), filename=asset.filename)


#: The file names of a SavedModel's root message, in the order in which they are looked for, and
#: how each is decoded: ``decode(data, file=path)``.
DECODERS: Mapping[str, Callable[..., SavedModelRecord]] = {
    "saved_model.pb": decode_saved_model,
    "saved_model.pbtxt": decode_saved_model_text,
    "saved_model.cpb": refuse_chunked,
}
