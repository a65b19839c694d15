"""From a read SavedModel to live objects.

TensorFlow 2 files hold an object graph: its nodes become Python objects and its edges their
attributes. TensorFlow 1 files hold only signatures over one graph; `session.py` runs those, and
also the signatures of TensorFlow 2 files whose object graph cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import FormatError, MissingSignatureError
from hozon.formats.protos.graph import ArgDef
from hozon.formats.protos.object_graph import (
    Asset,
    BareConcreteFunction,
    CapturedTensor,
    Constant,
    SavedNode,
    UserObject,
)
from hozon.formats.protos.object_graph import ConcreteFunction as SavedConcreteFunction
from hozon.formats.protos.object_graph import Function as SavedFunction
from hozon.formats.protos.object_graph import (
    FunctionSpec as SavedFunctionSpec,
)
from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.formats.protos.struct import TensorSpec
from hozon.formats.protos.tensor import TypeNumber
from hozon.graph_level.functions import ConcreteFunction, Function, SignatureFunction
from hozon.graph_level.matching import ANY_SHAPE, is_spec
from hozon.graph_level.session import Session
from hozon.graph_level.signature import FunctionSpec
from hozon.graphs.library import PREPARING, CustomGradient, Library
from hozon.graphs.resources import Variable
from hozon.graphs.values import Value
from hozon.stored.dtypes import dtype_of_number

#: How TensorFlow names a trace of a Python function.
TRACE_NAME = re.compile(r"^__inference_(.+?)_\d+$")
#: Identifiers of the containers that TensorFlow tracks (trackable/data_structures.py).
LIST = "trackable_list_wrapper"
TUPLE = "trackable_tuple_wrapper"
DICTIONARIES = frozenset({"trackable_dict_wrapper", "signature_map"})


class LoadedObject:
    """An object of the saved graph: its children are attributes.

    Callable when the saved object was: then `__call__` is its saved function.
    """

    __slots__ = ("__dict__", "__weakref__", "_identifier", "_node_id")

    def __init__(self, node_id: int, identifier: str) -> None:
        self._node_id = node_id
        self._identifier = identifier

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the saved `__call__` function."""
        return self._function(*args, **kwargs)

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """The saved `__call__` as a pure function of the values of its own variables.

        Returns ``(outputs, new_values)``; `LoadedModel` takes the values of all its variables.
        """
        return self._function.stateless_call(values, *args, **kwargs)

    @property
    def _function(self) -> ConcreteFunction | Function:
        function: ConcreteFunction | Function | None = self.__dict__.get("__call__")
        if function is None:
            raise TypeError(f"the saved object {self._identifier!r} has no __call__ function")
        return function

    def __repr__(self) -> str:
        names = ", ".join(n for n in self.__dict__ if not n.startswith("_"))
        return f"<hozon loaded object {self._identifier!r} ({names})>"


class Signatures(dict[str, SignatureFunction]):
    """The signatures by name; a name that is none of them says which is meant."""

    def __missing__(self, name: object) -> SignatureFunction:
        raise MissingSignatureError(name, [*self])


class LoadedModel(LoadedObject):
    """The root of a loaded SavedModel.

    `signatures` maps names to `SignatureFunction`s; `variables` lists all variables.
    """

    __slots__ = ("_signatures", "_variables")

    def __init__(
        self,
        identifier: str,
        signatures: Mapping[str, SignatureFunction],
        variables: Callable[[], list[Variable]],
        attributes: Mapping[str, Any],
    ) -> None:
        super().__init__(0, identifier)
        self._signatures = Signatures(signatures)
        self._variables = variables
        self.__dict__.update(attributes)

    @property
    def signatures(self) -> dict[str, SignatureFunction]:
        """The serving signatures by name."""
        return self._signatures

    @property
    def variables(self) -> list[Variable]:
        """All variables; those of a TensorFlow 1 graph are restored when first asked for."""
        return self._variables()

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """The saved `__call__` as a pure function of the values of `self.variables`.

        Returns ``(outputs, new_values)``.
        """
        return self._function.stateless_over(self.variables, values, *args, **kwargs)


class Table:
    """A table, made and filled by its saved functions when a call first needs it."""

    def __init__(self, make: Callable[[], Any], fill: Callable[[Any], None]) -> None:
        self._make = make
        self._fill = fill
        self._handle: Any = None
        self._busy = False

    def handle(self) -> Any:
        """The filled table. The function that fills it asks for it too, while it is empty."""
        if self._handle is None:
            if self._busy:
                raise FormatError("the function that makes a table needs the table itself")
            self._busy = True
            try:
                with jax.ensure_compile_time_eval():
                    self._handle = self._make()
                    self._fill(self._handle)
            except BaseException:
                self._handle = None
                raise
            finally:
                self._busy = False
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
            raise FormatError("the SavedModel has no object graph", file=artifact.file)
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
        self._tables: dict[int, Table] = {}
        self._open: set[object] = set()
        for node_id in range(len(self.nodes)):
            self.object(node_id)
        self._connect()

    @contextmanager
    def _within(self, step: object, what: str) -> Iterator[None]:
        """Refuse to come back to a step before it is done."""
        if step in self._open:
            raise FormatError(f"{what} contains itself", file=self.artifact.file, record=what)
        self._open.add(step)
        try:
            yield
        finally:
            self._open.discard(step)

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
                name,
                tuple(map(self._gradient_capture, record.bound_inputs)),
                tuple(r is not None for r in results) if isinstance(results, list) else None,
            )
        return gradients

    def _gradient_capture(self, node_id: int) -> str | Callable[[], Value]:
        payload = self.nodes[node_id].payload
        if isinstance(payload, CapturedTensor):
            return payload.name
        return lambda: self.captured(node_id)

    def object(self, node_id: int) -> Any:
        """The live object of a node."""
        if node_id not in self._objects:
            with self._within(("object", node_id), f"node {node_id}"):
                self._objects[node_id] = self._make(node_id, self.nodes[node_id])
        return self._objects[node_id]

    def _make(self, node_id: int, node: SavedNode) -> Any:
        payload = node.payload
        if isinstance(payload, SavedVariable):
            return self._variable(node_id, payload)
        if isinstance(payload, SavedFunction):
            spec = function_spec(payload.spec)
            functions = [self.concrete_function(name) for name in payload.concrete_functions]
            name = trace_name(functions[0].name) if functions else "function"
            return Function(name, spec, functions)
        if isinstance(payload, BareConcreteFunction):
            return self.concrete_function(payload.name)
        if isinstance(payload, Constant):
            return self.artifact.constant(payload.operation)
        if isinstance(payload, Asset):
            return self.artifact.asset(payload.asset)
        if isinstance(payload, UserObject):
            return self._user_object(node_id, node, payload)
        return LoadedObject(node_id, type(payload).__name__)

    def _user_object(self, node_id: int, node: SavedNode, payload: UserObject) -> Any:
        if payload.identifier == LIST:
            return [None] * len(_numbered(node))
        if payload.identifier == TUPLE:
            return tuple(map(self.object, _numbered(node)))
        if payload.identifier in DICTIONARIES:
            return {}
        return LoadedObject(node_id, payload.identifier)

    def _variable(self, node_id: int, payload: SavedVariable) -> Any:
        variable = Variable(
            self.artifact.variable_value(node_id, payload),
            name=payload.name,
            shape=payload.shape.dims,
            dtype=dtype_of_number(payload.dtype).numpy,
            trainable=payload.trainable,
        )
        made = variable if self._cell is None else self._cell(node_id, variable)
        self.variables.append(made)
        return made

    def _connect(self) -> None:
        for node_id, node in enumerate(self.nodes):
            target = self._objects[node_id]
            if isinstance(target, list):
                target[:] = map(self.object, _numbered(node))
            elif isinstance(target, dict):
                target.update(self.children(node))
            elif isinstance(target, LoadedObject):
                target.__dict__.update(self.children(node))

    def children(self, node: SavedNode) -> dict[str, Any]:
        """The live objects that a node's edges lead to, by name."""
        return {edge.name: self.object(edge.node) for edge in node.children}

    def concrete_function(self, name: str) -> ConcreteFunction:
        """The concrete function of a library name."""
        if name not in self._functions:
            record = self.concrete.get(name)
            if record is None:
                raise FormatError(
                    f"concrete function {name!r} is not described", file=self.artifact.file
                )
            self._functions[name] = ConcreteFunction(
                name,
                self.library,
                name,
                *self._structures(name, record),
                self._captures(record.bound_inputs),
            )
        return self._functions[name]

    def _structures(self, name: str, record: SavedConcreteFunction) -> tuple[Any, Any]:
        """What a concrete function takes and gives.

        A function that was cut out of another one (``prune``) has no structure but its tensors.
        """
        arguments, outputs = record.input_signature, record.output_signature
        if arguments is None or outputs is None:
            definition = self.library.records.get(name)
            if definition is None:
                raise FormatError(
                    f"concrete function {name!r} is not defined", file=self.artifact.file
                )
            if arguments is None:
                count = len(definition.inputs) - len(record.bound_inputs)
                keywords = self._keywords.get(name, ())
                arguments = (tuple(_unshaped(definition.inputs[:count], keywords)), {})
            if outputs is None and definition.outputs:
                outputs = list(_unshaped(definition.outputs, ()))
        _require_call(name, arguments, self.artifact)
        return arguments, outputs

    @cached_property
    def _keywords(self) -> Mapping[str, Sequence[str]]:
        """The names of the arguments of concrete functions that are objects of their own."""
        payloads = [node.payload for node in self.nodes]
        return {p.name: p.keywords for p in payloads if isinstance(p, BareConcreteFunction)}

    def _captures(self, node_ids: Sequence[int]) -> Callable[[], list[Value]]:
        return lambda: [self.captured(node_id) for node_id in node_ids]

    def captured(self, node_id: int) -> Value:
        """The value that a function captures from a node: variable, table, constant, path."""
        value = self._objects.get(node_id)
        if value is None or isinstance(value, LoadedObject):
            with PREPARING:
                return self._captured(node_id)
        return value

    def _captured(self, node_id: int) -> Value:
        value = self.object(node_id)
        payload = self.nodes[node_id].payload
        if isinstance(payload, CapturedTensor):
            with self._within(("capture", node_id), f"node {node_id}"):
                return self._captured_tensor(payload)
        if isinstance(value, LoadedObject):
            return self._table(node_id, value).handle()
        return value

    def _captured_tensor(self, payload: CapturedTensor) -> Value:
        record = self.concrete.get(payload.concrete_function)
        captures: tuple[int, ...] = record.bound_inputs if record is not None else ()
        if captures:
            names = self.library.function(payload.concrete_function).argument_names
            found = dict(zip(names[-len(captures) :], captures, strict=False))
            if payload.name in found:
                return self.captured(found[payload.name])
        raise FormatError(
            f"captured tensor {payload.name!r} is not one of function "
            f"{payload.concrete_function!r}",
            file=self.artifact.file,
            record=payload.name,
        )

    def _table(self, node_id: int, owner: LoadedObject) -> Table:
        if node_id not in self._tables:
            functions = owner.__dict__
            create = functions.get("_create_resource")
            if not callable(create):
                raise FormatError(
                    f"node {node_id} is captured as a resource but has no function that makes it",
                    file=self.artifact.file,
                    record=f"node {node_id}",
                )
            self._tables[node_id] = Table(create, self._filler(node_id, functions))
        return self._tables[node_id]

    def _filler(self, node_id: int, functions: Mapping[str, Any]) -> Callable[[Any], None]:
        """Fill a table by its initializer, then with the entries that the checkpoint holds."""

        def fill(table: Any) -> None:
            initialize = functions.get("_initialize")
            if callable(initialize):
                initialize()
            entries = self.artifact.table_entries(node_id)
            if entries is not None:
                table.import_entries(*entries)

        return fill


def _unshaped(tensors: Sequence[ArgDef], names: Sequence[str]) -> Iterator[TensorSpec]:
    """Specs of tensors of any shape, under names of their own or those of the function."""
    named = [*names, *(tensor.name for tensor in tensors[len(names) :])]
    for tensor, name in zip(tensors, named, strict=False):
        yield TensorSpec(ANY_SHAPE, tensor.type or TypeNumber(0), name)


def trace_name(name: str) -> str:
    """The name of the Python function that a trace was made of."""
    return TRACE_NAME.sub(r"\1", name)


def _numbered(node: SavedNode) -> list[int]:
    """The children of a list or tuple in order; other edges of it are bookkeeping."""
    edges = [(int(edge.name), edge.node) for edge in node.children if edge.name.isdecimal()]
    return [child for _, child in sorted(edges)]


def _require_call(name: str, signature: Any, artifact: SavedModel) -> None:
    """Raise FormatError unless a signature is a pair of positional and keyword arguments."""
    parts = signature if isinstance(signature, (list, tuple)) and len(signature) == 2 else (0, 0)
    if not (isinstance(parts[0], (list, tuple)) and isinstance(parts[1], Mapping)):
        raise FormatError(
            f"the signature of {name!r} is no pair of positional and keyword arguments",
            file=artifact.file,
            record=name,
        )


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
        return session_model(session)
    return object_model(ObjectGraphLoader(artifact), session)


def session_model(session: Session) -> LoadedModel:
    """The root that stands for a graph without objects."""
    return LoadedModel("session graph", session.signatures(), lambda: session.variables, {})


def object_model(loader: ObjectGraphLoader, session: Session) -> LoadedModel:
    """The root of an object graph, with the signatures that the meta graph declares."""
    identifier, attributes = _root(loader)
    saved = attributes.pop("signatures", {})
    signatures = _signatures(session, saved if isinstance(saved, dict) else {})
    return LoadedModel(identifier, dict(signatures), lambda: loader.variables, attributes)


def _root(loader: ObjectGraphLoader) -> tuple[str, dict[str, Any]]:
    """The kind of the root and its attributes; a root that is a function is called as one."""
    root = loader.nodes[0] if loader.nodes else None
    if root is not None and isinstance(root.payload, UserObject):
        return root.payload.identifier, loader.children(root)
    function = None if root is None else loader.object(0)
    if root is None or not isinstance(function, (ConcreteFunction, Function)):
        raise FormatError(
            "the root of the object graph is neither an object nor a function",
            file=loader.artifact.file,
            record="node 0",
        )
    return function.name, {**loader.children(root), "__call__": function}


def _signatures(
    session: Session, saved: Mapping[str, Any]
) -> Iterator[tuple[str, SignatureFunction]]:
    for name, declared in session.signatures().items():
        function = saved.get(name)
        if isinstance(function, ConcreteFunction):
            yield name, _signature(name, function, declared)
        else:
            yield name, declared


def _signature(
    name: str, function: ConcreteFunction, declared: SignatureFunction
) -> SignatureFunction:
    """A signature that runs its concrete function, whose tensors are keyword arguments."""
    keywords: Mapping[str, Any] = function.arguments[1]
    specs = {key: spec for key, spec in keywords.items() if is_spec(spec)}
    if function.arguments[0] or set(specs) != set(declared.inputs):
        return declared

    return SignatureFunction(
        name,
        specs,
        declared.outputs,
        FunctionRunner(function, sorted(specs)),
        declared.method,
        declared.defaults,
    )


@dataclass(frozen=True, slots=True)
class FunctionRunner:
    """Runs a signature by its concrete function; `keys`: its inputs in flat order."""

    function: ConcreteFunction
    keys: Sequence[str]

    @property
    def variables(self) -> list[Variable]:
        """The variables that the function captures."""
        return self.function.variables

    @property
    def changes_state(self) -> bool:
        """Whether the function changes what it captures."""
        return self.function.changes_state

    @property
    def needs_host(self) -> bool:
        """Whether the function looks at data where JAX cannot compile."""
        return self.function.needs_host

    def run(self, inputs: Mapping[str, list[Value]]) -> dict[str, Any]:
        """Run, and commit what is assigned."""
        outputs: dict[str, Any] = self.function.call_flat(self._flat(inputs))
        return outputs

    def run_stateless(
        self, values: Sequence[Value], inputs: Mapping[str, list[Value]]
    ) -> tuple[dict[str, Any], list[Value]]:
        """Run as a pure function of the values of `variables`."""
        result: tuple[dict[str, Any], list[Value]] = self.function.stateless_flat(
            values, self._flat(inputs)
        )
        return result

    def _flat(self, inputs: Mapping[str, list[Value]]) -> list[Value]:
        return [part for key in self.keys for part in inputs[key]]
