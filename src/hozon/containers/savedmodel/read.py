"""Reading a SavedModel directory.

Layout (TensorFlow's saved_model README): ``saved_model.pb``; ``variables/variables.index`` and
``variables/variables.data-*-of-*``; ``assets/``; ``keras_metadata.pb`` (Keras of TensorFlow 2.5
and later); ``fingerprint.pb``. Only these are opened, whatever the graph names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hozon.errors import FormatError, UnsafeError
from hozon.formats.bundle import Bundle, open_bundle
from hozon.formats.protos.keras_metadata import KerasObject, decode_keras_metadata
from hozon.formats.protos.object_graph import UserObject
from hozon.formats.protos.saved_model import (
    MetaGraph,
    SavedModelRecord,
    decode_saved_model,
    decode_saved_model_text,
)
from hozon.formats.protos.trackable import TrackableGraph, decode_trackable_graph
from hozon.formats.protos.tensorproto import to_numpy

GRAPH_FILE = "saved_model.pb"
TEXT_GRAPH_FILE = "saved_model.pbtxt"
KERAS_IDENTIFIER = "_tf_keras"
METADATA_FILE = "keras_metadata.pb"
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
#: Marks the name of an asset inside a graph: never a path on this machine.
ASSET_PREFIX = b"asset:"


def detect(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a SavedModel directory."""
    return any((Path(path) / name).is_file() for name in (GRAPH_FILE, TEXT_GRAPH_FILE))


@dataclass
class SavedModel:
    """One meta graph of a SavedModel directory, with lazy access to everything beside it."""

    path: Path
    record: SavedModelRecord
    meta_graph: MetaGraph
    _constants: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], tags: str | Iterable[str] | None = None
    ) -> SavedModel:
        """Read ``saved_model.pb`` and choose the meta graph of `tags`.

        Without tags: the only one, else the one tagged ``serve`` alone, else the first with it.
        Raises FormatError when the directory is no SavedModel or holds no such meta graph.
        """
        root = Path(path)
        if not root.exists():
            raise FormatError(f"{root} does not exist", file=str(root))
        if not detect(root):
            raise FormatError(
                f"{root} is not a SavedModel: it holds no {GRAPH_FILE}", file=str(root)
            )
        record = decode(root)
        return cls(root, record, choose(record, tags, str(root)))

    @cached_property
    def bundle(self) -> Bundle | None:
        """The variables, opened when first asked for; None for a model without any."""
        prefix = self.path / "variables" / "variables"
        if not prefix.with_name("variables.index").is_file():
            return None
        return open_bundle(prefix)

    @cached_property
    def keras_metadata(self) -> Mapping[int, KerasObject]:
        """Keras' description of objects by node id: from its file, or from the object graph.

        TensorFlow 2.0 to 2.4 kept it in the object graph; later ones in a file of its own.
        """
        file = self.path / METADATA_FILE
        if file.is_file():
            objects = decode_keras_metadata(file.read_bytes(), file=str(file))
            return {item.node: item for item in objects}
        graph = self.meta_graph.object_graph
        return {
            i: KerasObject(i, "", node.payload.identifier, node.payload.metadata,
                           node.payload.version)
            for i, node in enumerate(graph.nodes if graph else ())
            if isinstance(node.payload, UserObject) and node.payload.metadata
            and node.payload.identifier.startswith(KERAS_IDENTIFIER)
        }  # fmt: skip

    @cached_property
    def trackable_graph(self) -> TrackableGraph | None:
        """The object graph that the checkpoint holds of itself."""
        if self.bundle is None or OBJECT_GRAPH_KEY not in self.bundle:
            return None
        data = self.bundle[OBJECT_GRAPH_KEY].read().item()
        return decode_trackable_graph(data, file=f"{self.path}/variables")

    @cached_property
    def variable_keys(self) -> Mapping[int, Mapping[str, str]]:
        """Checkpoint keys by node of the object graph and attribute name."""
        graph = self.trackable_graph
        if graph is None:
            return {}
        return {
            i: {tensor.name: tensor.key for tensor in node.tensors}
            for i, node in enumerate(graph.nodes)
        }

    def variable_value(self, node_id: int, node: Any) -> Any:
        """The stored value of a variable, lazy, or None where none is stored."""
        key = self.variable_keys.get(node_id, {}).get("VARIABLE_VALUE")
        if key is None or self.bundle is None or key not in self.bundle:
            return None
        return self.bundle[key]

    def table_entries(self, node_id: int) -> tuple[np.ndarray[Any, Any], ...] | None:
        """Keys and values of a mutable table that the checkpoint stores."""
        for key in self.variable_keys.get(node_id, {}).values():
            stem = key.removesuffix("-keys").removesuffix("-values")
            names = (f"{stem}-keys", f"{stem}-values")
            if self.bundle is not None and all(name in self.bundle for name in names):
                return tuple(self.bundle[name].read() for name in names)
        return None

    def constant(self, operation: str) -> Any:
        """The value of a constant node of the main graph."""
        if not self._constants:
            nodes = self.meta_graph.graph.nodes
            self._constants = {n.name: n for n in nodes if n.op == "Const"}
        node = self._constants.get(operation)
        if node is None:
            raise FormatError(
                f"constant {operation!r} is not in the graph",
                file=str(self.path / GRAPH_FILE), record=operation,
            )  # fmt: skip
        return to_numpy(node.attrs["value"])

    def asset(self, index: int) -> Any:
        """What the graph sees as the path of an asset: a name, not a path of this machine."""
        assets = self.meta_graph.assets
        if not 0 <= index < len(assets):
            raise FormatError(
                f"asset {index} does not exist, there are {len(assets)}", file=str(self.path)
            )
        return np.array(ASSET_PREFIX + assets[index].filename.encode(), object)

    def asset_feeds(self) -> dict[str, Any]:
        """Tensors of the main graph that hold asset paths, with their values."""
        return {asset.tensor.name: self.asset(i)
                for i, asset in enumerate(self.meta_graph.assets)}  # fmt: skip

    def read_asset(self, name: bytes) -> bytes:
        """The content of an asset by the name that `asset` gave out.

        Raises UnsafeError for any other path and for one that leaves the assets folder.
        """
        declared = {a.filename for a in self.meta_graph.assets}
        filename = name.removeprefix(ASSET_PREFIX).decode(errors="replace")
        if not name.startswith(ASSET_PREFIX) or filename not in declared:
            raise UnsafeError(
                f"the graph reads the file {filename!r}, which is not one of its assets; "
                "Hozon opens no path that a file names"
            )
        folder = (self.path / "assets").resolve()
        file = (folder / filename).resolve()
        if not file.is_relative_to(folder):
            raise UnsafeError(f"asset {filename!r} lies outside of {folder}")
        if not file.is_file():
            raise FormatError(f"asset {filename!r} is missing", file=str(file))
        return file.read_bytes()

    def gradients(self) -> dict[str, str]:
        """Gradient functions by registered gradient op type."""
        return dict(self.meta_graph.graph.library.registered_gradients)


def parse_metadata(item: KerasObject, path: Path) -> Mapping[str, Any]:
    """The JSON that Keras wrote about an object.

    Raises FormatError when it is not a JSON object.
    """
    try:
        metadata = json.loads(item.metadata)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"the Keras metadata of object {item.node} is not JSON: {error}", file=str(path)
        ) from error
    if not isinstance(metadata, dict):
        raise FormatError(
            f"the Keras metadata of object {item.node} is no JSON object", file=str(path)
        )
    return metadata


def decode(root: Path) -> SavedModelRecord:
    """The decoded ``saved_model.pb`` (or its text form) of a directory."""
    file = root / GRAPH_FILE
    if file.is_file():
        return decode_saved_model(file.read_bytes(), file=str(file))
    file = root / TEXT_GRAPH_FILE
    return decode_saved_model_text(file.read_bytes(), file=str(file))


def choose(
    record: SavedModelRecord, tags: str | Iterable[str] | None, where: str
) -> MetaGraph:
    """The meta graph of exactly these tags; see `SavedModel.read`."""
    graphs = record.meta_graphs
    listed = ", ".join("{" + ", ".join(sorted(g.tags)) + "}" for g in graphs)
    if tags is None:
        serving = sorted((g for g in graphs if "serve" in g.tags), key=lambda g: len(g.tags))
        candidates = serving or list(graphs)
        if not candidates:
            raise FormatError("the SavedModel holds no meta graph", file=where)
        return candidates[0]
    wanted = {tags} if isinstance(tags, str) else set(tags)
    for graph in graphs:
        if set(graph.tags) == wanted:
            return graph
    raise FormatError(
        f"no meta graph has the tags {sorted(wanted)}; there are {listed}", file=where
    )
