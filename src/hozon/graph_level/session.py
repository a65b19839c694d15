"""Signatures run the TensorFlow 1 way: tensors fed into and fetched from one graph.

What a session does when it loads a SavedModel happens here before the first call: variables are
restored by the graph's own restore op and the initialisation op fills the tables, both as far as
they consist of ops that Hozon runs (no file outside the artifact is ever opened).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import FormatError
from hozon.formats.protos.signatures import SignatureDef, TensorInfo
from hozon.formats.protos.struct import TensorSpec, TypeSpec
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graph_level.functions import SignatureFunction
from hozon.graph_level.structures import pack_all
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.ir import Function
from hozon.graphs.library import Library
from hozon.graphs.resources import Variable
from hozon.graphs.values import Value

#: Signatures that hold ops to run rather than to serve.
INTERNAL = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


class Session:
    """One meta graph with its variables and tables."""

    def __init__(self, artifact: SavedModel) -> None:
        self.artifact = artifact
        self.graph = artifact.meta_graph.graph
        self.library = Library(self.graph.library, gradients=artifact.gradients())
        self.library.resources.checkpoint = artifact.bundle
        self.library.resources.read_asset = artifact.read_asset
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
            name: self._signature(name, signature)
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
            collection = meta_graph.collections.get(name)
            if collection is not None and collection.values:
                return [_text(node) for node in collection.values]
        return []

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

    def _signature(self, name: str, signature: SignatureDef) -> SignatureFunction:
        inputs = {key: input_spec(info) for key, info in signature.inputs.items()}
        outputs = {key: input_spec(info) for key, info in signature.outputs.items()}

        def run(values: Mapping[str, list[Value]]) -> dict[str, Any]:
            function = self._function(name, signature)
            self.library.require_ops(function)
            self.prepare()
            arguments = [part for key in signature.inputs for part in values[key]]
            results = call(self.library, function, arguments)
            packed: dict[str, Any] = pack_all(outputs, results, name)
            return packed

        return SignatureFunction(
            name,
            inputs,
            outputs,
            run,
            lambda: self.variables,
            signature.method_name,
            defaults(signature),
        )

    def _function(self, name: str, signature: SignatureDef) -> Function:
        if name not in self._functions:
            feeds = _tensors(signature.inputs)
            fetches = _tensors(signature.outputs)
            if not fetches:
                raise FormatError(f"signature {name!r} has no outputs", record=name)
            self._functions[name] = function_from_graph(
                name, self.graph.nodes, feeds, fetches, self.graph.library
            )
        return self._functions[name]


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
