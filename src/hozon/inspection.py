"""What is in a file, without Keras or JAX."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hozon.arguments import checked, path_to_read
from hozon.containers import h5, keraszip, safetensors, shards
from hozon.containers.checkpoint import read as checkpoint
from hozon.containers.savedmodel import read as savedmodel
from hozon.formats.bundle import Bundle
from hozon.formats.protos.graph import NodeDef
from hozon.formats.protos.saved_model import MetaGraph
from hozon.formats.protos.signatures import TensorInfo
from hozon.forms.choice import unknown_file
from hozon.raw.places import is_file, place
from hozon.record import ModelRecord
from hozon.tensors.dtypes import dtype_of_number

__all__ = ["ArtifactInfo", "LayerInfo", "SignatureInfo", "TensorSummary", "inspect"]

#: Forms that are read as a record, in the order in which they are asked.
RECORDED = (h5, keraszip, shards, safetensors)
RECORD_NAMES = {
    "h5": "Keras H5",
    "h5_weights": "Keras H5 weights",
    "keras": ".keras",
    "weights.h5": "Keras 3 weights (.weights.h5)",
    "weights.json": "sharded weights (.weights.json)",
    "safetensors": "safetensors",
}
#: Signatures that hold ops to run while loading.
INTERNAL_PREFIX = "__saved_model"


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """A stored tensor, or an input or output; None in `shape` is a free size.

    `shape` is None for an unknown rank; `nbytes` is 0 where nothing is stored.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class SignatureInfo:
    """A serving signature."""

    name: str
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    method: str = ""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A Keras object: where it hangs, its class, its name, and whether it has a config."""

    path: str
    class_name: str
    name: str
    has_config: bool


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """What an artifact holds.

    `functions` counts the nodes of each function; `ops` counts op types over the whole graph.
    """

    path: str
    format: str
    producer: str
    tags: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[SignatureInfo, ...] = ()
    layers: tuple[LayerInfo, ...] = ()
    variables: tuple[TensorSummary, ...] = ()
    training_config: Mapping[str, Any] | None = None
    functions: Mapping[str, int] = field(default_factory=dict)
    ops: Mapping[str, int] = field(default_factory=dict)
    assets: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all stored tensors."""
        return sum(variable.nbytes for variable in self.variables)

    def to_json(self) -> str:
        """Everything as JSON text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)


@checked(path=path_to_read)
def inspect(path: str | os.PathLike[str]) -> ArtifactInfo:
    """Look into an artifact without building or running anything of it.

    Args:
        path: a SavedModel directory, an H5 file, or the prefix, index file or folder of a
            checkpoint.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: it is none of these.
        FormatError: it is damaged.

    Example:
        >>> hozon.inspect("my_model").signatures
    """
    where = place(path)
    if savedmodel.detect(where):
        return _saved_model(savedmodel.SavedModel.read(where))
    if checkpoint.detect(where):
        return _checkpoint(checkpoint.read(where))
    for form in RECORDED:
        if is_file(where) and form.detect(where) is not None:
            return _record(form.read(where), where)
    raise unknown_file(where)


def _record(record: ModelRecord, path: str) -> ArtifactInfo:
    """What a record holds of a model, or of weights."""
    return ArtifactInfo(
        path=path,
        format=RECORD_NAMES.get(record.form, record.form),
        producer=record.producer or "unknown",
        layers=tuple(_layers_of(record.config, "root")) if record.config else (),
        variables=tuple(_state(record)),
        training_config=record.training,
        assets=tuple(record.assets),
    )


def _layers_of(entry: Mapping[str, Any], path: str) -> Iterable[LayerInfo]:
    """A model's layers as its config lists them, those of nested models too."""
    config = entry.get("config")
    named = config.get("name") if isinstance(config, Mapping) else None
    name = str(named or entry.get("name") or "")
    yield LayerInfo(path, str(entry.get("class_name", "")), name, bool(config))
    layers = config.get("layers", ()) if isinstance(config, Mapping) else config
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        if isinstance(layer, Mapping):
            yield from _layers_of(layer, f"{path}.layer-{number}")


def _state(record: ModelRecord) -> Iterable[TensorSummary]:
    """The weights, then the optimizer's variables."""
    optimizer = () if record.optimizer is None else (record.optimizer,)
    for group in (*record.state, *optimizer):
        for name, tensor in group.tensors.items():
            full = name if name.startswith(group.name) else f"{group.name}/{name}"
            yield TensorSummary(full, tensor.dtype.name, tensor.shape, tensor.nbytes)


def _checkpoint(bundle: Bundle) -> ArtifactInfo:
    kind = "object-based" if savedmodel.OBJECT_GRAPH_KEY in bundle else "name-based"
    return ArtifactInfo(
        path=str(bundle.prefix),
        format=f"TensorFlow checkpoint ({kind})",
        producer="TensorFlow",
        variables=_variables(bundle),
    )


def _saved_model(artifact: savedmodel.SavedModel) -> ArtifactInfo:
    meta_graph = artifact.meta_graph
    library = meta_graph.graph.library
    ops = Counter(node.op for node in meta_graph.graph.nodes)
    functions: dict[str, int] = {}
    for name in library:
        nodes: Sequence[NodeDef] = library[name].nodes
        functions[name] = len(nodes)
        ops.update(node.op for node in nodes)
    root = _metadata(artifact).get("root", {})
    return ArtifactInfo(
        path=artifact.path,
        format="SavedModel",
        producer=_producer(meta_graph, root),
        tags=tuple(tuple(sorted(g.tags)) for g in artifact.record.meta_graphs),
        signatures=tuple(_signatures(meta_graph)),
        layers=tuple(_layers(artifact)),
        variables=_variables(artifact.bundle) if artifact.bundle is not None else (),
        training_config=root.get("training_config"),
        functions=functions,
        ops=dict(sorted(ops.items())),
        assets=tuple(asset.filename for asset in meta_graph.assets),
    )


def _producer(meta_graph: MetaGraph, root: Mapping[str, Any]) -> str:
    producer = f"TensorFlow {meta_graph.tensorflow_version or 'of unknown version'}"
    keras = root.get("keras_version")
    return f"{producer}, Keras {keras}" if keras else producer


def _metadata(artifact: savedmodel.SavedModel) -> Mapping[str, Mapping[str, Any]]:
    """Keras metadata by path; the root's under ``root``."""
    parsed: dict[str, Mapping[str, Any]] = {}
    for node, item in artifact.keras_metadata.items():
        path = item.path or ("root" if node == 0 else f"object {node}")
        parsed[path] = savedmodel.parse_metadata(item, artifact.path)
    return parsed


def _layers(artifact: savedmodel.SavedModel) -> Iterable[LayerInfo]:
    for path, metadata in _metadata(artifact).items():
        class_name = str(metadata.get("class_name", ""))
        if class_name:
            yield LayerInfo(
                path, class_name, str(metadata.get("name", "")), bool(metadata.get("config"))
            )


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


def _variables(bundle: Bundle) -> tuple[TensorSummary, ...]:
    return tuple(
        TensorSummary(name, tensor.dtype.name, tensor.shape, tensor.nbytes)
        for name, tensor in bundle.items()
        if name != savedmodel.OBJECT_GRAPH_KEY
    )
