"""The functions of a SavedModel: calls of models and layers, signatures, penalties of weights."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import keras

from hozon.errors import InternalError, UnsupportedError
from hozon.formats.protos.graph import FunctionDef
from hozon.formats.protos.object_graph import ConcreteFunction, FunctionSpec
from hozon.formats.protos.struct import TensorSpec
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.graph_level.written import (
    ObjectNodes,
    Trace,
    Traces,
    full_argspec,
    keyword_signature,
    tensor_spec,
)
from hozon.graphs.emit.function import EmittedFunction, emit
from hozon.graphs.emit.trace import ArgumentSpec
from hozon.graphs.emit.wrapper import wrapper
from hozon.keras_private.layers import call_signature, layers_of, states_of
from hozon.models.savedmodel.save.calls import captures, pure_call, pure_function, pure_value
from hozon.models.savedmodel.save.specs import SAY_ALL, CallSpec
from hozon.models.savedmodel.save.text import RULES
from hozon.stored.dtypes import dtype_of_name

#: Plain values that a saved signature can hold.
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class CallTraces:
    """The calls of one object.

    `plain` gives outputs, `with_losses` gives ``(outputs, losses)``; `inference` is the body that
    runs without training, `structure` the structure of its outputs.
    """

    plain: Traces
    with_losses: Traces
    inference: EmittedFunction
    structure: Any


@dataclass
class FunctionWriter:
    """Collects the functions of one SavedModel.

    Attributes:
        position: the node of a variable in the object graph.
        table: the node of the lookup table of a layer.
        nodes: the object graph, for what custom gradients capture.
        native_only: refuse functions that TensorFlow's own ops cannot express.
        functions: the function library so far.
        concrete: its concrete functions.
        gradients: the functions of its custom gradients.
        fallbacks: what was written as one XlaCallModule, with the primitives that made it so.
        lost: calls that cannot be written, and why.
        converted: what the functions need of the sizes of their arguments.
    """

    position: Callable[[keras.Variable], int]
    table: Callable[[Any, FunctionWriter], int]
    nodes: ObjectNodes
    native_only: bool = False
    functions: list[FunctionDef] = field(default_factory=list)
    concrete: dict[str, ConcreteFunction] = field(default_factory=dict)
    gradients: dict[str, str] = field(default_factory=dict)
    fallbacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    _count: int = 0

    def calls(self, layer: keras.Layer, spec: CallSpec) -> CallTraces:
        """Write the calls of a layer or model, of training and inference where they differ."""
        variables = variables_of(layer)
        label = re.sub(r"[^A-Za-z0-9_]", "_", layer.name)
        plain, with_losses, bodies = [], [], []
        for training in (True, False) if spec.takes_training else (None,):
            name = self.name(f"{label}_layer_call_and_return_conditional_losses")
            keywords = {} if training is None else {"training": training}
            call = pure_call(layer, variables)
            try:
                body = self._emit(layer.name, name, call, spec, keywords, variables)
            except UnsupportedError as error:
                if training is not True or self.native_only:
                    raise
                self.lost.append(f"the call of {layer.name!r} in training: {error.message}")
                continue
            bodies.append(body)
            outputs, losses = jax.tree.unflatten(
                body.structure, list(map(tensor_spec, body.outputs))
            )
            arguments = _arguments(layer, spec, training, body)
            self._conclude(body, name, arguments, (outputs, losses), variables)
            with_losses.append(self._trace(name, body, spec))
            short = self.name(f"{label}_layer_call_fn")
            count = len(jax.tree.leaves(outputs, is_leaf=_is_spec))
            self.functions.append(wrapper(short, body, results=range(count)))
            self._conclude(body, short, arguments, outputs, variables)
            plain.append(self._trace(short, body, spec))
        signature = function_spec(layer, spec)
        return CallTraces(
            Traces(tuple(plain), signature),
            Traces(tuple(with_losses), signature),
            bodies[-1],
            outputs,
        )

    def signature(
        self,
        label: str,
        body: EmittedFunction,
        inputs: Sequence[str],
        outputs: Mapping[str, int],
        variables: Sequence[keras.Variable],
        *,
        positional: bool,
    ) -> Trace:
        """Write a function that takes keywords and gives a dictionary.

        `inputs` are the keywords of the body's arguments, `outputs` the places of its results;
        `positional` lets several arguments be given by position as well; one always can.
        """
        name = self.name(label)
        made = keyword_signature(name, body, inputs, outputs, positional=positional)
        self.functions.append(made.definition)
        bound = self._bound(body, variables)
        self.concrete[name] = ConcreteFunction(bound, ((), made.inputs), made.outputs)
        return made.trace

    def keyword_function(
        self,
        label: str,
        function: Callable[..., Any],
        specs: Mapping[str, ArgumentSpec],
        variables: Sequence[keras.Variable],
    ) -> EmittedFunction:
        """Write a function of keywords that may use the variables."""
        name = self.name(label)
        spec = CallSpec((), (), dict(sorted(specs.items())))
        return self._emit(label, name, pure_function(function, variables), spec, {}, variables)

    def penalty(self, variable: keras.Variable, number: int) -> Traces:
        """Write the penalty of a weight as a function without arguments."""
        name = self.name(f"loss_fn_{number}")
        body = self._emit(
            variable.path,
            name,
            pure_value(lambda: variable.regularizer(variable), [variable]),
            CallSpec((), ()),
            {},
            [variable],
        )
        (spec,) = map(tensor_spec, body.outputs)
        self._conclude(body, name, (), spec, [variable])
        signature = full_argspec([])
        return Traces((Trace(name, (), 0, signature),), signature)

    def _emit(
        self,
        label: str,
        name: str,
        call: Callable[..., Any],
        spec: CallSpec,
        keywords: Mapping[str, Any],
        variables: Sequence[keras.Variable],
    ) -> EmittedFunction:
        with _errors_of(label, spec.unsaid()):
            body = emit(
                name,
                call,
                spec.arguments,
                {**spec.keywords, **keywords},
                captures(variables),
                native_only=self.native_only,
                rules=RULES,
            )
        if not body.native:
            self.fallbacks[name] = body.primitives
        self.converted += [
            told
            for x in body.assumed
            if (told := f"{label!r} runs where {x}") not in self.converted
        ]
        self.functions += [*body.nested, body.definition]
        for kind, gradient, description in self.nodes.gradients(body):
            self.gradients[kind] = gradient
            self.concrete[gradient] = description
        self.lost += [
            f"{label!r} has a derivative of its own for {x}, which TensorFlow is not told"
            for x in body.plain
        ]
        return body

    def name(self, label: str) -> str:
        """A name that no other function has."""
        self._count += 1
        return f"__inference_{label}_{self._count}"

    def _bound(self, body: EmittedFunction, variables: Sequence[keras.Variable]) -> tuple[int, ...]:
        handles = (self.position(variables[i]) for i in body.captures)
        return (*handles, *(self.table(layer, self) for layer in body.tables))

    def _conclude(
        self,
        body: EmittedFunction,
        name: str,
        arguments: tuple[Any, ...],
        outputs: Any,
        variables: Sequence[keras.Variable],
    ) -> None:
        bound = self._bound(body, variables)
        self.concrete[name] = ConcreteFunction(bound, (arguments, {}), outputs)

    def _trace(self, name: str, body: EmittedFunction, spec: CallSpec) -> Trace:
        keywords = tuple(x.name for x in body.inputs)
        return Trace(name, keywords, len(keywords), full_argspec(spec.names))


@contextmanager
def _errors_of(label: str, unsaid: Sequence[str]) -> Iterator[None]:
    """What tracing raises becomes an UnsupportedError that names the object.

    `unsaid` are arguments that stayed at their defaults, which the call may not stand. The call
    has run on data before, so whatever goes wrong now is for unknown values and sizes.
    """
    try:
        yield
    except (UnsupportedError, InternalError):
        raise
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        told = f"if it needs {' or '.join(unsaid)}, {SAY_ALL}; " if unsaid else ""
        raise UnsupportedError(
            f"{label!r} cannot be written as a TensorFlow function, for values and sizes that are "
            f"not known yet: {first[:500]}",
            feature=f"the call of {label!r}",
            instead=f"{told}keras.ops and jax.lax for decisions that depend on values, inputs of "
            "known sizes (keras.Input(batch_shape=...)), or another format, such as .keras",
        ) from error


def variables_of(layer: keras.Layer) -> list[keras.Variable]:
    """All variables that a call may read or assign, those of seeds, metrics and RNNs included."""
    states = (state for inside in layers_of(layer) for state in states_of(inside))
    found = [*layer.variables, *layer.metrics_variables, *states]
    return list({id(v): v for v in found}.values())


def function_spec(layer: keras.Layer, spec: CallSpec) -> FunctionSpec:
    """The Python signature of a call: ``training`` is False and ``mask`` None unless given."""
    optional = list(_defaults(layer, spec))
    return full_argspec(spec.names, defaults=optional)


def _defaults(layer: keras.Layer, spec: CallSpec) -> Iterator[Any]:
    """Defaults of the last arguments, in order."""
    parameters = call_signature(layer).parameters
    for name in spec.names[1:]:
        default = parameters[name].default if name in parameters else None
        if name == "training":
            yield default if isinstance(default, bool) else False
        elif default is inspect.Parameter.empty:
            continue
        else:
            yield default if isinstance(default, PLAIN) else None


def _arguments(
    layer: keras.Layer, spec: CallSpec, training: bool | None, body: EmittedFunction
) -> tuple[Any, ...]:
    """The arguments of one trace: a spec for each tensor, plain values for the rest."""
    names = iter(x.name for x in body.inputs)
    given = spec.mapped(lambda leaf: _argument(leaf, next(names)))
    parameters = call_signature(layer).parameters
    values = list(given.arguments)
    for name in spec.names[len(values) :]:
        if name in given.keywords:
            values.append(given.keywords[name])
        elif name == "training":
            values.append(training)
        else:
            default = parameters[name].default if name in parameters else None
            values.append(default if isinstance(default, PLAIN) else None)
    return tuple(values)


def _argument(spec: ArgumentSpec, name: str) -> TensorSpec:
    sizes = tuple(size if isinstance(size, int) else None for size in spec.shape)
    return TensorSpec(Shape(sizes), TypeNumber(dtype_of_name(spec.dtype).number), name)


def _is_spec(value: Any) -> bool:
    return isinstance(value, TensorSpec)
