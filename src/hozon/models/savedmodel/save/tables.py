"""Lookup tables in the object graph: resources with the functions that make, fill and end them.

The vocabulary of a layer is a table that is filled once after loading, with the edges of
tf.lookup.StaticHashTable. Counts of tokens, which only `adapt` uses, are a mutable table whose
entries are in the checkpoint, with those of tf.lookup.experimental.MutableHashTable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import lookup_of
from hozon.formats.protos.graph import FunctionDef
from hozon.formats.protos.object_graph import ConcreteFunction, Resource, SaveableFunctions
from hozon.formats.protos.struct import TensorSpec
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.graph_level.written import Trace, Traces, full_argspec
from hozon.graphs.emit import tables as emitted
from hozon.graphs.emit.values import TEXT, type_number
from hozon.models.savedmodel.save.functions import FunctionWriter
from hozon.models.savedmodel.save.nodes import Nodes
from hozon.objects.keys import TABLE
from hozon.objects.tracking import Table
from hozon.stored.dtypes import INT64

EDGE, LOOKUP_EDGE = "lookup_table", "_lookup_layer"
#: The parts of a saved tensor, in the order in which TensorFlow flattens them.
PARTS = ("name", "slice_spec", "tensor")
LONG: np.dtype[Any] = np.dtype(np.int64)


class Tables:
    """The tables of a SavedModel.

    Attributes:
        initializers: names of the functions that fill vocabularies.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: dict[int, int] = {}
        self._count = 0
        self.initializers: list[str] = []

    def position(self, layer: IndexLookup, writer: FunctionWriter) -> int:
        """The node of the table of a layer's vocabulary."""
        if id(layer) not in self._known:
            self._known[id(layer)] = self._vocabulary(layer, writer)
        return self._known[id(layer)]

    def add_saved(self, writer: FunctionWriter) -> None:
        """Give the tables that the checkpoint holds their functions."""
        for number, node in enumerate(self._nodes.tracked.nodes):
            if node.trackable.table is not None:
                self._counts(number, node.trackable.table, writer)

    def _vocabulary(self, layer: IndexLookup, writer: FunctionWriter) -> int:
        keys, values = entries(layer)
        node = self._nodes.add("resource", Resource(""), {})
        self._created(node, emitted.STATIC, keys.dtype, values.dtype, writer)
        fill = emitted.initializer(writer.name("initializer"), keys, values)
        self._attach_function(node, "_initialize", fill, (node,), writer)
        self.initializers.append(fill.name)
        self._attach(layer, node)
        return node

    def _counts(self, node: int, table: Table, writer: FunctionWriter) -> None:
        types = TypeNumber(table.key_dtype.number), TypeNumber(INT64.number)
        keys = table.key_dtype.numpy
        self._created(node, emitted.MUTABLE, keys, LONG, writer)
        start = emitted.nothing(writer.name("initializer"))
        self._attach_function(node, "_initialize", start, (), writer)
        save = emitted.exporter(writer.name("save_fn"), keys, LONG)
        restore = emitted.importer(writer.name("restore_fn"), keys, LONG)
        text = TypeNumber(type_number(TEXT))
        saved = [
            dict(zip(PARTS, (_spec(text), _spec(text), _spec(t, None)), strict=True)) for t in types
        ]
        key = TensorSpec(Shape(()), text, "checkpoint_key")
        tensors = tuple(
            TensorSpec(Shape(None), t, f"restored_tensors_{i}") for i, t in enumerate(types)
        )
        self._nodes.saveables[node] = {
            TABLE: SaveableFunctions(
                self._bare(save, node, (key,), saved, writer),
                self._bare(restore, node, tensors, _spec(restore.outputs[0].type), writer),
            )
        }

    def _created(
        self,
        node: int,
        op: str,
        keys: np.dtype[Any],
        values: np.dtype[Any],
        writer: FunctionWriter,
    ) -> None:
        shared = f"table_{self._count}"
        self._count += 1
        make = emitted.creator(writer.name("creator"), op, shared, keys, values)
        self._attach_function(node, "_create_resource", make, (), writer)
        end = emitted.nothing(writer.name("destroyer"))
        self._attach_function(node, "_destroy_resource", end, (), writer)

    def _attach_function(
        self,
        node: int,
        edge: str,
        made: FunctionDef,
        bound: tuple[int, ...],
        writer: FunctionWriter,
    ) -> None:
        """A function without arguments as a child of a node."""
        (output,) = made.outputs
        writer.functions.append(made)
        writer.concrete[made.name] = ConcreteFunction(bound, ((), {}), _spec(output.type))
        signature = full_argspec([])
        traces = Traces((Trace(made.name, (), 0, signature),), signature)
        self._nodes.edges[node][edge] = self._nodes.function(traces)

    def _bare(
        self,
        made: FunctionDef,
        node: int,
        specs: tuple[TensorSpec, ...],
        outputs: Any,
        writer: FunctionWriter,
    ) -> int:
        """A function of a table as a node."""
        writer.functions.append(made)
        writer.concrete[made.name] = ConcreteFunction((node,), (specs, {}), outputs)
        names = tuple(spec.name for spec in specs)
        return self._nodes.trace(Trace(made.name, names, len(names), full_argspec(names)))

    def _attach(self, layer: IndexLookup, node: int) -> None:
        """The edge from the layer, or from the one that holds it."""
        targets = [n.target for n in self._nodes.tracked.nodes]
        owner = next((i for i, target in enumerate(targets) if target is layer), None)
        if owner is not None:
            self._nodes.edges[owner][EDGE] = node
            return
        holder = next(i for i, t in enumerate(targets) if lookup_of(t) is layer)
        inner = self._nodes.generic("_generic_user_object", {EDGE: node})
        self._nodes.edges[holder][LOOKUP_EDGE] = inner


def entries(layer: IndexLookup) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The keys and values of the table of a layer's vocabulary."""
    dtype = TEXT if layer.key_dtype == "string" else LONG
    tokens = np.empty(len(layer.tokens), dtype)
    tokens[:] = layer.tokens
    numbers = np.arange(len(tokens), dtype=np.int64) + layer.token_start
    return (numbers, tokens) if layer.invert else (tokens, numbers)


def _spec(number: TypeNumber, dims: tuple[int, ...] | None = ()) -> TensorSpec:
    return TensorSpec(Shape(dims), number, "")
