"""A JAX function over variables and arguments, written as a TensorFlow function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import UnsupportedError
from hozon.formats.protos.graph import ArgDef, FunctionDef
from hozon.formats.protos.tensor import Shape
from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body, Functions
from hozon.graphs.emit.custom import EmittedGradient, placed
from hozon.graphs.emit.definition import argument, define, pruned
from hozon.graphs.emit.fallback import call_module
from hozon.graphs.emit.partial import parted
from hozon.graphs.emit.primitives import PRIMITIVES
from hozon.graphs.emit.rules import NoRule, Rule
from hozon.graphs.emit.sizes import condition
from hozon.graphs.emit.text import string
from hozon.graphs.emit.trace import Capture, Traced, primitives, trace
from hozon.graphs.emit.values import (
    RESOURCE,
    TEXT,
    Tensor,
    declared_shape,
    dtype_of,
    type_number,
)

#: What makes a function stateful.
_STATEFUL = {"ReadVariableOp", "AssignVariableOp", "XlaCallModule", "Assert"}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An argument or result as TensorFlow sees it; a size of None is free."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class EmittedFunction:
    """A function in TensorFlow's terms.

    Attributes:
        definition: the function; its arguments are `inputs`, then a handle of each of `captures`.
        nested: the functions that it calls.
        inputs: the arguments.
        outputs: the results, leaves of `structure`.
        structure: the pytree of the outputs (`jax.tree.unflatten` takes it).
        captures: positions in the given captures of the variables that it uses, in order.
        assigned: those of them that it assigns.
        native: whether it consists of TensorFlow's own ops rather than one XlaCallModule.
        primitives: the JAX primitives that there are no native ops for.
        gradients: the custom gradients of its nodes and of those of `nested`.
        plain: functions with derivatives of their own that are differentiated as their ops are.
        tables: the keys of the lookup tables that it uses; their handles are its last arguments.
        assumed: what it needs, and checks, of the sizes of its arguments, for people.
    """

    definition: FunctionDef
    nested: tuple[FunctionDef, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    structure: Any
    captures: tuple[int, ...]
    assigned: tuple[int, ...]
    native: bool
    primitives: tuple[str, ...] = ()
    tables: tuple[Any, ...] = ()
    gradients: tuple[EmittedGradient, ...] = ()
    plain: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def emit(
    name: str,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any] | None = None,
    captures: Sequence[Capture] = (),
    *,
    native_only: bool = False,
    constraints: Sequence[str] = (),
    rules: Mapping[str, Rule] | None = None,
) -> EmittedFunction:
    """Write ``function(values, *arguments, **keywords) -> (outputs, updates)``.

    Args:
        name: of the TensorFlow function.
        function: pure; `values` are those of `captures`, `outputs` is a pytree of arrays,
            `updates` maps positions in `captures` to new values.
        arguments: pytrees of `ArgumentSpec`; other leaves are handed on as they are.
        keywords: the same by name.
        captures: the variables.
        native_only: refuse what TensorFlow's own ops cannot express.
        constraints: what holds between sizes, such as ``"t >= 2"``, in the words of
            `jax.export.symbolic_shape`.
        rules: how to write primitives of the caller's own, which StableHLO does not have either.

    Raises:
        NotTraceable: JAX cannot trace the function for sizes that are not known.
        UnsupportedError: with `native_only`, when it needs XlaCallModule.
    """
    traced = trace(function, arguments, keywords or {}, captures, constraints)
    own = rules or {}
    try:
        return _Writer(name, traced, captures, own).native()
    except NoRule as reason:
        missing = _missing(traced, reason, own)
    if native_only:
        raise UnsupportedError(
            f"{name!r} has no TensorFlow ops for the JAX primitives {', '.join(missing)}",
            feature=missing[0],
            instead="save without native_ops_only, which writes the function as one XlaCallModule "
            "op, or compute this with keras.ops",
        )
    return _Writer(name, traced, captures, own).module(missing)


def _missing(traced: Traced, reason: NoRule, own: Mapping[str, Rule]) -> tuple[str, ...]:
    known = {*PRIMITIVES, *own}
    found = {name for name in primitives(traced.closed.jaxpr) if name not in known}
    return tuple(sorted(found | {reason.primitive}))


class _Writer:
    """Writes one traced function: reads of variables, what is computed, assignments, results."""

    def __init__(
        self, name: str, traced: Traced, captures: Sequence[Capture], own: Mapping[str, Rule]
    ) -> None:
        self._name = name
        self._own = own
        self._traced = traced
        self._captures = captures
        names = _valid_names([*(s.name for s in traced.specs), *(c.name for c in captures)])
        avals = traced.avals[len(captures) :]
        self._inputs = [
            Tensor(next(names), dtype_of(spec.dtype), tuple(aval.shape))
            for spec, aval in zip(traced.specs, avals, strict=True)
        ]
        self._handles = [Tensor(next(names), RESOURCE, ()) for _ in captures]
        self._functions = Functions(name)
        rules = {**PRIMITIVES, **own} if own else PRIMITIVES
        self._body = Body(rules, [*self._inputs, *self._handles], self._functions)

    def native(self) -> EmittedFunction:
        """The function in native ops; raises NoRule where there are none."""
        given = [*self._reads(), *self._computing()]
        return self._finished(self._body.inline(self._traced.closed, given), ())

    def module(self, missing: tuple[str, ...]) -> EmittedFunction:
        """The function as one XlaCallModule, after what primitives of the caller's own give."""
        given = [*self._reads(), *self._computing()]
        if not self._own:
            return self._finished(call_module(self._body, self._traced, given, missing), missing)
        parts = parted(self._traced, self._own)
        border = self._body.inline(parts.first, given)
        inputs = [*(given[i] for i in parts.kept), *(border[i] for i in parts.handed)]
        results = call_module(self._body, parts.rest, inputs, missing)
        return self._finished(parts.together(border, results), missing)

    def _reads(self) -> Iterator[Tensor]:
        """The values of the variables, each read once, at the start."""
        for handle, capture, aval in zip(
            self._handles, self._captures, self._traced.avals, strict=False
        ):
            dtype = np.dtype(capture.dtype)
            value = self._body.add(
                "ReadVariableOp", [handle], attrs={"dtype": dtype}, shape=capture.shape, dtype=dtype
            )
            yield steps.cast(self._body, value, aval.dtype)

    def _computing(self) -> Iterator[Tensor]:
        """The arguments in the types that JAX computes in."""
        avals = self._traced.avals[len(self._captures) :]
        for given, aval in zip(self._inputs, avals, strict=True):
            x = self._of_multiples(given)
            yield x if x.dtype == TEXT else steps.narrowed(self._body, x, aval.dtype)

    def _of_multiples(self, x: Tensor) -> Tensor:
        """An argument whose sizes must be multiples of numbers, refused where they are not."""
        if not any("*" in str(dim) for dim in x.shape):
            return x
        inputs = [x, self._body.shape(x.shape)]
        return self._body.add("Reshape", inputs, shape=x.shape, dtype=x.dtype)

    def _assumed(self) -> Iterator[str]:
        """What must hold of the sizes of the arguments, for people."""
        for text in self._traced.assumed:
            axes = dict.fromkeys(re.findall(r"any(\d+)", text))
            yield f"{text} (the size of axis {' or '.join(axes)})" if axes else text
        for x in self._inputs:
            for axis, dim in enumerate(x.shape):
                multiple = str(dim).partition("*any")[0]
                if multiple.isdigit() and not isinstance(dim, int):
                    yield f"axis {axis} of {x.name} is a multiple of {multiple}"

    def _checks(self) -> Iterator[str]:
        """Nodes that check what tracing assumed of sizes."""
        for text in self._traced.assumed:
            holds = condition(self._body, text)
            message = string(self._body, f"sizes of inputs must be so: {text}".encode())
            self._body.add("Assert", [holds, [message]], attrs={"summarize": 3}, shape=(), dtype=())
            yield self._body.nodes[-1].name

    def _finished(self, results: Sequence[Tensor], missing: tuple[str, ...]) -> EmittedFunction:
        count = self._traced.output_count
        assigns = [*self._checks(), *self._assigns(results[count:])]
        outputs = {
            f"identity_{i}" if i else "identity": self._body.add(
                "Identity", [x], shape=x.shape, dtype=x.dtype, controls=assigns
            )
            for i, x in enumerate(map(self._body.exact, results[:count]))
        }
        used = self._used([*(x.name for x in outputs.values()), *assigns])
        definition = self._definition(outputs, assigns, used)
        kept = [node.name for node in definition.nodes]
        gradients = [*self._functions.gradients, *placed(self._body, self._name, kept)]
        return EmittedFunction(
            definition=definition,
            nested=(*self._functions.definitions, *(g.definition for g in gradients)),
            gradients=tuple(gradients),
            plain=tuple(dict.fromkeys(self._functions.plain)),
            inputs=tuple(map(_spec, (x.name for x in self._inputs), self._inputs)),
            outputs=tuple(map(_spec, outputs, outputs.values())),
            structure=self._traced.structure,
            captures=tuple(used),
            assigned=self._traced.assigned,
            native=not missing,
            primitives=missing,
            assumed=tuple(self._assumed()),
            tables=tuple(key for key, _ in self._body.tables),
        )

    def _assigns(self, values: Sequence[Tensor]) -> Iterator[str]:
        """Nodes that assign the new values, after everything was read."""
        reads = {
            node.inputs[0]: node.name for node in self._body.nodes if node.op == "ReadVariableOp"
        }
        for place, value in zip(self._traced.assigned, values, strict=True):
            handle = self._handles[place]
            dtype = np.dtype(self._captures[place].dtype)
            inputs = [handle, steps.cast(self._body, value, dtype)]
            attrs = {"validate_shape": True}
            self._body.add(
                "AssignVariableOp",
                inputs,
                attrs=attrs,
                shape=(),
                dtype=(),
                controls=[reads[handle.name]],
            )
            yield self._body.nodes[-1].name

    def _used(self, ends: Sequence[str]) -> list[int]:
        """Positions of the variables that the nodes touch which `ends` need."""
        touched = {name for node in pruned(self._body.nodes, ends) for name in node.inputs}
        return [i for i, handle in enumerate(self._handles) if handle.name in touched]

    def _definition(
        self, outputs: Mapping[str, Tensor], assigns: Sequence[str], used: Sequence[int]
    ) -> FunctionDef:
        tables = [argument(handle.name, handle) for _, handle in self._body.tables]
        handles = [*(self._handle(i) for i in used), *tables]
        shapes = [*(declared_shape(x.shape) for x in self._inputs), *(Shape(()) for _ in handles)]
        names = [
            *(s.name for s in self._traced.specs),
            *(self._captures[i].name for i in used),
            *(table.name for table in tables),
        ]
        return define(
            self._name,
            self._body,
            [*(argument(x.name, x) for x in self._inputs), *handles],
            outputs,
            run=assigns,
            attrs={"_construction_context": b"kEagerRuntime", "_input_shapes": tuple(shapes)},
            arg_attrs={
                i: {"_output_shapes": (shape,), "_user_specified_name": name.encode()}
                for i, (shape, name) in enumerate(zip(shapes, names, strict=True))
            },
            resource_ids={len(self._inputs) + i: i for i in range(len(handles))},
            is_stateful=bool(tables) or any(node.op in _STATEFUL for node in self._body.nodes),
        )

    def _handle(self, place: int) -> ArgDef:
        capture, handle = self._captures[place], self._handles[place]
        holds = (type_number(np.dtype(capture.dtype)), Shape(tuple(capture.shape)))
        return ArgDef(handle.name, type_number(RESOURCE), handle_data=(holds,))


def _spec(name: str, x: Tensor) -> TensorSpec:
    return TensorSpec(name, x.dtype, declared_shape(x.shape).dims or ())


def _valid_names(names: Sequence[str]) -> Iterator[str]:
    """The names as TensorFlow takes them for arguments: lower case, each once."""
    taken: set[str] = set()
    for name in names:
        base = re.sub(r"[^a-z0-9_]", "_", name.lower())
        base = base if base[:1].isalpha() else f"arg_{base}"
        valid, count = base, 0
        while valid in taken:
            count += 1
            valid = f"{base}_{count}"
        taken.add(valid)
        yield valid
