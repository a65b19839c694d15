"""Graphs, nodes, attributes and functions as plain records (TensorFlow's graph.proto and kin)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.errors import FormatError
from hozon.formats.protos import graph_pb2
from hozon.formats.protos.lazy import LazyMapping, LazySequence
from hozon.formats.protos.parse import check_count, parse_message, parse_text
from hozon.formats.protos.tensor import (
    ResourceHandle,
    Shape,
    TensorRecord,
    TypeNumber,
    VariantRecord,
    decode_handle_data,
    decode_shape,
    decode_tensor,
    encode_handle_data,
    encode_shape,
    encode_tensor,
)

__all__ = [
    "ArgDef",
    "AttrPlaceholder",
    "AttrValue",
    "Attrs",
    "FunctionDef",
    "FunctionLibrary",
    "FunctionRef",
    "GraphDef",
    "NodeDef",
    "ResourceHandle",
    "Shape",
    "TensorRecord",
    "TypeNumber",
    "VariantRecord",
    "decode_attr",
    "decode_attrs",
    "decode_function",
    "decode_graph",
    "decode_library",
    "decode_node",
    "encode_attr",
    "encode_function",
    "encode_graph",
    "encode_library",
    "encode_node",
    "parse_graph",
]


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function named in an attribute, with the attributes it is to be called with."""

    name: str
    attrs: Mapping[str, AttrValue]


@dataclass(frozen=True, slots=True)
class AttrPlaceholder:
    """An attribute that takes the value of attribute `name` of the enclosing function."""

    name: str


#: A plain attribute value; None is an attribute without a value, a tuple a list.
AttrValue = Any
Attrs = Mapping[str, AttrValue]


@dataclass(frozen=True, slots=True)
class NodeDef:
    """One operation as the file states it. `inputs` are still spelled as in the file."""

    name: str
    op: str
    inputs: tuple[str, ...]
    device: str
    attrs: Attrs


@dataclass(frozen=True, slots=True)
class ArgDef:
    """An argument or result of a function.

    `type` is resolved through the function's attributes where the signature only names one;
    an unresolved one is 0. `types` is the list of a multi-tensor argument, else empty.
    `handle_data` says what a resource argument holds.
    """

    name: str
    type: TypeNumber
    types: tuple[TypeNumber, ...] = ()
    is_ref: bool = False
    handle_data: tuple[tuple[TypeNumber, Shape], ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionDef:
    """A function: arguments, results, nodes, and which node output each result is.

    `ret` maps result names to values, `control_ret` control result names to nodes. `arg_attrs`
    and `resource_arg_unique_ids` are by argument position.
    """

    name: str
    inputs: tuple[ArgDef, ...]
    outputs: tuple[ArgDef, ...]
    nodes: Sequence[NodeDef]
    ret: Mapping[str, str]
    control_ret: Mapping[str, str]
    attrs: Attrs
    arg_attrs: Mapping[int, Attrs]
    resource_arg_unique_ids: Mapping[int, int]
    is_stateful: bool = False


@dataclass(frozen=True, slots=True)
class FunctionLibrary(Mapping[str, FunctionDef]):
    """The functions of a graph by name, each decoded when first asked for.

    `gradients` maps a function to the function of its gradient; `registered_gradients` maps a
    gradient op type (a node's ``_gradient_op_type``) to the function that computes it.
    """

    functions: Mapping[str, FunctionDef]
    gradients: Mapping[str, str]
    registered_gradients: Mapping[str, str]

    def __getitem__(self, name: str) -> FunctionDef:
        return self.functions[name]

    def __contains__(self, name: object) -> bool:
        return name in self.functions

    def __iter__(self) -> Any:
        return iter(self.functions)

    def __len__(self) -> int:
        return len(self.functions)


@dataclass(frozen=True, slots=True)
class GraphDef:
    """A graph: its nodes, its functions and the version of the ops it was made with."""

    nodes: Sequence[NodeDef]
    library: FunctionLibrary
    producer: int
    min_consumer: int


def decode_attr(message: Any) -> AttrValue:
    """The plain value of an ``AttrValue``."""
    kind = message.WhichOneof("value")
    return None if kind is None else _ATTR_KINDS[kind](getattr(message, kind))


def decode_attrs(messages: Any) -> Attrs:
    """The attributes of a node or function, each decoded when first read."""
    return LazyMapping(messages, decode_attr)


def decode_node(message: Any, _position: int = 0) -> NodeDef:
    """A `NodeDef`."""
    return NodeDef(
        message.name, message.op, tuple(message.input), message.device, decode_attrs(message.attr)
    )


def decode_function(message: Any, file: str | None = None) -> FunctionDef:
    """A `FunctionDef`.

    Raises FormatError when a result has no value.
    """
    signature = message.signature
    attrs = decode_attrs(message.attr)
    outputs = tuple(_argument(arg, attrs) for arg in signature.output_arg)
    ret = dict(message.ret)
    for output in outputs:
        if output.name not in ret:
            raise FormatError(
                f"function {signature.name!r} does not say what its result {output.name!r} is",
                record=signature.name,
            )
    return FunctionDef(
        name=signature.name,
        inputs=tuple(_argument(arg, attrs) for arg in signature.input_arg),
        outputs=outputs,
        nodes=LazySequence(message.node_def, decode_node, file),
        ret=ret,
        control_ret={name: message.control_ret[name] for name in sorted(message.control_ret)},
        attrs=attrs,
        arg_attrs={i: decode_attrs(message.arg_attr[i].attr) for i in sorted(message.arg_attr)},
        resource_arg_unique_ids=dict(message.resource_arg_unique_id),
        is_stateful=signature.is_stateful,
    )


def decode_library(message: Any, file: str | None = None) -> FunctionLibrary:
    """A `FunctionLibrary`.

    Raises FormatError when two different functions share a name.
    """
    registered = message.registered_gradients
    return FunctionLibrary(
        LazyMapping(
            _by_name(message.function, file), lambda function: decode_function(function, file), file
        ),
        {item.function_name: item.gradient_func for item in message.gradient},
        {item.registered_op_type: item.gradient_func for item in registered},
    )


def _by_name(messages: Any, file: str | None) -> dict[str, Any]:
    functions: dict[str, Any] = {}
    for message in messages:
        name = message.signature.name
        first = functions.setdefault(name, message)
        if first is not message and first != message:
            raise FormatError(
                "the graph's library defines a function twice and differently",
                file=file,
                record=name,
            )
    return functions


def parse_graph(data: bytes, *, file: str | None = None) -> GraphDef:
    """The `GraphDef` of serialized bytes (a frozen graph, or one made by a tool).

    Raises FormatError when they are damaged or something else.
    """
    return decode_graph(parse_message(graph_pb2.GraphDef, data, file=file, record="GraphDef"), file)


def parse_graph_text(data: bytes, *, file: str | None = None) -> GraphDef:
    """A `GraphDef` in protobuf's text form."""
    return decode_graph(parse_text(graph_pb2.GraphDef, data, file=file, record="GraphDef"), file)


def decode_graph(message: Any, file: str | None = None) -> GraphDef:
    """A `GraphDef`; its nodes and functions are decoded when first read.

    Raises FormatError when it has more nodes than `LIMITS` allow.
    """
    library = message.library
    count = len(message.node) + sum(len(function.node_def) for function in library.function)
    check_count(count, "graph", file)
    return GraphDef(
        LazySequence(message.node, decode_node, file),
        decode_library(library, file),
        message.versions.producer or message.version,
        message.versions.min_consumer,
    )


def _argument(message: Any, attrs: Attrs) -> ArgDef:
    type_number = message.type or _type_attr(attrs, message.type_attr)
    types = _type_list(attrs, message)
    return ArgDef(
        message.name,
        TypeNumber(type_number),
        types,
        message.is_ref,
        decode_handle_data(message.handle_data),
    )


def _type_attr(attrs: Attrs, name: str) -> int:
    value = attrs.get(name) if name else None
    return value if isinstance(value, TypeNumber) else 0


def _type_list(attrs: Attrs, message: Any) -> tuple[TypeNumber, ...]:
    value = attrs.get(message.type_list_attr) if message.type_list_attr else None
    return value if isinstance(value, tuple) else ()


def _function_ref(message: Any) -> FunctionRef:
    return FunctionRef(message.name, decode_attrs(message.attr))


def _list(message: Any) -> tuple[AttrValue, ...]:
    for name in _LIST_KINDS:
        items = getattr(message, name)
        if items:
            return tuple(map(_ATTR_KINDS[name], items))
    return ()


_LIST_KINDS = ("s", "i", "f", "b", "type", "shape", "tensor", "func")
_ATTR_KINDS: Mapping[str, Any] = {
    "s": bytes,
    "i": int,
    "f": float,
    "b": bool,
    "type": TypeNumber,
    "shape": decode_shape,
    "tensor": decode_tensor,
    "func": _function_ref,
    "placeholder": AttrPlaceholder,
    "list": _list,
}


def encode_attr(value: AttrValue) -> Any:
    """The ``AttrValue`` of a plain value, the inverse of `decode_attr`."""
    if isinstance(value, tuple):
        return graph_pb2.AttrValue(list=_encode_list(value))
    if value is None:
        return graph_pb2.AttrValue()
    field, encode = _attr_encoder(value)
    return graph_pb2.AttrValue(**{field: encode(value)})


def encode_attrs(attrs: Attrs) -> dict[str, Any]:
    """The attributes of a node or function."""
    return {name: encode_attr(value) for name, value in attrs.items()}


def encode_node(node: NodeDef) -> Any:
    """The ``NodeDef`` message of a `NodeDef`."""
    return graph_pb2.NodeDef(
        name=node.name,
        op=node.op,
        input=node.inputs,
        device=node.device,
        attr=encode_attrs(node.attrs),
    )


def encode_function(function: FunctionDef) -> Any:
    """The ``FunctionDef`` message of a `FunctionDef`; its arguments' types are written out."""
    signature = graph_pb2.OpDef(
        name=function.name,
        input_arg=map(_encode_argument, function.inputs),
        output_arg=map(_encode_argument, function.outputs),
        is_stateful=function.is_stateful,
        control_output=sorted(function.control_ret),
    )
    argument_attrs = {
        position: graph_pb2.FunctionDef.ArgAttrs(attr=encode_attrs(attrs))
        for position, attrs in function.arg_attrs.items()
    }
    return graph_pb2.FunctionDef(
        signature=signature,
        node_def=map(encode_node, function.nodes),
        ret=function.ret,
        control_ret=function.control_ret,
        attr=encode_attrs(function.attrs),
        arg_attr=argument_attrs,
        resource_arg_unique_id=function.resource_arg_unique_ids,
    )


def encode_library(library: FunctionLibrary) -> Any:
    """The ``FunctionDefLibrary`` of a `FunctionLibrary`."""
    return graph_pb2.FunctionDefLibrary(
        function=map(encode_function, library.functions.values()),
        gradient=[
            graph_pb2.GradientDef(function_name=name, gradient_func=gradient)
            for name, gradient in library.gradients.items()
        ],
        registered_gradients=[
            graph_pb2.RegisteredGradient(registered_op_type=op, gradient_func=gradient)
            for op, gradient in library.registered_gradients.items()
        ],
    )


def encode_graph(graph: GraphDef) -> Any:
    """The ``GraphDef`` message of a `GraphDef`."""
    versions = graph_pb2.VersionDef(producer=graph.producer, min_consumer=graph.min_consumer)
    return graph_pb2.GraphDef(
        node=map(encode_node, graph.nodes),
        library=encode_library(graph.library),
        versions=versions,
    )


def _encode_argument(argument: ArgDef) -> Any:
    return graph_pb2.OpDef.ArgDef(
        name=argument.name,
        type=int(argument.type),
        is_ref=argument.is_ref,
        handle_data=encode_handle_data(argument.handle_data),
    )


def _encode_list(values: tuple[AttrValue, ...]) -> Any:
    if not values:
        return graph_pb2.AttrValue.ListValue()
    field, encode = _attr_encoder(values[0])
    return graph_pb2.AttrValue.ListValue(**{field: list(map(encode, values))})


def _attr_encoder(value: AttrValue) -> tuple[str, Any]:
    for kind, field, encode in _ATTR_ENCODERS:
        if isinstance(value, kind):
            return field, encode
    raise TypeError(f"no attribute holds a {type(value).__name__}")


def _encode_function_ref(reference: FunctionRef) -> Any:
    return graph_pb2.NameAttrList(name=reference.name, attr=encode_attrs(reference.attrs))


#: (Python type, field, encoder) in the order of trial: ``bool`` and `TypeNumber` are ``int`` too.
_ATTR_ENCODERS: tuple[tuple[type, str, Any], ...] = (
    (bool, "b", bool),
    (TypeNumber, "type", int),
    (int, "i", int),
    (float, "f", float),
    (bytes, "s", bytes),
    (Shape, "shape", encode_shape),
    (TensorRecord, "tensor", encode_tensor),
    (FunctionRef, "func", _encode_function_ref),
    (AttrPlaceholder, "placeholder", lambda value: value.name),
)
