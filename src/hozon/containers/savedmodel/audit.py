"""All checksums and references of a SavedModel directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hozon.audit import Audit
from hozon.containers.checkpoint.audit import audit_bundle
from hozon.containers.savedmodel import fingerprint
from hozon.containers.savedmodel.read import ASSET_PREFIX, METADATA_FILE, SavedModel, parse_metadata
from hozon.errors import FormatError
from hozon.formats.bundle import is_bundle
from hozon.formats.protos.fingerprint import Fingerprint
from hozon.formats.protos.object_graph import (
    Asset,
    BareConcreteFunction,
    CapturedTensor,
    Function,
    SavedObjectGraph,
    Variable,
)
from hozon.formats.protos.saved_model import MetaGraph
from hozon.objects.graph import paths, slots
from hozon.raw.hashing import fingerprint64
from hozon.raw.stores import is_file, join, read_bytes, size

#: Bytes up to which a file is hashed as TensorFlow does, which takes 0.1 s for each megabyte.
HASHED_BYTES = 8 << 20


def audit_saved_model(path: str, audit: Audit) -> None:
    """Check a SavedModel directory."""
    artifact: SavedModel | None = None
    with audit.checking("graph files", file=path):
        artifact = SavedModel.read(path)
    if artifact is None:
        return
    whole = False  # whether Hozon's sums of all files were compared
    with audit.checking("graph files", file=artifact.file):
        whole = _audit_graph_file(artifact, audit)
    readable = True
    if is_bundle(artifact.variables_prefix):
        artifact.bundle = audit_bundle(artifact.variables_prefix, audit)
        readable = artifact.bundle is not None
    for graph in artifact.record.meta_graphs:
        with audit.checking("meta graphs", ", ".join(graph.tags), artifact.file):
            _audit_meta_graph(graph, artifact, audit, readable, whole)
    with audit.checking("Keras metadata", file=join(path, METADATA_FILE)):
        _audit_metadata(artifact, audit, whole)


# Files


def _audit_graph_file(artifact: SavedModel, audit: Audit) -> bool:
    """The graph, and the fingerprint; whether that one told of all files."""
    nbytes = size(artifact.file)
    audit.nbytes += nbytes
    stored = fingerprint.read(artifact.path)
    if stored is None:
        audit.leave("graph", nbytes)
        return False
    file = join(artifact.path, fingerprint.FILE)
    audit.nbytes += size(file)
    ours = fingerprint.check(artifact.path)
    if not ours and not _is_hash_of(artifact.file, stored):
        audit.leave("graph", nbytes + size(file))
        return False
    audit.checked["fingerprints"] += 1
    audit.cover(nbytes)
    audit.leave("fingerprint", size(file))
    if not ours:
        _audit_index(artifact, stored, audit)
    return ours


def _is_hash_of(file: str, stored: Fingerprint) -> bool:
    """Whether TensorFlow's fingerprint is that of a graph; it may be of another order of it."""
    return size(file) <= HASHED_BYTES and fingerprint64(read_bytes(file)) == stored.saved_model


def _audit_index(artifact: SavedModel, stored: Fingerprint, audit: Audit) -> None:
    """The index of the variables, of which TensorFlow's fingerprint holds a sum."""
    index = f"{artifact.variables_prefix}.index"
    if stored.checkpoint and is_file(index) and size(index) < HASHED_BYTES:
        found = fingerprint64(read_bytes(index))
        audit.checked["fingerprints"] += 1
        if found != stored.checkpoint:
            raise FormatError(
                "the variables are not those of this graph",
                file=index,
                record=fingerprint.FILE,
                expected=stored.checkpoint,
                found=found,
            )


# Graphs


def _audit_meta_graph(
    graph: MetaGraph, artifact: SavedModel, audit: Audit, readable: bool, whole: bool
) -> None:
    nodes = {node.name for node in graph.graph.nodes}
    library = graph.graph.library
    for name in library:
        with audit.checking("functions", name, artifact.file):
            for node in library[name].nodes:
                for called in _functions_in(node.attrs):
                    if called and called not in library:
                        audit.damaged(
                            f"function {name!r} calls {called!r}, which does not exist",
                            file=artifact.file,
                            record=node.name,
                        )
    for key, signature in graph.signatures.items():
        audit.checked["signatures"] += 1
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            if info.name and info.name.rpartition(":")[0] not in nodes and info.name not in nodes:
                audit.damaged(
                    f"signature {key!r} names {info.name!r}, which the graph does not hold",
                    file=artifact.file,
                    record=key,
                )
    for asset in graph.assets:
        with audit.checking("assets", asset.filename, artifact.path):
            nbytes = len(artifact.read_asset(ASSET_PREFIX + asset.filename.encode()))
            audit.nbytes += nbytes
            audit.count("assets", nbytes, covered=whole)
    if graph.object_graph is not None:
        _audit_objects(graph.object_graph, graph, artifact, audit, readable)


def _functions_in(attrs: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for value in attrs.values():
        items = value if isinstance(value, tuple) else (value,)
        found += [item.name for item in items if type(item).__name__ == "FunctionRef"]
    return found


def _audit_objects(
    objects: SavedObjectGraph,
    graph: MetaGraph,
    artifact: SavedModel,
    audit: Audit,
    readable: bool,
) -> None:
    """What objects refer to: other objects, functions, assets, stored values."""
    library, file = graph.graph.library, artifact.file
    for name in objects.concrete_functions:
        with audit.checking("concrete functions", name, file):
            if name not in library:
                raise FormatError(
                    f"the function {name!r} is described and not there", file=file, record=name
                )
            _ = objects.concrete_functions[name]
    reached: set[int] = set()  # of whose values the checkpoint can be asked
    with audit.checking("object graphs", file=file):
        if readable:
            reached = {*paths(objects.nodes), *(slot.slot for _, slot in slots(objects.nodes))}
    for number in range(len(objects.nodes)):
        with audit.checking("objects", f"object {number}", file):
            _audit_payload(number, objects, graph, artifact, number in reached)


def _audit_payload(
    number: int, objects: SavedObjectGraph, graph: MetaGraph, artifact: SavedModel, reached: bool
) -> None:
    payload, file = objects.nodes[number].payload, artifact.file
    for name in _named_functions(payload):
        if name not in objects.concrete_functions:
            raise FormatError(
                f"object {number} is the function {name!r}, which does not exist",
                file=file,
                record=f"object {number}",
            )
    if isinstance(payload, Asset) and payload.asset >= len(graph.assets):
        raise FormatError(
            f"object {number} is asset {payload.asset}, which does not exist",
            file=file,
            record=f"object {number}",
            expected=f"below {len(graph.assets)}",
            found=payload.asset,
        )
    if isinstance(payload, Variable) and reached and graph is artifact.meta_graph:
        artifact.variable_value(number, payload)


def _named_functions(payload: Any) -> tuple[str, ...]:
    if isinstance(payload, Function):
        return payload.concrete_functions
    if isinstance(payload, BareConcreteFunction):
        return (payload.name,)
    return (payload.concrete_function,) if isinstance(payload, CapturedTensor) else ()


def _audit_metadata(artifact: SavedModel, audit: Audit, whole: bool) -> None:
    file = join(artifact.path, METADATA_FILE)
    if is_file(file):
        audit.nbytes += size(file)
        audit.count("Keras metadata", size(file), covered=whole)
    graph = artifact.meta_graph.object_graph
    count = len(graph.nodes) if graph is not None else 0
    for number, item in artifact.keras_metadata.items():
        audit.checked["Keras objects"] += 1
        parse_metadata(item, artifact.path)
        if not 0 <= number < count:
            raise FormatError(
                f"Keras' metadata describe object {number}, which does not exist",
                file=file,
                record=item.path,
                expected=f"below {count}",
                found=number,
            )
