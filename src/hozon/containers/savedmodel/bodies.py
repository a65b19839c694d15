"""The nodes of a graph and of its functions as plain data, each body made when first asked for."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hozon.formats.protos.graph import FunctionDef, FunctionRef, GraphDef, NodeDef
from hozon.formats.protos.lazy import LazyMapping
from hozon.record import GraphNode
from hozon.stored.dtypes import RESOURCE

#: What stands for arguments and results of a function, as in TensorFlow's own graphs.
ARGUMENT, RESULT = "_Arg", "_Retval"


def bodies_of(graph: GraphDef) -> Mapping[str, Sequence[GraphNode]]:
    """The nodes of each function by its name, and those outside of all under ""."""
    whole: Mapping[str, Any] = {"": graph}
    return LazyMapping(ChainMap(whole, graph.library), _body)  # type: ignore[arg-type]


def _body(graph: GraphDef | FunctionDef) -> tuple[GraphNode, ...]:
    if isinstance(graph, GraphDef):
        return tuple(map(_node, graph.nodes))
    arguments = (
        GraphNode(item.name, ARGUMENT) for item in graph.inputs if int(item.type) != RESOURCE.number
    )
    results = (GraphNode(name, RESULT, (node_of(value),)) for name, value in graph.ret.items())
    return (*arguments, *map(_node, graph.nodes), *results)


def _node(node: NodeDef) -> GraphNode:
    return GraphNode(node.name, node.op, tuple(_values(node.inputs)), tuple(_calls(node)))


def _values(inputs: Iterable[str]) -> Iterator[str]:
    """The nodes that values come from; what only has to run before is left out."""
    return (node_of(name) for name in inputs if not name.startswith("^"))


def _calls(node: NodeDef) -> Iterator[str]:
    if node.op == "Const":  # whose only attribute of size is its value
        return
    for value in node.attrs.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, FunctionRef):
                yield item.name


def node_of(tensor: str) -> str:
    """The node of a tensor, which is written ``node:1``, or ``node:name:0`` in a function."""
    return tensor.partition(":")[0]
