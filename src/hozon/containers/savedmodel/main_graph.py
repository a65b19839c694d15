"""The graph outside all functions, which servers and converters use.

It holds what TensorFlow's own loader makes anew from the object graph: a handle for each variable,
a placeholder for each input of each signature and a call of its function, and the ops that restore
and save the variables (tensorflow/python/saved_model/save.py, core/protobuf/saver.proto).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hozon.containers.savedmodel.content import Content
from hozon.formats.protos.graph import FunctionRef, NodeDef
from hozon.formats.protos.object_graph import Asset, ConcreteFunction, Resource, Variable
from hozon.formats.protos.saved_model import AssetFile, SaverDef
from hozon.formats.protos.signatures import SignatureDef, TensorInfo
from hozon.formats.protos.struct import TensorSpec
from hozon.formats.protos.tensor import Shape, TensorRecord, TypeNumber
from hozon.formats.protos.tensorproto import from_numpy
from hozon.stored.dtypes import RESOURCE, STRING

PREDICT = "tensorflow/serving/predict"
INIT_OP = "__saved_model_init_op"
SCALAR = Shape(())
TEXT = TypeNumber(STRING.number)
HANDLE = TypeNumber(RESOURCE.number)


@dataclass
class MainGraph:
    """The nodes, and what the meta graph says of them."""

    nodes: list[NodeDef] = field(default_factory=list)
    signatures: dict[str, SignatureDef] = field(default_factory=dict)
    saver: SaverDef | None = None
    assets: tuple[AssetFile, ...] = ()


def main_graph(content: Content) -> MainGraph:
    """The main graph of a SavedModel."""
    return _Builder(content).build()


class _Builder:
    def __init__(self, content: Content) -> None:
        self.content = content
        self.functions = {f.name: f for f in content.functions}
        self.graph = MainGraph()
        self.names: set[str] = set()
        self.captured: dict[int, str] = {}

    def build(self) -> MainGraph:
        self.graph.assets = tuple(self._assets())
        self._handles()
        for name, function in self.content.signatures.items():
            self.graph.signatures[name] = self._signature(name, function)
        self._initialization()
        if self.content.keys:
            self.graph.saver = self._saver()
        return self.graph

    def add(
        self, name: str, op: str, inputs: Sequence[str] = (), attrs: Mapping[str, Any] | None = None
    ) -> str:
        """A node of a unique name like `name`."""
        base = re.sub(r"[^A-Za-z0-9_./>-]", "_", name)
        base = base if re.match(r"[A-Za-z0-9.]", base) else f"n{base}"
        chosen, count = base, 0
        while chosen in self.names:
            count += 1
            chosen = f"{base}_{count}"
        self.names.add(chosen)
        self.graph.nodes.append(NodeDef(chosen, op, tuple(inputs), "", attrs or {}))
        return chosen

    def _handles(self) -> None:
        """What functions are bound to: handles of variables and tables."""
        for number, node in enumerate(self.content.objects.nodes):
            payload = node.payload
            if isinstance(payload, Variable) and number in self.content.keys:
                self.captured[number] = self._variable(payload)
            elif isinstance(payload, Resource):
                self.captured[number] = self._table(number)

    def _variable(self, variable: Variable) -> str:
        attrs = {"dtype": variable.dtype, "shape": variable.shape}
        name = self.add(variable.name or "Variable", "VarHandleOp", (), attrs)
        node = self.graph.nodes[-1]
        self.graph.nodes[-1] = NodeDef(
            name, node.op, (), "", {**attrs, "shared_name": name.encode()}
        )
        self.add(f"{name}/Read/ReadVariableOp", "ReadVariableOp", [name], {"dtype": variable.dtype})
        return name

    def _table(self, number: int) -> str:
        """A table's handle: the op that the function has which creates it."""
        edges = {e.name: e.node for e in self.content.objects.nodes[number].children}
        creator = self.content.objects.nodes[edges["_create_resource"]].payload
        (function,) = creator.concrete_functions  # type: ignore[union-attr]
        (made,) = (node for node in self.functions[function].nodes if not node.inputs)
        return self.add("hash_table", made.op, (), made.attrs)

    def _call(self, function: str, arguments: Mapping[str, str]) -> str:
        """A call of a concrete function, bound to what it captured."""
        definition = self.functions[function]
        bound = self.content.objects.concrete_functions[function].bound_inputs
        given = [arguments[a.name] for a in definition.inputs[: len(arguments)]]
        attrs = {
            "Tin": tuple(a.type for a in definition.inputs),
            "Tout": tuple(a.type for a in definition.outputs),
            "f": FunctionRef(function, {}),
        }
        inputs = [*given, *(self.captured[number] for number in bound)]
        return self.add("StatefulPartitionedCall", "StatefulPartitionedCall", inputs, attrs)

    def _signature(self, key: str, function: str) -> SignatureDef:
        concrete: ConcreteFunction = self.content.objects.concrete_functions[function]
        specs: Mapping[str, TensorSpec] = concrete.input_signature[1]
        inputs, infos = {}, {}
        arguments = [a.name for a in self.functions[function].inputs if a.type != HANDLE]
        for name, (keyword, spec) in zip(arguments, sorted(specs.items()), strict=True):
            attrs = {"dtype": spec.dtype, "shape": spec.shape}
            inputs[name] = self.add(f"{key}_{keyword}", "Placeholder", (), attrs)
            infos[keyword] = TensorInfo(f"{inputs[name]}:0", spec.dtype, spec.shape)
        call = self._call(function, inputs)
        outputs = {
            name: TensorInfo(f"{call}:{i}", spec.dtype, spec.shape)
            for i, (name, spec) in enumerate(sorted(concrete.output_signature.items()))
        }
        return SignatureDef(infos, outputs, PREDICT, {})

    def _assets(self) -> Iterator[AssetFile]:
        """The path of each asset as a constant, which the loader replaces by the real one."""
        names = list(self.content.assets)
        for number, node in enumerate(self.content.objects.nodes):
            if isinstance(node.payload, Asset):
                name = names[node.payload.asset]
                self.captured[number] = self._text("Const", [name.encode()], scalar=True)
                yield AssetFile(TensorInfo(f"{self.captured[number]}:0", TEXT, SCALAR), name)

    def _initialization(self) -> None:
        calls = [f"^{self._call(name, {})}" for name in self.content.initializers]
        init = self.add("NoOp", "NoOp", calls)
        info = TensorInfo(init, TypeNumber(0), Shape(None))
        self.graph.signatures[INIT_OP] = SignatureDef({}, {INIT_OP: info}, "", {})

    def _saver(self) -> SaverDef:
        prefix = self.add("saver_filename", "Placeholder", (), {"dtype": TEXT, "shape": SCALAR})
        numbers = sorted(self.content.keys)
        keys = [self.content.keys[n].encode() for n in numbers]
        types = tuple(self._type(n) for n in numbers)
        names = self._text("save/tensor_names", keys)
        slices = self._text("save/shape_and_slices", [b""] * len(keys))
        saved = self._save(prefix, names, slices, numbers, types)
        restored = self._restore(prefix, names, slices, numbers, types)
        return SaverDef(f"{prefix}:0", f"{saved}:0", restored, False, 2)

    def _type(self, number: int) -> TypeNumber:
        payload = self.content.objects.nodes[number].payload
        assert isinstance(payload, Variable)
        return payload.dtype

    def _save(
        self,
        prefix: str,
        names: str,
        slices: str,
        numbers: Sequence[int],
        types: tuple[TypeNumber, ...],
    ) -> str:
        values = [
            self.add("save/ReadVariableOp", "ReadVariableOp", [self.captured[n]], {"dtype": t})
            for n, t in zip(numbers, types, strict=True)
        ]
        op = self.add("save/SaveV2", "SaveV2", [prefix, names, slices, *values], {"dtypes": types})
        return self.add("save/Identity", "Identity", [prefix, f"^{op}"], {"T": TEXT})

    def _restore(
        self,
        prefix: str,
        names: str,
        slices: str,
        numbers: Sequence[int],
        types: tuple[TypeNumber, ...],
    ) -> str:
        values = self.add("save/RestoreV2", "RestoreV2", [prefix, names, slices], {"dtypes": types})
        done = [
            self.add(
                "save/AssignVariableOp",
                "AssignVariableOp",
                [self.captured[n], f"{values}:{i}" if i else values],
                {"dtype": t},
            )
            for i, (n, t) in enumerate(zip(numbers, types, strict=True))
        ]
        return self.add("save/restore_all", "NoOp", [f"^{name}" for name in done])

    def _text(self, name: str, items: Sequence[bytes], *, scalar: bool = False) -> str:
        array = np.array(items, dtype=object)
        record: TensorRecord = from_numpy(array.reshape(()) if scalar else array)
        return self.add(name, "Const", (), {"value": record, "dtype": TEXT})
