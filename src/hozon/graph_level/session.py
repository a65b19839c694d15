"""Signatures run the TensorFlow 1 way: tensors fed into and fetched from one graph.

What a session does when it loads a SavedModel happens here before the first call: variables are
restored by the graph's own restore op and the initialisation op fills the tables, both as far as
they consist of ops that Hozon runs (no file outside the artifact is ever opened).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import jax
import numpy as np

from hozon.errors import FormatError
from hozon.formats.bundle import Bundle
from hozon.formats.protos.graph import NodeDef
from hozon.formats.protos.saved_model import MetaGraph
from hozon.formats.protos.signatures import SignatureDef, TensorInfo
from hozon.formats.protos.struct import TensorSpec, TypeSpec
from hozon.formats.protos.tensor import UNKNOWN_SHAPE, Shape
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graph_level.functions import SignatureFunction, call_stateless
from hozon.graph_level.structures import pack_all
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.ir import Function
from hozon.graphs.library import Library
from hozon.graphs.resources import Variable
from hozon.graphs.state import changes_state, needs_host
from hozon.graphs.values import Cell, Value

#: Signatures that hold ops to run rather than to serve.
INTERNAL = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
LOCAL_VARIABLES, TABLE_INITIALIZERS = "local_variables", "table_initializer"
#: Graphs older than this say ``[]`` where they mean any shape (common_runtime/shape_refiner.cc).
SHAPED_PLACEHOLDERS = 24
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


class GraphSource(Protocol):
    """What a session needs of an artifact."""

    @property
    def meta_graph(self) -> MetaGraph:
        """The graph with its signatures and collections."""
        ...

    @property
    def bundle(self) -> Bundle | None:
        """The stored variables."""
        ...

    def gradients(self) -> dict[str, str]:
        """Gradient functions by registered gradient op type."""
        ...

    def asset_feeds(self) -> dict[str, Any]:
        """Tensors that hold asset paths, with their values."""
        ...

    def read_asset(self, name: bytes) -> bytes:
        """The content of an asset."""
        ...


class Session:
    """One meta graph with its variables and tables.

    `cell` may put something else in the place of a variable.
    """

    def __init__(
        self, artifact: GraphSource, cell: Callable[[Variable], Cell] | None = None
    ) -> None:
        self.artifact = artifact
        self.graph = artifact.meta_graph.graph
        self.library = Library(self.graph.library, gradients=artifact.gradients())
        self.library.resources.checkpoint = artifact.bundle
        self.library.resources.read_asset = artifact.read_asset
        self.library.resources.cell = cell or self.library.resources.cell
        self._ready = False
        self._functions: dict[str, Function] = {}

    @property
    def variables(self) -> list[Variable]:
        """All variables of the graph, restored."""
        self.prepare()
        return list(self.library.resources.of_kind("variable").values())

    def signatures(self) -> dict[str, SignatureFunction]:
        """The serving signatures by name."""
        declared = self.artifact.meta_graph.signatures
        return {
            name: self.signature(name, signature)
            for name, signature in declared.items()
            if name not in INTERNAL
        }

    def prepare(self) -> None:
        """Restore variables and fill tables, once; also when the first call is traced."""
        if not self._ready:
            with jax.ensure_compile_time_eval():
                self._prepare()
            self._ready = True

    def _prepare(self) -> None:
        saver = self.artifact.meta_graph.saver
        assets = self.artifact.asset_feeds()
        if saver is not None and saver.restore_op and self.artifact.bundle is not None:
            prefix = np.array(b"checkpoint", object)
            self._run("restore", {saver.filename_tensor: prefix}, [saver.restore_op])
        targets = self._init_targets()
        if targets:
            self._run("initialize", assets, targets)

    def _init_targets(self) -> list[str]:
        meta_graph = self.artifact.meta_graph
        signature = meta_graph.signatures.get("__saved_model_init_op")
        if signature is not None:
            return [info.name for info in signature.outputs.values()]
        for name in INIT_COLLECTIONS:
            if items := self.collection(name):
                return list(map(_text, items))
        return self._default_targets()

    def _default_targets(self) -> list[str]:
        """What TensorFlow 2 runs where a graph names no initialisation op: local variables and
        tables start (``Scaffold.default_local_init_op``)."""
        local = [item.initializer for item in self.collection(LOCAL_VARIABLES)]
        return [*filter(None, local), *map(_text, self.collection(TABLE_INITIALIZERS))]

    def collection(self, name: str) -> tuple[Any, ...]:
        """The items of a collection of the meta graph."""
        collection = self.artifact.meta_graph.collections.get(name)
        return () if collection is None else collection.values

    def _run(self, name: str, feeds: Mapping[str, Value], targets: Sequence[str]) -> None:
        present = {node.name for node in self.graph.nodes}
        feeds = {
            tensor: value for tensor, value in feeds.items() if tensor.split(":")[0] in present
        }
        function = function_from_graph(
            name,
            self.graph.nodes,
            {tensor: tensor for tensor in feeds},
            {},
            self.graph.library,
            targets,
        )
        call(self.library, function, list(feeds.values()))

    def signature(self, name: str, signature: SignatureDef) -> SignatureFunction:
        """The part of the graph that a signature declares, as a function."""
        inputs = {key: self._input_spec(info) for key, info in signature.inputs.items()}
        outputs = {key: input_spec(info) for key, info in signature.outputs.items()}

        return SignatureFunction(
            name,
            inputs,
            outputs,
            GraphRunner(self, name, signature, outputs),
            signature.method_name,
            defaults(signature),
        )

    def _input_spec(self, info: TensorInfo) -> TensorSpec | TypeSpec:
        """The spec of an input. The graph says which shapes it takes; what the signature says is
        a note, and may be wrong: many tools leave it empty, which reads as a scalar."""
        spec = input_spec(info)
        if not isinstance(spec, TensorSpec):
            return spec
        return TensorSpec(self._fed_shape(info) or spec.shape, spec.dtype, spec.name)

    def _fed_shape(self, info: TensorInfo) -> Shape | None:
        """The shapes that a fed tensor may have; None where only the signature says so."""
        node = self._nodes.get(info.name.split(":")[0])
        shape = None if node is None or node.op not in PLACEHOLDERS else node.attrs.get("shape")
        if isinstance(shape, Shape):
            return (
                UNKNOWN_SHAPE
                if shape.dims == () and self.graph.producer < SHAPED_PLACEHOLDERS
                else shape
            )
        return None if info.shape.dims else UNKNOWN_SHAPE

    @cached_property
    def _nodes(self) -> dict[str, NodeDef]:
        return {node.name: node for node in self.graph.nodes}

    def function(self, name: str, signature: SignatureDef) -> Function:
        """The part of the graph that a signature runs, its variables and tables prepared."""
        function = self.part(name, signature)
        self.library.require_ops(function)
        self.prepare()
        return function

    def part(self, name: str, signature: SignatureDef) -> Function:
        """The part of the graph that a signature runs."""
        if name not in self._functions:
            feeds = _tensors(signature.inputs)
            fetches = _tensors(signature.outputs)
            if not fetches:
                raise FormatError(f"signature {name!r} has no outputs", record=name)
            self._functions[name] = function_from_graph(
                name, self.graph.nodes, feeds, fetches, self.graph.library
            )
        return self._functions[name]


@dataclass(frozen=True, slots=True)
class GraphRunner:
    """Runs a signature as a part of the session's graph."""

    session: Session
    name: str
    signature: SignatureDef
    outputs: Mapping[str, Any]

    @property
    def variables(self) -> list[Variable]:
        """The variables of the whole graph."""
        return self.session.variables

    @property
    def changes_state(self) -> bool:
        """Whether this part of the graph changes variables or tables."""
        return changes_state(self.session.library, self.session.part(self.name, self.signature))

    @property
    def needs_host(self) -> bool:
        """Whether this part looks at data where JAX cannot compile."""
        return needs_host(self.session.library, self.session.part(self.name, self.signature))

    def run(self, inputs: Mapping[str, list[Value]]) -> dict[str, Any]:
        """Run, and commit what is assigned."""
        function = self.session.function(self.name, self.signature)
        return self._packed(call(self.session.library, function, self._flat(inputs)))

    def run_stateless(
        self, values: Sequence[Value], inputs: Mapping[str, list[Value]]
    ) -> tuple[dict[str, Any], list[Value]]:
        """Run as a pure function of the values of `variables`."""
        function = self.session.function(self.name, self.signature)
        results, new = call_stateless(
            self.session.library, function, self._flat(inputs), self.variables, values
        )
        return self._packed(results), new

    def _flat(self, inputs: Mapping[str, list[Value]]) -> list[Value]:
        return [part for key in self.signature.inputs for part in inputs[key]]

    def _packed(self, results: Sequence[Value]) -> dict[str, Any]:
        packed: dict[str, Any] = pack_all(self.outputs, results, self.name)
        return packed


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def input_spec(info: TensorInfo) -> TensorSpec | TypeSpec:
    """The spec that a TensorInfo declares."""
    if info.composite is not None:
        return info.composite.type_spec
    if info.sparse is not None:
        return TypeSpec("sparse_tensor", "", (info.shape, info.dtype), 3)
    return TensorSpec(info.shape, info.dtype, info.name)


def defaults(signature: SignatureDef) -> dict[str, Any]:
    """The values of inputs that may be left out."""
    return {key: to_numpy(record) for key, record in signature.defaults.items()}


def tensor_names(info: TensorInfo) -> list[str]:
    """The graph tensors that make up an input or output."""
    if info.composite is not None:
        return [part.name for part in info.composite.components]
    if info.sparse is not None:
        return [info.sparse.indices, info.sparse.values, info.sparse.dense_shape]
    return [info.name]


def _tensors(infos: Mapping[str, TensorInfo]) -> dict[str, str]:
    """Argument names to tensor names, composite values part by part."""
    return {
        f"{key}#{i}": name
        for key, info in infos.items()
        for i, name in enumerate(tensor_names(info))
    }
