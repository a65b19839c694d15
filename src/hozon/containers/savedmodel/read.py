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
from typing import Any

import numpy as np

from hozon.containers.foreign import GRAPH_FILE as GRAPH_FILE
from hozon.containers.foreign import describe_foreign
from hozon.errors import ForeignFileError, FormatError, UnsafeError
from hozon.formats.bundle import Bundle, is_bundle, open_bundle
from hozon.formats.protos.keras_metadata import KerasObject, decode_keras_metadata
from hozon.formats.protos.object_graph import UserObject, Variable
from hozon.formats.protos.saved_model import (
    MetaGraph,
    SavedModelRecord,
    decode_saved_model,
    decode_saved_model_text,
)
from hozon.formats.protos.tensor import TensorRecord
from hozon.formats.protos.tensorproto import to_numpy
from hozon.formats.protos.trackable import SavedTensor, TrackableGraph, decode_trackable_graph
from hozon.objects.graph import stored_tensors
from hozon.objects.keys import VARIABLE_VALUE
from hozon.raw.stores import is_cached, is_file, is_inside, join, parent_and_name, place, read_bytes
from hozon.stored.dtypes import dtype_of_number
from hozon.stored.lazy import LazyTensor

TEXT_GRAPH_FILE = "saved_model.pbtxt"
VARIABLES = ("variables", "variables")
KERAS_IDENTIFIER = "_tf_keras"
METADATA_FILE = "keras_metadata.pb"
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
#: Marks the name of an asset inside a graph: never a path on this machine.
ASSET_PREFIX = b"asset:"


def detect(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a SavedModel directory."""
    where = place(path)
    return any(is_file(join(where, name)) for name in (GRAPH_FILE, TEXT_GRAPH_FILE))


@dataclass
class SavedModel:
    """One meta graph of a SavedModel directory, with lazy access to everything beside it."""

    path: str
    record: SavedModelRecord
    meta_graph: MetaGraph
    _constants: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], tags: str | Iterable[str] | None = None
    ) -> SavedModel:
        """Read ``saved_model.pb`` and choose the meta graph of `tags`.

        Without tags: the only one, else the one tagged ``serve`` alone, else the first with it.
        Raises:
            MissingFileError: there is nothing.
            ForeignFileError: it is no SavedModel directory.
            FormatError: it holds no such meta graph, or is damaged.
        """
        root = place(path)
        if not detect(root):
            raise ForeignFileError(
                f"{root} is not a SavedModel: {describe_foreign(root)}",
                file=root,
                instead=f"give the directory that holds a {GRAPH_FILE} and its variables",
            )
        record = decode(root)
        return cls(root, record, choose(record, tags, root))

    @property
    def name(self) -> str:
        """The directory's own name."""
        return parent_and_name(self.path.rstrip("/"))[1]

    @property
    def file(self) -> str:
        """The file that holds the graphs."""
        return graph_file(self.path)

    @cached_property
    def bundle(self) -> Bundle | None:
        """The variables, opened when first asked for; None for a model without any."""
        return open_variables(self.path)

    @property
    def variables_prefix(self) -> str:
        """The prefix of the checkpoint with the variables."""
        return join(self.path, *VARIABLES)

    @cached_property
    def keras_metadata(self) -> Mapping[int, KerasObject]:
        """Keras' description of objects by node id: from its file, or from the object graph.

        TensorFlow 2.0 to 2.4 kept it in the object graph; later ones in a file of its own.
        """
        file = join(self.path, METADATA_FILE)
        if is_file(file):
            objects = decode_keras_metadata(read_bytes(file), file=file)
            return {item.node: item for item in objects}
        graph = self.meta_graph.object_graph
        return {
            i: KerasObject(
                i, "", node.payload.identifier, node.payload.metadata, node.payload.version
            )
            for i, node in enumerate(graph.nodes if graph else ())
            if isinstance(node.payload, UserObject)
            and node.payload.metadata
            and node.payload.identifier.startswith(KERAS_IDENTIFIER)
        }

    @cached_property
    def trackable_graph(self) -> TrackableGraph | None:
        """The object graph that the checkpoint holds of itself."""
        if self.bundle is None or OBJECT_GRAPH_KEY not in self.bundle:
            return None
        data = self.bundle[OBJECT_GRAPH_KEY].read().item()
        return decode_trackable_graph(data, file=f"{self.path}/variables")

    @cached_property
    def stored(self) -> Mapping[int, tuple[SavedTensor, ...]]:
        """The stored tensors of each node of the object graph that has any."""
        graph, kept = self.meta_graph.object_graph, self.trackable_graph
        return stored_tensors(graph.nodes, kept.nodes) if graph and kept else {}

    def variable_value(self, node_id: int, node: Variable) -> LazyTensor | None:
        """The stored value of a variable, lazy, or None where none is stored.

        Raises FormatError when the variables are missing, or the stored value is not one of the
        shape and dtype that the variable declares.
        """
        if self.bundle is None:
            raise FormatError(
                f"variable {node.name!r} has no value: the variables are missing",
                file=self.variables_prefix + ".index",
                record=node.name,
            )
        keys = [t.key for t in self.stored.get(node_id, ()) if t.name == VARIABLE_VALUE]
        tensor = self.bundle.get(keys[0]) if keys else None
        if keys and tensor is None:
            raise FormatError(
                f"variable {node.name!r} is stored as {keys[0]!r}, which the checkpoint lacks",
                file=self.bundle.prefix,
                record=keys[0],
            )
        if tensor is not None:
            self._check_declared(tensor, node)
        return tensor

    def _check_declared(self, tensor: LazyTensor, node: Variable) -> None:
        dims, dtype = node.shape.dims, dtype_of_number(node.dtype)
        fits = dims is None or (
            len(dims) == len(tensor.shape)
            and all(n is None or n == m for n, m in zip(dims, tensor.shape, strict=True))
        )
        if not fits or tensor.dtype != dtype:
            raise FormatError(
                f"variable {node.name!r} is stored in another form than it declares",
                file=self.variables_prefix,
                record=tensor.name,
                expected=f"{dtype.name}{dims}",
                found=f"{tensor.dtype.name}{tensor.shape}",
            )

    def table_entries(self, node_id: int) -> tuple[np.ndarray[Any, Any], ...] | None:
        """Keys and values of a mutable table that the checkpoint stores."""
        for tensor in self.stored.get(node_id, ()):
            stem = tensor.key.removesuffix("-keys").removesuffix("-values")
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
        value = None if node is None else node.attrs.get("value")
        if not isinstance(value, TensorRecord):
            raise FormatError(
                f"constant {operation!r} is not in the graph",
                file=self.file,
                record=operation,
            )
        return to_numpy(value)

    def asset(self, index: int) -> Any:
        """What the graph sees as the path of an asset: a name, not a path of this machine."""
        assets = self.meta_graph.assets
        if not 0 <= index < len(assets):
            raise FormatError(
                f"asset {index} does not exist, there are {len(assets)}", file=self.file
            )
        return np.array(ASSET_PREFIX + assets[index].filename.encode(), object)

    def asset_feeds(self) -> dict[str, Any]:
        """Tensors of the main graph that hold asset paths, with their values."""
        return {asset.tensor.name: self.asset(i) for i, asset in enumerate(self.meta_graph.assets)}

    @cached_property
    def _moved_assets(self) -> dict[bytes, bytes]:
        """The names of assets by the paths that the main graph's own constants have for them."""
        operations = {name.partition(":")[0]: path for name, path in self.asset_feeds().items()}
        values = (
            (node.attrs.get("value"), operations[node.name].item())
            for node in self.meta_graph.graph.nodes
            if node.name in operations
        )
        return {
            to_numpy(value).item(): name
            for value, name in values
            if isinstance(value, TensorRecord)
        }

    def read_asset(self, name: bytes) -> bytes:
        """The content of an asset by the name that `asset` gave out, or by its path when saved.

        Raises UnsafeError for any other path and for one that leaves the assets folder.
        """
        declared = {a.filename for a in self.meta_graph.assets}
        name = self._moved_assets.get(name, name)
        filename = name.removeprefix(ASSET_PREFIX).decode(errors="replace")
        if not name.startswith(ASSET_PREFIX) or filename not in declared:
            raise UnsafeError(
                f"the graph reads the file {filename!r}, which is not one of its assets; "
                "Hozon opens no path that a file names",
                refused=filename,
                file=self.file,
            )
        folder = join(self.path, "assets")
        asset = join(folder, filename)
        # The folder may be a link itself, which must not lead out of the model's.
        named = "\0" not in filename and ".." not in filename.split("/")
        inside = all(is_inside(asset, f) for f in (folder, self.path)) if named else False
        if not inside and not (named and is_cached(asset)):
            raise UnsafeError(
                f"asset {filename!r} lies outside of {folder}",
                refused=filename,
                file=self.file,
                allow="copy the file itself into the assets folder",
            )
        if not is_file(asset):
            raise FormatError(f"asset {filename!r} is missing", file=asset, record=filename)
        return read_bytes(asset)

    def gradients(self) -> dict[str, str]:
        """Gradient functions by registered gradient op type."""
        return dict(self.meta_graph.graph.library.registered_gradients)


def open_variables(path: str) -> Bundle | None:
    """The checkpoint with the variables of a directory; None where there are none."""
    prefix = join(path, *VARIABLES)
    return open_bundle(prefix) if is_bundle(prefix) else None


def parse_metadata(item: KerasObject, path: str) -> Mapping[str, Any]:
    """The JSON that Keras wrote about an object.

    Raises FormatError when it is not a JSON object.
    """
    file = join(path, METADATA_FILE)
    where = file if is_file(file) else graph_file(path)
    what = f"the Keras metadata of object {item.node}"
    try:
        metadata = json.loads(item.metadata)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON: {error}", file=where) from error
    if not isinstance(metadata, dict):
        raise FormatError(f"{what} is no JSON object", file=where, record=item.path)
    return metadata


def graph_file(root: str) -> str:
    """The file of a directory that holds the graphs: binary, else text."""
    binary = join(root, GRAPH_FILE)
    return binary if is_file(binary) else join(root, TEXT_GRAPH_FILE)


def decode(root: str) -> SavedModelRecord:
    """The decoded ``saved_model.pb`` (or its text form) of a directory."""
    file = graph_file(root)
    read = decode_saved_model_text if file.endswith(TEXT_GRAPH_FILE) else decode_saved_model
    return read(read_bytes(file), file=file)


def choose(record: SavedModelRecord, tags: str | Iterable[str] | None, where: str) -> MetaGraph:
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
