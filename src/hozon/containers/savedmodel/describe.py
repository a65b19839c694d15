"""What a SavedModel holds as a record: variables, signatures, functions, Keras' metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from hozon.containers.savedmodel.bodies import bodies_of, node_of
from hozon.containers.savedmodel.read import ASSET_PREFIX, SavedModel, parse_metadata
from hozon.formats.protos.graph import NodeDef
from hozon.formats.protos.saved_model import MetaGraph
from hozon.formats.protos.signatures import TensorInfo
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.record import Graph, LayerInfo, ModelRecord, SignatureInfo, StateGroup, TensorSummary
from hozon.stored.dtypes import dtype_of_number

#: Signatures that hold ops to run while loading.
INTERNAL_PREFIX = "__saved_model"


def describe(path: str) -> ModelRecord:
    """The record of a SavedModel directory; tensors and assets are read when used.

    Raises:
        FormatError: it is no SavedModel, or damaged.
    """
    artifact = SavedModel.read(path)
    meta_graph = artifact.meta_graph
    metadata = _metadata(artifact)
    root = metadata.get("root", {})
    tensors = dict(artifact.bundle or {})
    graph = tensors.pop(OBJECT_GRAPH_KEY, None)
    names = [asset.filename for asset in meta_graph.assets]
    return ModelRecord(
        form="savedmodel",
        path=artifact.path,
        dialect="keras2",
        naming="objects",
        producer=_producer(meta_graph, root),
        config=_config(root),
        training=root.get("training_config"),
        state=(StateGroup("", tensors),),
        assets={name: partial(artifact.read_asset, ASSET_PREFIX + name.encode()) for name in names},
        graph=_graph(artifact, metadata),
        metadata={OBJECT_GRAPH_KEY: graph},
    )


def _graph(artifact: SavedModel, metadata: Mapping[str, Mapping[str, Any]]) -> Graph:
    meta_graph = artifact.meta_graph
    library = meta_graph.graph.library
    ops = Counter(node.op for node in meta_graph.graph.nodes)
    functions: dict[str, int] = {}
    for name in library:
        nodes: Sequence[NodeDef] = library[name].nodes
        functions[name] = len(nodes)
        ops.update(node.op for node in nodes)
    return Graph(
        tags=tuple(tuple(sorted(g.tags)) for g in artifact.record.meta_graphs),
        signatures=tuple(_signatures(meta_graph)),
        layers=tuple(_layers(metadata)),
        functions=functions,
        ops=dict(sorted(ops.items())),
        bodies=bodies_of(meta_graph.graph),
        ends={
            name: tuple(node_of(info.name) for info in signature.outputs.values())
            for name, signature in meta_graph.signatures.items()
        },
    )


def _config(root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The architecture, where Keras could say it."""
    config = root.get("config")
    has_layers = isinstance(config, Mapping) and "layers" in config
    return {"class_name": root.get("class_name", ""), "config": config} if has_layers else None


def _producer(meta_graph: MetaGraph, root: Mapping[str, Any]) -> str:
    producer = f"TensorFlow {meta_graph.tensorflow_version or 'of unknown version'}"
    keras = root.get("keras_version")
    return f"{producer}, Keras {keras}" if keras else producer


def _metadata(artifact: SavedModel) -> Mapping[str, Mapping[str, Any]]:
    """Keras metadata by path; the root's under ``root``."""
    parsed: dict[str, Mapping[str, Any]] = {}
    for node, item in artifact.keras_metadata.items():
        path = item.path or ("root" if node == 0 else f"object {node}")
        parsed[path] = parse_metadata(item, artifact.path)
    return parsed


def _layers(metadata: Mapping[str, Mapping[str, Any]]) -> Iterable[LayerInfo]:
    for path, item in metadata.items():
        class_name = str(item.get("class_name", ""))
        if class_name:
            yield LayerInfo(path, class_name, str(item.get("name", "")), bool(item.get("config")))


def _signatures(meta_graph: MetaGraph) -> Iterable[SignatureInfo]:
    for name, signature in meta_graph.signatures.items():
        if not name.startswith(INTERNAL_PREFIX):
            yield SignatureInfo(
                name,
                tuple(_summary(key, info) for key, info in signature.inputs.items()),
                tuple(_summary(key, info) for key, info in signature.outputs.items()),
                signature.method_name,
            )


def _summary(name: str, info: TensorInfo) -> TensorSummary:
    return TensorSummary(name, dtype_of_number(int(info.dtype)).name, info.shape.dims)
