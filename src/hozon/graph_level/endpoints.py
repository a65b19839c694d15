"""What calling a SavedModel means: one signature or function, and how inputs reach it.

A signature takes keywords in the order of the alphabet; the Python function that it was made from
takes arguments in its own order, nested ones and Python values too. Where the file holds that
function, a call goes to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hozon.errors import MismatchError, UnsupportedError
from hozon.formats.protos.graph import FunctionDef, FunctionRef, NodeDef
from hozon.formats.protos.struct import TensorSpec
from hozon.graph_level.functions import ConcreteFunction, Function, SignatureFunction
from hozon.graph_level.loader import FunctionRunner, LoadedModel, LoadedObject, trace_name
from hozon.graph_level.matching import describe, holds_spec
from hozon.graph_level.signature import FunctionSpec
from hozon.graph_level.structures import component_count, flatten, pack
from hozon.graphs.library import CALL_OPS

DEFAULT = "serving_default"
CALL = "__call__"
TRAINING = "training"
#: More than any rank: what a tensor of unknown rank counts.
FREEST = 1 << 10

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a model calls.

    Attributes:
        name: of the signature, or ``__call__``.
        signature: the signature, None for a ``__call__`` without one.
        function: the Python function behind it, where the file holds that.
        trace: the trace of that function that the signature runs.
        order: the names of the signature's inputs in the order in which that function takes their
            tensors; empty where the file does not tell it.
    """

    name: str
    signature: SignatureFunction | None = None
    function: Function | None = None
    trace: ConcreteFunction | None = None
    order: tuple[str, ...] = ()

    @property
    def takes_training(self) -> bool:
        """Whether the function distinguishes training from inference."""
        return TRAINING in self._parameters

    @property
    def trains(self) -> bool:
        """Whether there is a trace for training."""
        return self.takes_training and any(
            _argument(self.function, trace, TRAINING) is True for trace in self._traces
        )

    @property
    def inputs(self) -> list[Any]:
        """The specs of all tensors that a call may take."""
        if self.function is None:
            return list(self.signature.inputs.values()) if self.signature else []
        return [spec for trace in self._traces for spec in trace.inputs]

    @property
    def needs_host(self) -> bool:
        """Whether a call looks at data where JAX cannot compile."""
        if (trace := self.main_trace) is not None:
            return trace.needs_host
        return self.signature is not None and self.signature.runner.needs_host

    @property
    def structure(self) -> Any:
        """The structure of specs that a call takes as its only argument."""
        trace = self.main_trace
        if trace is None:
            assert self.signature is not None
            return _single(self.signature.inputs)
        positional, keywords = trace.arguments
        names = self.function.spec.arguments if self.function is not None else ()
        given = {names[i] if i < len(names) else i: item for i, item in enumerate(positional)}
        taken = {k: v for k, v in {**given, **keywords}.items() if holds_spec(v)}
        if len(taken) > 1 and not any(map(holds_spec, keywords.values())):
            return list(taken.values())
        return _single(taken)

    @property
    def main_trace(self) -> ConcreteFunction | None:
        """The trace of the signature, or of a ``__call__`` the one of the freest shapes."""
        if self.trace is not None or self.function is None:
            return self.trace
        return max(self._traces, key=lambda trace: sum(map(_freedom, trace.inputs)))

    @property
    def outputs(self) -> Any:
        """The structure of specs that a call gives."""
        if (trace := self.main_trace) is not None:
            return trace.outputs
        assert self.signature is not None
        return _single(self.signature.outputs)

    @property
    def _traces(self) -> Sequence[ConcreteFunction]:
        return () if self.function is None else self.function.concrete_functions

    def __call__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], training: bool | None
    ) -> Any:
        """Call as Keras calls models: a single input, a list or a dictionary of them, several
        arguments, keywords.

        A signature that gives one array gives it without its name. Raises MismatchError saying
        what is taken where nothing fits.
        """
        if self.function is None:
            return self._call_signature(args, kwargs)
        reasons: list[str] = []
        for given in self._arrangements(args, dict(kwargs)):
            for call_args, call_kwargs in self._calls(given, training):
                try:
                    trace, tensors = self.function.choose(*call_args, **call_kwargs)
                except MismatchError as error:
                    reasons.append(str(error))
                    continue
                return trace.call_flat(tensors)
        raise MismatchError(self._taken(args, kwargs), mismatches=list(dict.fromkeys(reasons))[:1])

    def _taken(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        given = describe(args[0] if len(args) == 1 and not kwargs else (args, dict(kwargs)))
        named = set(args[0]) if len(args) == 1 and isinstance(args[0], Mapping) else set(kwargs)
        unknown = ", ".join(sorted(map(str, named - {*self.order, *self._parameters})))
        inputs = ", ".join(self.order or self._parameters)
        return f"{self.name!r} does not take {given}; its inputs are {inputs}" + (
            f"; unexpected: {unknown}" * bool(unknown)
        )

    @property
    def _parameters(self) -> tuple[str, ...]:
        spec = None if self.function is None else self.function.spec
        return () if spec is None else (*spec.arguments, *spec.keyword_only)

    # By signature

    def _call_signature(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        assert self.signature is not None
        return _single(self.signature(**self._named(args, kwargs)))

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs by name; a list in the function's order, where that is known."""
        assert self.signature is not None
        if len(args) == 1 and isinstance(args[0], Mapping):
            return {**args[0], **kwargs}
        values = args[0] if len(args) == 1 and _are_inputs(args[0]) else args
        names = self.order or tuple(self.signature.inputs)
        if len(values) > len(names):
            listed = f"{len(names)} inputs ({', '.join(names)})"
            raise MismatchError(f"{self.name!r} takes {listed}, {len(values)} are given")
        if not self.order:
            required = tuple(name for name in names if name not in self.signature.defaults)
            names = required if len(required) == 1 else names
        if values and len(names) > 1 and not self.order:
            raise MismatchError(
                f"the file does not tell the order of the inputs of {self.name!r}: give them as a "
                f"dictionary of {', '.join(sorted(names))}"
            )
        return {**dict(zip(names, values, strict=False)), **kwargs}

    # By function

    def _arrangements(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Call]:
        """What the caller may have meant, the likeliest first."""
        if len(args) != 1:
            yield args, kwargs
            return
        (inputs,) = args
        if _are_inputs(inputs):
            yield tuple(inputs), kwargs
        yield args, kwargs
        if isinstance(inputs, Mapping):
            if not set(inputs) & set(kwargs) and all(isinstance(key, str) for key in inputs):
                yield (), {**inputs, **kwargs}
            if self.trace is not None and self.order and set(inputs) == set(self.order):
                positional, keywords = pack(
                    self.trace.arguments, iter([inputs[name] for name in self.order])
                )
                yield tuple(positional), {**keywords, **kwargs}

    def _calls(self, given: Call, training: bool | None) -> Iterator[Call]:
        """A call with what the signature fixed, for training or not as far as there are traces."""
        args, kwargs = self._completed(*given)
        if not self.takes_training or TRAINING in given[1]:
            yield args, kwargs
            return
        assert self.function is not None
        names = self.function.spec.arguments
        place = names.index(TRAINING) if TRAINING in names else len(args)
        for value in (bool(training), *((False,) if training else ()), None):
            if place < len(args):
                yield (*args[:place], value, *args[place + 1 :]), kwargs
            else:
                yield args, {**kwargs, TRAINING: value}

    def _completed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """A call with the Python values that the signature's trace was made with."""
        if self.trace is None:
            return args, kwargs
        assert self.function is not None
        positional, keywords = self.trace.arguments
        names, rest, ordered = self.function.spec.arguments, dict(kwargs), list(args)
        for i, item in enumerate(positional[len(args) :], len(args)):
            if i < len(names) and names[i] in rest:
                ordered.append(rest.pop(names[i]))
            elif holds_spec(item):
                break  # missing, or a default value of the function
            else:
                ordered.append(item)
        fixed = {k: v for k, v in keywords.items() if k not in rest and not holds_spec(v)}
        return tuple(ordered), {**fixed, **rest}


def choose(loaded: LoadedModel, name: str | None, file: str) -> Endpoint:
    """What calls of a loaded SavedModel go to.

    Args:
        loaded: the SavedModel.
        name: the signature that the user asks for, or ``__call__``; None for the one that the file
            says to be the default: ``serving_default``, or the only one there is.
        file: where it lies, for errors.

    Raises:
        MismatchError: there is no signature of that name.
        UnsupportedError: there is nothing to choose, or nothing that says which.
    """
    signatures = loaded.signatures
    root = _of_root(loaded)
    names = [*signatures, *([] if root is None else [CALL])]
    listed = ", ".join(map(repr, names))
    if name is not None and name not in names:
        near = get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise MismatchError(
            f"there is no signature {name!r}; there are {listed or 'none'}{hint}", file=file
        )
    if name is None and DEFAULT in names:
        name = DEFAULT
    if name is None and len(signatures) > 1:
        raise UnsupportedError(
            f"it has several signatures and none is {DEFAULT!r}: {listed}",
            feature="a model of several signatures",
            file=file,
            instead=f"say which one the model calls: signature={names[0]!r}",
        )
    if name is None and len(signatures) == 1:
        name = next(iter(signatures))
        if signatures[name].changes_state:
            raise UnsupportedError(
                f"its only signature, {name!r}, changes variables whenever it is called",
                feature="a signature that changes state",
                file=file,
                instead=f"say that it is meant: signature={name!r}",
            )
    if name in signatures:
        return _of_signature(name, signatures[name], loaded)
    if root is None:
        raise UnsupportedError(
            "it holds neither Keras objects nor signatures",
            file=file,
            instead="hozon.saved_model.load gives its functions",
        )
    return root


def _of_root(loaded: LoadedModel) -> Endpoint | None:
    """The root's own function, None where it has none, or one that was never traced."""
    function = loaded.__dict__.get(CALL)
    if isinstance(function, Function) and function.concrete_functions:
        return Endpoint(CALL, function=function)
    if not isinstance(function, ConcreteFunction):
        return None
    names = [
        getattr(item, "name", "") or f"argument_{i}" for i, item in enumerate(function.arguments[0])
    ]
    spec = FunctionSpec(tuple(names), keyword_only=tuple(function.arguments[1]))
    return Endpoint(CALL, function=Function(function.name, spec, [function]), trace=function)


def _of_signature(name: str, signature: SignatureFunction, loaded: LoadedModel) -> Endpoint:
    runner = signature.runner
    if not isinstance(runner, FunctionRunner):
        return Endpoint(name, signature)
    records = runner.function.library.records
    keys = (
        runner.keys if all(isinstance(signature.inputs[k], TensorSpec) for k in runner.keys) else ()
    )
    wrapper = records.get(runner.function.name)
    inner, order = (None, ()) if wrapper is None else _wrapped(wrapper, keys)
    if inner is None:
        return Endpoint(name, signature)
    taken = [(signature.inputs[key].shape, signature.inputs[key].dtype) for key in order]
    for function in _functions(loaded):
        for trace in function.concrete_functions:
            if _takes(trace, taken) and _same_body(records, inner, trace.name):
                return Endpoint(name, signature, function, trace, order)
    return Endpoint(name, signature, order=order)


def _wrapped(wrapper: FunctionDef, keys: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The function that a signature's function calls, and its inputs in that function's order.

    `keys`: the inputs in the order of the signature's function, which comes from the alphabet.
    """
    calls = [node for node in wrapper.nodes if node.op in CALL_OPS]
    others = {node.op for node in wrapper.nodes} - {*CALL_OPS, "Identity", "NoOp"}
    callee = calls[0].attrs.get("f") if len(calls) == 1 and not others else None
    if not isinstance(callee, FunctionRef):
        return None, ()
    named = dict(zip((arg.name for arg in wrapper.inputs), keys, strict=False))
    order = tuple(named[text] for text in calls[0].inputs if text in named)
    return callee.name, order if len(order) == len(keys) else ()


def _functions(loaded: LoadedObject) -> Iterator[Function]:
    """All functions of the object graph, the root's first."""
    seen: set[int] = set()
    waiting: list[Any] = [loaded]
    while waiting:
        item = waiting.pop(0)
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Function):
            yield item
        elif isinstance(item, LoadedObject):
            waiting.extend(item.__dict__.values())
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)


def _takes(trace: ConcreteFunction, tensors: Sequence[tuple[Any, Any]]) -> bool:
    """Whether a trace takes tensors of these shapes and types; a ragged one counts by its parts."""
    if not all(isinstance(spec, TensorSpec) for spec in trace.inputs):
        return sum(map(component_count, trace.inputs)) == len(tensors)
    return [(spec.shape, spec.dtype) for spec in trace.inputs] == list(tensors)


def _same_body(records: Mapping[str, FunctionDef], first: str, second: str) -> bool:
    """Whether two traces are of one Python function with the same Python arguments.

    A function that is traced again for saving has another number, and the very same nodes.
    """
    if first == second:
        return True
    if trace_name(first) != trace_name(second) or not {first, second} <= set(records):
        return False
    one, other = records[first], records[second]
    return (
        [(a.name, a.type) for a in one.inputs] == [(a.name, a.type) for a in other.inputs]
        and len(one.nodes) == len(other.nodes)
        and all(map(_same_node, one.nodes, other.nodes))
    )


def _same_node(one: NodeDef, other: NodeDef) -> bool:
    if (one.name, one.op, one.inputs) != (other.name, other.op, other.inputs):
        return False
    keys = {key for node in (one, other) for key in node.attrs if not key.startswith("_")}
    return all(_same_attr(one.attrs.get(key), other.attrs.get(key)) for key in keys)


def _same_attr(one: Any, other: Any) -> bool:
    if isinstance(one, FunctionRef) and isinstance(other, FunctionRef):
        return trace_name(one.name) == trace_name(other.name)
    return bool(one == other)


def _freedom(spec: Any) -> int:
    """How many sizes of a tensor are free."""
    dims = spec.shape.dims if isinstance(spec, TensorSpec) else ()
    return FREEST if dims is None else sum(size is None for size in dims)


def _argument(function: Function | None, trace: ConcreteFunction, name: str) -> Any:
    """What a trace was made with for a Python argument."""
    positional, keywords = trace.arguments
    names = () if function is None else function.spec.arguments
    return {**dict(zip(names, positional, strict=False)), **keywords}.get(name)


def _are_inputs(value: Any) -> bool:
    """Whether a value is a list of inputs rather than an array written as a list of numbers."""
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_input, value))


def _is_input(value: Any) -> bool:
    """Whether an item of a list is an input of its own: an array, or a structure of arrays."""
    leaves = list(flatten(value))
    plain = (bool, int, float, str, bytes)
    return bool(leaves) and not any(isinstance(leaf, plain) for leaf in leaves)


def _single(named: Mapping[Any, Any]) -> Any:
    """Named items, a single one without its name."""
    return next(iter(named.values())) if len(named) == 1 else dict(named)
