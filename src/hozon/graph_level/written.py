"""Functions and objects as the object graph of a SavedModel holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.formats.protos.graph import FunctionDef
from hozon.formats.protos.object_graph import (
    BareConcreteFunction,
    CapturedTensor,
    ConcreteFunction,
    Function,
    FunctionSpec,
    Payload,
    SaveableFunctions,
    SavedNode,
    UserObject,
    Version,
)
from hozon.formats.protos.struct import NamedTuple, TensorSpec
from hozon.formats.protos.tensor import Shape
from hozon.formats.protos.trackable import Edge
from hozon.graphs.emit import function as emitted
from hozon.graphs.emit.custom import EmittedGradient
from hozon.graphs.emit.function import EmittedFunction
from hozon.graphs.emit.values import declared_shape, type_number
from hozon.graphs.emit.wrapper import wrapper

FIRST = Version(1, 1)
LIST, DICT, PLAIN = "trackable_list_wrapper", "trackable_dict_wrapper", "_generic_user_object"
SIGNATURES = "signature_map"


@dataclass(frozen=True, slots=True)
class Trace:
    """One concrete function as an object: its name, its keywords."""

    name: str
    keywords: tuple[str, ...]
    positional: int
    spec: FunctionSpec


@dataclass(frozen=True, slots=True)
class Traces:
    """A ``tf.function``: its concrete functions and the Python signature that chooses one."""

    traces: tuple[Trace, ...]
    spec: FunctionSpec


@dataclass(frozen=True, slots=True)
class KeywordSignature:
    """A function of keywords that gives a dictionary: its definition and what the graph says."""

    definition: FunctionDef
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    trace: Trace


def keyword_signature(
    name: str,
    body: EmittedFunction,
    inputs: Sequence[str],
    outputs: Mapping[str, int],
    *,
    positional: bool = False,
) -> KeywordSignature:
    """A function around `body` that takes keywords and gives a dictionary.

    Args:
        name: of the new function.
        body: what it calls.
        inputs: the keywords of the body's arguments.
        outputs: by name, the places of the body's results.
        positional: whether several arguments can be given by position too; one always can.
    """
    order = sorted(range(len(inputs)), key=lambda i: inputs[i])
    keywords = tuple(inputs[i] for i in order)
    arguments = list(zip(order, argument_names(keywords), strict=True))
    names = sorted(outputs)
    definition = wrapper(name, body, arguments=arguments, results=[outputs[n] for n in names])
    given = {inputs[i]: tensor_spec(body.inputs[i], inputs[i]) for i in order}
    made = {n: tensor_spec(body.outputs[outputs[n]], n) for n in names}
    count = len(keywords) if positional or len(keywords) == 1 else 0
    trace = Trace(name, keywords, count, full_argspec([], kwonly=keywords))
    return KeywordSignature(definition, given, made, trace)


def full_argspec(
    names: Sequence[str], defaults: Sequence[Any] = (), kwonly: Sequence[str] = ()
) -> FunctionSpec:
    """A Python signature."""
    fields: dict[str, Any] = {
        "args": list(names),
        "varargs": None,
        "varkw": None,
        "defaults": tuple(defaults) or None,
        "kwonlyargs": list(kwonly),
        "kwonlydefaults": None,
        "annotations": {},
    }
    return FunctionSpec(NamedTuple("FullArgSpec", fields), False, None, None)


def tensor_spec(tensor: emitted.TensorSpec, name: str | None = None) -> TensorSpec:
    """An argument or result of a function in TensorFlow's terms."""
    number = type_number(tensor.dtype)
    return TensorSpec(Shape(tensor.shape), number, tensor.name if name is None else name)


def argument_names(keywords: Sequence[str]) -> list[str]:
    """Keywords as names of function arguments, which allow fewer characters."""
    made: list[str] = []
    for keyword in keywords:
        base = re.sub(r"[^a-z0-9_]", "_", keyword.lower())
        base = base if re.match(r"[a-z]", base) else f"arg_{base}"
        name, count = base, 0
        while name in made:
            count += 1
            name = f"{base}_{count}"
        made.append(name)
    return made


def gradient_signature(gradient: EmittedGradient) -> tuple[Any, Any]:
    """What the function of a custom gradient takes and gives, as TensorFlow writes it."""
    given = tuple(
        TensorSpec(declared_shape(x.shape), type_number(x.dtype), x.name)
        for x in gradient.cotangents
    )
    made = [
        None if x is None else TensorSpec(declared_shape(x.shape), type_number(x.dtype), x.name)
        for x in gradient.gradients
    ]
    return ((None, *given), {}), made


class ObjectNodes:
    """The nodes of an object graph under construction: what each is, and its edges by name."""

    def __init__(
        self, payloads: Iterable[tuple[str, Payload | None]], edges: Iterable[Mapping[str, int]]
    ) -> None:
        self.payloads = list(payloads)
        self.edges = [dict(named) for named in edges]
        self.saveables: dict[int, Mapping[str, SaveableFunctions]] = {}

    def add(self, kind: str, payload: Payload | None, edges: Mapping[str, int]) -> int:
        """Append a node."""
        self.payloads.append((kind, payload))
        self.edges.append(dict(edges))
        return len(self.payloads) - 1

    def generic(self, name: str, edges: Mapping[str, int]) -> int:
        """Append an object of one of TensorFlow's own classes."""
        return self.add("user_object", UserObject(name, FIRST, ""), edges)

    def list_of(self, items: Iterable[int]) -> int:
        """Append a list of nodes."""
        return self.generic(LIST, {str(i): node for i, node in enumerate(items)})

    def gradients(self, body: EmittedFunction) -> Iterator[tuple[str, str, ConcreteFunction]]:
        """Append what custom gradients capture; kind, name and description of each."""
        for gradient in body.gradients:
            bound = tuple(
                self.add("captured_tensor", CapturedTensor(name, gradient.inside), {})
                for name in gradient.captures
            )
            signature = gradient_signature(gradient)
            name = gradient.definition.name
            yield gradient.kind, name, ConcreteFunction(bound, *signature)

    def trace(self, trace: Trace) -> int:
        """Append one concrete function."""
        payload = BareConcreteFunction(trace.name, trace.keywords, trace.positional, trace.spec)
        return self.add("bare_concrete_function", payload, {})

    def function(self, traces: Traces) -> int:
        """Append a function with its traces."""
        edges = {f"trace_{i}": self.trace(trace) for i, trace in enumerate(traces.traces)}
        names = tuple(trace.name for trace in traces.traces)
        return self.add("function", Function(names, traces.spec), edges)

    def saved(self) -> list[SavedNode]:
        """The finished nodes."""
        return [
            SavedNode(
                kind,
                payload,
                edges := tuple(Edge(k, v) for k, v in self.edges[i].items()),
                edges if kind == "function" else (),
                (),
                self.saveables.get(i, {}),
                "",
                "",
                None,
            )
            for i, (kind, payload) in enumerate(self.payloads)
        ]
