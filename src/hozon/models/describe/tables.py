"""Lookup tables in the object graph: a resource with the functions that make, fill and end it.

The edges are those of tf.lookup.StaticHashTable; loaders and servers run ``_initialize`` once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hozon.config.text_layers.lookup import IndexLookup
from hozon.formats.protos.graph import ArgDef, FunctionDef
from hozon.formats.protos.object_graph import ConcreteFunction, Resource
from hozon.formats.protos.struct import TensorSpec
from hozon.formats.protos.tensor import Shape
from hozon.graphs.emit import text
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.definition import argument, define
from hozon.graphs.emit.values import RESOURCE, TEXT, Tensor
from hozon.models.describe.functions import FunctionWriter, Trace, Traces, full_argspec
from hozon.models.describe.nodes import Nodes

EDGE, LOOKUP_EDGE = "lookup_table", "_lookup_layer"
#: A table's handle inside the function that fills it.
HANDLE = Tensor("table", RESOURCE, ())


class Tables:
    """The tables of a SavedModel, one for each layer with a vocabulary that is used.

    Attributes:
        initializers: names of the functions that fill them.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: dict[int, int] = {}
        self.initializers: list[str] = []

    def position(self, layer: IndexLookup, writer: FunctionWriter) -> int:
        """The node of a layer's table."""
        if id(layer) not in self._known:
            self._known[id(layer)] = self._add(layer, writer)
        return self._known[id(layer)]

    def _add(self, layer: IndexLookup, writer: FunctionWriter) -> int:
        keys, values = entries(layer)
        node = self._nodes.add("resource", Resource(""), {})
        shared = f"table_{len(self._known)}"
        functions = {
            "_create_resource": (creator(shared, keys.dtype, values.dtype), ()),
            "_initialize": (initializer(keys, values), (node,)),
            "_destroy_resource": (destroyer(), ()),
        }  # fmt: skip
        for edge, (make, bound) in functions.items():
            definition = make(writer.name(edge.strip("_")))
            self._nodes.edges[node][edge] = self._function(definition, bound, writer)
            if edge == "_initialize":
                self.initializers.append(definition.name)
        self._attach(layer, node)
        return node

    def _function(
        self, definition: FunctionDef, bound: tuple[int, ...], writer: FunctionWriter
    ) -> int:
        writer.functions.append(definition)
        (output,) = definition.outputs
        spec = TensorSpec(Shape(()), output.type, output.name)
        writer.concrete[definition.name] = ConcreteFunction(bound, ((), {}), spec)
        signature = full_argspec([])
        trace = Trace(definition.name, (), 0, signature)
        return self._nodes.function(Traces((trace,), signature))

    def _attach(self, layer: IndexLookup, node: int) -> None:
        """The edge from the layer; a table must be reached from the root in any case."""
        targets = [n.target for n in self._nodes.tracked.nodes]
        owner = next((i for i, target in enumerate(targets) if target is layer), None)
        if owner is not None:
            self._nodes.edges[owner].setdefault(EDGE, node)
            return
        holder = next(i for i, t in enumerate(targets) if getattr(t, "lookup", None) is layer)
        inner = self._nodes.generic("_generic_user_object", {EDGE: node})
        self._nodes.edges[holder][LOOKUP_EDGE] = inner


def entries(layer: IndexLookup) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The keys and values of a layer's table."""
    dtype = TEXT if layer.key_dtype == "string" else np.dtype(np.int64)
    tokens = np.empty(len(layer.tokens), dtype)
    tokens[:] = layer.tokens
    numbers = np.arange(len(tokens), dtype=np.int64) + layer._token_start
    return (numbers, tokens) if layer.invert else (tokens, numbers)


Make = Callable[[str], FunctionDef]


def creator(shared: str, keys: np.dtype[Any], values: np.dtype[Any]) -> Make:
    """A function that gives the handle of a new table."""
    body = Body({}, [])
    attrs = {"key_dtype": keys, "value_dtype": values, "shared_name": shared}
    handle = body.add("HashTableV2", [], attrs=attrs, shape=(), dtype=RESOURCE)
    return _finished(body, [], handle)


def initializer(keys: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> Make:
    """A function that fills a table."""
    body = Body({}, [HANDLE])
    given = [_constant(body, keys), _constant(body, values)]
    body.add("LookupTableImportV2", [HANDLE, *given], shape=(), dtype=())
    return _finished(body, [argument(HANDLE.name, HANDLE)], None, body.nodes[-1].name)


def destroyer() -> Make:
    """A function that does nothing: a table ends with its handle."""
    return _finished(Body({}, []), [], None)


def _finished(
    body: Body, arguments: list[ArgDef], result: Tensor | None, run: str | None = None
) -> Make:
    """A function of a body; without a result it gives 1, as TensorFlow's do."""
    first = body.constant(np.int32(1)) if result is None else result
    controls = [] if run is None else [run]
    made = body.add("Identity", [first], shape=(), dtype=first.dtype, controls=controls)
    attrs: Mapping[str, Any] = {"_construction_context": b"kEagerRuntime"}

    def define_as(name: str) -> FunctionDef:
        return define(
            name, body, arguments, {"identity": made}, run=controls, attrs=attrs,
            resource_ids={i: i for i in range(len(arguments))}, is_stateful=True,
        )  # fmt: skip

    return define_as


def _constant(body: Body, array: np.ndarray[Any, Any]) -> Tensor:
    return text.strings(body, array.tolist()) if array.dtype == TEXT else body.constant(array)


