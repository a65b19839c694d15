"""The object graph of a SavedModel as plain records (saved_object_graph.proto)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos import object_graph_pb2 as pb
from hozon.formats.protos.graph_pb2 import VersionDef
from hozon.formats.protos.lazy import LazyMapping, LazySequence
from hozon.formats.protos.parse import check_count
from hozon.formats.protos.struct import Structure, decode_structure, encode_structure
from hozon.formats.protos.tensor import Shape, TypeNumber, decode_shape, encode_shape
from hozon.formats.protos.trackable import (
    Edge,
    SlotVariable,
    decode_edges,
    decode_slots,
    encode_edges,
    encode_slots,
    node_id,
)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of some code: who made it and who may read it."""

    producer: int
    min_consumer: int
    bad_consumers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class UserObject:
    """An object that some registered code revives. `metadata` of a Keras object is JSON."""

    identifier: str
    version: Version
    metadata: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the artifact: a position in the meta graph's assets."""

    asset: int


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """The Python signature of a function.

    `arguments` is its ``FullArgSpec`` (a `NamedTuple`); `jit_compile` is None where unset.
    """

    arguments: Structure
    is_method: bool
    input_signature: Structure
    jit_compile: bool | None


@dataclass(frozen=True, slots=True)
class Function:
    """A ``tf.function``: the names of its traces, and its Python signature."""

    concrete_functions: tuple[str, ...]
    spec: FunctionSpec | None


@dataclass(frozen=True, slots=True)
class BareConcreteFunction:
    """One trace as an object of its own, called with keywords (a signature is one)."""

    name: str
    keywords: tuple[str, ...]
    positional: int
    spec: FunctionSpec | None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable. `components` are the parts that a distribution strategy made of it."""

    dtype: TypeNumber
    shape: Shape
    trainable: bool
    synchronization: int
    aggregation: int
    name: str
    device: str
    components: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant: the name of its ``Const`` node in the graph."""

    operation: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A table or another resource, which functions create, initialize and destroy."""

    device: str


@dataclass(frozen=True, slots=True)
class CapturedTensor:
    """A tensor that a function captured, by its name inside `concrete_function`."""

    name: str
    concrete_function: str


Payload = (
    UserObject
    | Asset
    | Function
    | BareConcreteFunction
    | Variable
    | Constant
    | Resource
    | CapturedTensor
)


@dataclass(frozen=True, slots=True)
class SaveableFunctions:
    """The functions (nodes) that save and restore a part of an object."""

    save: int
    restore: int


@dataclass(frozen=True, slots=True)
class SavedNode:
    """One object. `kind` is the payload's field name in SavedObject, "" for none.

    `user_proto` is (type URL, bytes) of what the object's class wrote about itself.
    """

    kind: str
    payload: Payload | None
    children: tuple[Edge, ...]
    dependencies: tuple[Edge, ...]
    slot_variables: tuple[SlotVariable, ...]
    saveables: Mapping[str, SaveableFunctions]
    registered_name: str
    registered_saver: str
    user_proto: tuple[str, bytes] | None


@dataclass(frozen=True, slots=True)
class ConcreteFunction:
    """What a concrete function takes, gives, and is bound to.

    `bound_inputs` are nodes, given after the arguments; `input_signature` is a pair of a tuple
    and a dict (positional and keyword arguments), `output_signature` any structure of specs.
    """

    bound_inputs: tuple[int, ...]
    input_signature: Structure
    output_signature: Structure


@dataclass(frozen=True, slots=True)
class SavedObjectGraph:
    """The objects of a SavedModel, of which the first is the root, and its functions by name."""

    nodes: Sequence[SavedNode]
    concrete_functions: Mapping[str, ConcreteFunction]


def decode_object_graph(message: Any, file: str | None = None) -> SavedObjectGraph:
    """A `SavedObjectGraph`; nodes and functions are decoded when first read.

    Reading a node raises FormatError when it refers to a node that does not exist.
    """
    count = len(message.nodes)
    check_count(count, "object graph", file)
    functions = message.concrete_functions
    return SavedObjectGraph(
        LazySequence(message.nodes, lambda node, i: _node(node, i, count), file),
        LazyMapping(functions, lambda function: _concrete(function, count), file),
    )


def _node(message: Any, position: int, count: int) -> SavedNode:
    kind = message.WhichOneof("kind") or ""
    proto = message.serialized_user_proto
    return SavedNode(
        kind=kind,
        payload=_PAYLOADS[kind](getattr(message, kind)) if kind else None,
        children=decode_edges(message.children, position, count),
        dependencies=decode_edges(message.dependencies, position, count),
        slot_variables=decode_slots(message.slot_variables, position, count),
        saveables=_saveables(message.saveable_objects, position, count),
        registered_name=message.registered_name,
        registered_saver=message.registered_saver,
        user_proto=(
            (proto.type_url, proto.value) if message.HasField("serialized_user_proto") else None
        ),
    )


def _saveables(messages: Any, owner: int, count: int) -> dict[str, SaveableFunctions]:
    return {
        name: SaveableFunctions(
            node_id(messages[name].save_function, owner, count),
            node_id(messages[name].restore_function, owner, count),
        )
        for name in sorted(messages)
    }


def _concrete(message: Any, count: int) -> ConcreteFunction:
    return ConcreteFunction(
        tuple(node_id(number, -1, count) for number in message.bound_inputs),
        decode_structure(message.canonicalized_input_signature),
        decode_structure(message.output_signature),
    )


def _user_object(message: Any) -> UserObject:
    return UserObject(message.identifier, decode_version(message.version), message.metadata)


def decode_version(message: Any) -> Version:
    """A `Version` of a ``VersionDef``."""
    return Version(message.producer, message.min_consumer, tuple(message.bad_consumers))


def _spec(owner: Any) -> FunctionSpec | None:
    if not owner.HasField("function_spec"):
        return None
    message = owner.function_spec
    return FunctionSpec(
        decode_structure(message.fullargspec),
        message.is_method,
        decode_structure(message.input_signature),
        {1: True, 2: False}.get(message.jit_compile),
    )


def _function(message: Any) -> Function:
    return Function(tuple(message.concrete_functions), _spec(message))


def _bare(message: Any) -> BareConcreteFunction:
    return BareConcreteFunction(
        message.concrete_function_name,
        tuple(message.argument_keywords),
        message.allowed_positional_arguments,
        _spec(message),
    )


def _variable(message: Any) -> Variable:
    components = message.experimental_distributed_variable_components
    return Variable(
        TypeNumber(message.dtype),
        decode_shape(message.shape),
        message.trainable,
        message.synchronization,
        message.aggregation,
        message.name,
        message.device,
        tuple(map(_variable, components)),
    )


_PAYLOADS: Mapping[str, Any] = {
    "user_object": _user_object,
    "asset": lambda m: Asset(m.asset_file_def_index),
    "function": _function,
    "bare_concrete_function": _bare,
    "variable": _variable,
    "constant": lambda m: Constant(m.operation),
    "resource": lambda m: Resource(m.device),
    "captured_tensor": lambda m: CapturedTensor(m.name, m.concrete_function),
}


def encode_object_graph(graph: SavedObjectGraph) -> Any:
    """The ``SavedObjectGraph`` message of a `SavedObjectGraph`."""
    return pb.SavedObjectGraph(
        nodes=map(_encode_saved_node, graph.nodes),
        concrete_functions={
            name: _encode_concrete(function) for name, function in graph.concrete_functions.items()
        },
    )


def encode_version(version: Version) -> Any:
    """The ``VersionDef`` of a `Version`."""
    return VersionDef(
        producer=version.producer,
        min_consumer=version.min_consumer,
        bad_consumers=version.bad_consumers,
    )


def _encode_saved_node(node: SavedNode) -> Any:
    message = pb.SavedObject(
        children=encode_edges(node.children),
        dependencies=encode_edges(node.dependencies),
        slot_variables=encode_slots(node.slot_variables),
        saveable_objects={
            name: pb.SaveableObject(save_function=s.save, restore_function=s.restore)
            for name, s in node.saveables.items()
        },
        registered_name=node.registered_name,
        registered_saver=node.registered_saver,
    )
    if node.kind:
        getattr(message, node.kind).CopyFrom(_PAYLOAD_ENCODERS[node.kind](node.payload))
    if node.user_proto is not None:
        type_url, value = node.user_proto
        message.serialized_user_proto.CopyFrom(pb.AnyProto(type_url=type_url, value=value))
    return message


def _encode_concrete(function: ConcreteFunction) -> Any:
    return pb.SavedConcreteFunction(
        bound_inputs=function.bound_inputs,
        canonicalized_input_signature=encode_structure(function.input_signature),
        output_signature=encode_structure(function.output_signature),
    )


def _encode_spec(spec: FunctionSpec | None) -> Any:
    if spec is None:
        return None
    return pb.FunctionSpec(
        fullargspec=encode_structure(spec.arguments),
        is_method=spec.is_method,
        input_signature=encode_structure(spec.input_signature),
        jit_compile={None: 0, True: 1, False: 2}[spec.jit_compile],
    )


def _encode_variable(variable: Variable) -> Any:
    return pb.SavedVariable(
        dtype=int(variable.dtype),
        shape=encode_shape(variable.shape),
        trainable=variable.trainable,
        synchronization=variable.synchronization,
        aggregation=variable.aggregation,
        name=variable.name,
        device=variable.device,
        experimental_distributed_variable_components=map(_encode_variable, variable.components),
    )


def _encode_user_object(user: UserObject) -> Any:
    return pb.SavedUserObject(
        identifier=user.identifier, version=encode_version(user.version), metadata=user.metadata
    )


def _encode_function(function: Function) -> Any:
    return pb.SavedFunction(
        concrete_functions=function.concrete_functions, function_spec=_encode_spec(function.spec)
    )


def _encode_bare(function: BareConcreteFunction) -> Any:
    return pb.SavedBareConcreteFunction(
        concrete_function_name=function.name,
        argument_keywords=function.keywords,
        allowed_positional_arguments=function.positional,
        function_spec=_encode_spec(function.spec),
    )


_PAYLOAD_ENCODERS: Mapping[str, Any] = {
    "user_object": _encode_user_object,
    "asset": lambda p: pb.SavedAsset(asset_file_def_index=p.asset),
    "function": _encode_function,
    "bare_concrete_function": _encode_bare,
    "variable": _encode_variable,
    "constant": lambda p: pb.SavedConstant(operation=p.operation),
    "resource": lambda p: pb.SavedResource(device=p.device),
    "captured_tensor": lambda p: pb.CapturedTensor(
        name=p.name, concrete_function=p.concrete_function
    ),
}
