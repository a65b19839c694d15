"""From a read SavedModel to live objects.

TensorFlow 2 files hold an object graph: its nodes become Python objects and its edges their
attributes. TensorFlow 1 files hold only signatures over one graph; `session.py` runs those, and
also the signatures of TensorFlow 2 files whose object graph cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import FormatError
from hozon.formats.protos.object_graph import (
    Asset,
    BareConcreteFunction,
    CapturedTensor,
    Constant,
    FunctionSpec as SavedFunctionSpec,
    SavedNode,
    UserObject,
)
from hozon.formats.protos.object_graph import ConcreteFunction as SavedConcreteFunction
from hozon.formats.protos.object_graph import Function as SavedFunction
from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.formats.protos.struct import TensorSpec
from hozon.graphs.library import CustomGradient, Library
from hozon.graphs.resources import Variable
from hozon.graphs.values import Value
from hozon.restored.functions import ConcreteFunction, Function, SignatureFunction
from hozon.restored.session import Session
from hozon.restored.signature import FunctionSpec
from hozon.restored.structures import flatten
from hozon.tensors.dtypes import dtype_of_number


class LoadedObject:
    """An object of the saved graph: its children are attributes.

    Callable when the saved object was: then `__call__` is its saved function.
    """

    def __init__(self, node_id: int, identifier: str) -> None:
        self._node_id = node_id
        self._identifier = identifier

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.__dict__.get("__call__")
        if function is None:
            raise TypeError(f"the saved object {self._identifier!r} has no __call__ function")
        return function(*args, **kwargs)

    def __repr__(self) -> str:
        names = ", ".join(n for n in self.__dict__ if not n.startswith("_"))
        return f"<hozon loaded object {self._identifier!r} ({names})>"


class LoadedModel(LoadedObject):
    """The root of a loaded SavedModel.

    `signatures` maps names to `SignatureFunction`s; `variables` lists all variables.
    """

    signatures: Mapping[str, SignatureFunction]
    variables: list[Variable]
    graph: ObjectGraphLoader | None


class Table:
    """A table, made and filled by its saved functions when a call first needs it."""

    def __init__(self, make: Callable[[], Any], fill: Callable[[], Any]) -> None:
        self._make = make
        self._fill = fill
        self._handle: Any = None

    def handle(self) -> Any:
        """The filled table."""
        if self._handle is None:
            self._handle = self._make()
            self._fill()
        return self._handle


class ObjectGraphLoader:
    """Makes the live object of each node of one object graph, once.

    `cell` may put something else in the place of a variable, given its node and the variable.
    """

    def __init__(
        self, artifact: SavedModel, cell: Callable[[int, Variable], Any] | None = None
    ) -> None:
        graph = artifact.meta_graph.object_graph
        if graph is None:
            raise FormatError("the SavedModel has no object graph", file=str(artifact.path))
        self.artifact = artifact
        self.nodes: Sequence[SavedNode] = graph.nodes
        self.concrete: Mapping[str, SavedConcreteFunction] = graph.concrete_functions
        definitions = artifact.meta_graph.graph.library
        self.library = Library(definitions, gradients=self._gradients())
        self.library.resources.read_asset = artifact.read_asset
        self.variables: list[Variable] = []
        self._cell = cell
        self._objects: dict[int, Any] = {}
        self._functions: dict[str, ConcreteFunction] = {}
        for node_id in range(len(self.nodes)):
            self.object(node_id)
        self._connect()

    def _gradients(self) -> dict[str, CustomGradient]:
        """The functions of custom gradients, with what they captured."""
        gradients = {}
        for kind, name in self.artifact.gradients().items():
            record = self.concrete.get(name)
            if record is None:
                gradients[kind] = CustomGradient(name)
                continue
            results = record.output_signature
            gradients[kind] = CustomGradient(
                name, tuple(map(self._gradient_capture, record.bound_inputs)),
                tuple(r is not None for r in results) if isinstance(results, list) else None,
            )  # fmt: skip
        return gradients

    def _gradient_capture(self, node_id: int) -> str | Callable[[], Value]:
        payload = self.nodes[node_id].payload
        if isinstance(payload, CapturedTensor):
            return payload.name
        return lambda: self.captured(node_id)

    def object(self, node_id: int) -> Any:
        """The live object of a node."""
        if node_id not in self._objects:
            self._objects[node_id] = self._make(node_id, self.nodes[node_id])
        return self._objects[node_id]

    def _make(self, node_id: int, node: SavedNode) -> Any:
        payload = node.payload
        if isinstance(payload, SavedVariable):
            return self._variable(node_id, payload)
        if isinstance(payload, SavedFunction):
            spec = function_spec(payload.spec)
            functions = [self.concrete_function(name) for name in payload.concrete_functions]
            return Function(self._name_of(functions), spec, functions)
        if isinstance(payload, BareConcreteFunction):
            return self.concrete_function(payload.name)
        if isinstance(payload, Constant):
            return self.artifact.constant(payload.operation)
        if isinstance(payload, Asset):
            return self.artifact.asset(payload.asset)
        if isinstance(payload, UserObject):
            return self._user_object(node_id, node, payload)
        return LoadedObject(node_id, type(payload).__name__)

    @staticmethod
    def _name_of(functions: Sequence[ConcreteFunction]) -> str:
        return functions[0].name if functions else "function without a trace"

    def _user_object(self, node_id: int, node: SavedNode, payload: UserObject) -> Any:
        if payload.identifier == "trackable_list_wrapper":
            return [None] * len(node.children)
        if payload.identifier in ("trackable_dict_wrapper", "signature_map"):
            return {}
        if payload.identifier == "trackable_tuple_wrapper":
            return [None] * len(node.children)
        kind = LoadedModel if node_id == 0 else LoadedObject
        return kind(node_id, payload.identifier)

    def _variable(self, node_id: int, payload: SavedVariable) -> Any:
        variable = Variable(
            self.artifact.variable_value(node_id, payload), name=payload.name,
            shape=payload.shape.dims, dtype=dtype_of_number(payload.dtype).numpy,
            trainable=payload.trainable,
        )  # fmt: skip
        self.variables.append(variable)
        return variable if self._cell is None else self._cell(node_id, variable)

    def _connect(self) -> None:
        for node_id, node in enumerate(self.nodes):
            target = self._objects[node_id]
            for edge in node.children:
                name, child = edge.name, self.object(edge.node)
                if isinstance(target, list):
                    if name.isdigit() and int(name) < len(target):
                        target[int(name)] = child
                elif isinstance(target, dict):
                    target[name] = child
                elif isinstance(target, LoadedObject):
                    target.__dict__[name] = child

    def concrete_function(self, name: str) -> ConcreteFunction:
        """The concrete function of a library name."""
        if name not in self._functions:
            record = self.concrete.get(name)
            if record is None:
                raise FormatError(
                    f"concrete function {name!r} is not described", file=str(self.artifact.path)
                )
            self._functions[name] = ConcreteFunction(
                name, self.library, name, record.input_signature, record.output_signature,
                self._captures(record.bound_inputs),
            )  # fmt: skip
        return self._functions[name]

    def _captures(self, node_ids: Sequence[int]) -> Callable[[], list[Value]]:
        return lambda: [self.captured(node_id) for node_id in node_ids]

    def captured(self, node_id: int) -> Value:
        """The value that a function captures from a node: variable, table, constant, path."""
        value = self.object(node_id)
        payload = self.nodes[node_id].payload
        if isinstance(payload, CapturedTensor):
            return self._captured_tensor(payload)
        if isinstance(value, LoadedObject):
            return self._table(node_id, value).handle()
        return value

    def _captured_tensor(self, payload: CapturedTensor) -> Value:
        record = self.concrete.get(payload.concrete_function)
        if record is None:
            raise FormatError(
                f"captured tensor {payload.name!r} belongs to no described function",
                file=str(self.artifact.path),
            )
        names = self.library.function(payload.concrete_function).argument_names
        offset = len(names) - len(record.bound_inputs)
        return self.captured(record.bound_inputs[names.index(payload.name) - offset])

    def _table(self, node_id: int, owner: LoadedObject) -> Table:
        if "_table" not in owner.__dict__:
            functions = owner.__dict__
            create = functions.get("_create_resource")
            if create is None:
                raise FormatError(
                    f"node {node_id} is captured as a resource but has no function that makes it",
                    file=str(self.artifact.path), record=f"node {node_id}",
                )  # fmt: skip
            fill = functions.get("_initialize", lambda: None)
            owner.__dict__["_table"] = Table(create, self._restorer(owner, fill))
        table: Table = owner.__dict__["_table"]
        return table

    def _restorer(self, owner: LoadedObject, fill: Callable[[], Any]) -> Callable[[], Any]:
        """Fill a table by its initializer, then with the entries that the checkpoint holds."""

        def restore() -> None:
            fill()
            entries = self.artifact.table_entries(owner._node_id)
            if entries is not None:
                owner.__dict__["_table"].handle().import_entries(*entries)

        return restore


def function_spec(record: SavedFunctionSpec | None) -> FunctionSpec:
    """The Python signature of a saved function."""
    if record is None:
        return FunctionSpec(varargs="args", varkw="kwargs")
    return FunctionSpec.from_saved(record.arguments, record.is_method)


def load(path: Any, tags: Any = None) -> LoadedModel:
    """Load a SavedModel at graph level; see `hozon.saved_model.load`."""
    return load_artifact(SavedModel.read(path, tags))


def load_artifact(artifact: SavedModel) -> LoadedModel:
    """The live graph-level objects of a SavedModel that has been read."""
    session = Session(artifact)
    if artifact.meta_graph.object_graph is None:
        return _from_session(session)
    loader = ObjectGraphLoader(artifact)
    root = loader.object(0)
    root.graph = loader
    root.variables = loader.variables
    saved = root.__dict__.get("signatures") or {}
    root.__dict__["signatures"] = dict(_signatures(loader, session, saved))
    return root  # type: ignore[no-any-return]


def _from_session(session: Session) -> LoadedModel:
    root = LoadedModel(0, "session graph")
    root.graph = None
    root.variables = session.variables
    root.signatures = session.signatures()
    return root


def _signatures(
    loader: ObjectGraphLoader, session: Session, saved: Mapping[str, ConcreteFunction]
) -> Iterator[tuple[str, SignatureFunction]]:
    for name, fallback in session.signatures().items():
        function = saved.get(name)
        yield name, fallback if function is None else _signature(name, function, fallback)


def _signature(
    name: str, function: ConcreteFunction, declared: SignatureFunction
) -> SignatureFunction:
    specs = {leaf.name: leaf for leaf in flatten(function.arguments) if isinstance(leaf, TensorSpec)}
    if set(specs) != set(declared.inputs):
        specs = dict(function.arguments[1]) or declared.inputs

    def run(values: Mapping[str, Value]) -> dict[str, Any]:
        outputs: dict[str, Any] = function.call_flat([values[key] for key in specs])
        return outputs

    return SignatureFunction(
        name, specs, declared.outputs, run, lambda: function.variables, declared.method
    )
