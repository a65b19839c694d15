"""Graphs in files of their own: frozen ones, and meta graphs beside a TensorFlow 1 checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hozon.containers.foreign import require_there
from hozon.errors import ForeignFileError, UnsafeError
from hozon.formats.bundle import Bundle, is_bundle, open_bundle
from hozon.formats.protos.graph import GraphDef, parse_graph, parse_graph_text
from hozon.formats.protos.saved_model import MetaGraph, parse_meta_graph, parse_meta_graph_text
from hozon.raw.stores import read_bytes

META = ".meta"
#: How the text forms of a graph and of a meta graph begin.
GRAPH_FIELDS = (b"node", b"library", b"versions")
META_FIELDS = (b"meta_info_def", b"graph_def", b"saver_def", b"collection_def", b"signature_def")


@dataclass
class GraphFile:
    """One graph and, beside a meta graph, its checkpoint."""

    path: str
    meta_graph: MetaGraph

    @property
    def is_frozen(self) -> bool:
        """Whether the graph is all there is."""
        return self.meta_graph.saver is None

    @cached_property
    def bundle(self) -> Bundle | None:
        """The checkpoint beside a meta graph; None for a graph that has none."""
        prefix = self.path.removesuffix(META)
        return open_bundle(prefix) if prefix != self.path and is_bundle(prefix) else None

    def gradients(self) -> dict[str, str]:
        """Gradient functions by registered gradient op type."""
        return dict(self.meta_graph.graph.library.registered_gradients)

    def asset_feeds(self) -> dict[str, Any]:
        """A graph by itself has no assets."""
        return {}

    def read_asset(self, name: bytes) -> bytes:
        """Raise UnsafeError: a graph by itself has no assets, and no other file is opened."""
        filename = name.decode(errors="replace")
        raise UnsafeError(
            f"the graph reads the file {filename!r}; Hozon opens no path that a file names",
            refused=filename,
            file=self.path,
        )


def read(path: str) -> GraphFile:
    """Read a ``GraphDef`` or a ``MetaGraphDef``, binary or text.

    Raises MissingFileError when there is none, FormatError when it is neither, or damaged.
    """
    require_there(path)
    data = read_bytes(path)
    head = data[:4096].lstrip()
    if head.startswith(META_FIELDS):
        return GraphFile(path, parse_meta_graph_text(data, file=path))
    if head.startswith(GRAPH_FIELDS):
        return GraphFile(path, _meta_graph(parse_graph_text(data, file=path)))
    if path.endswith(META):
        return GraphFile(path, parse_meta_graph(data, file=path))
    graph = parse_graph(data, file=path)
    if not len(graph.nodes) or not all(node.name and node.op for node in graph.nodes):
        raise ForeignFileError(
            f"{path} is no graph",
            file=path,
            instead="give a frozen graph (.pb, .pbtxt) or the .meta file of a checkpoint; of a "
            "SavedModel, give its folder to hozon.saved_model.load",
        )
    return GraphFile(path, _meta_graph(graph))


def _meta_graph(graph: GraphDef) -> MetaGraph:
    nothing: Mapping[str, Any] = {}
    return MetaGraph((), "", "", False, {}, graph, None, nothing, nothing, (), None)
