"""Calls on concrete values: jitted where JAX can trace, in NumPy on the host where it cannot.

A function without host ops is one compiled program. Otherwise its nodes are split by level: host
nodes on even levels, nodes for the device on odd ones, each above what it reads; the device nodes
of one level make one compiled program. What needs the host is known from the op table, and from
trying: when tracing stops because an op needs a value (`NotStatic`), the node that makes this
value moves to the host, its result is passed into the program as a static value, and the
function is planned again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import FormatError, HozonError, MismatchError, UnsupportedError
from hozon.graphs.interpreter import (
    Context,
    NodeNotStatic,
    holds_tracer,
    inline,
    run_step,
)
from hozon.graphs.ir import Ref
from hozon.graphs.library import Bound, FunctionKey, Library
from hozon.graphs.resources import Variable
from hozon.graphs.values import Cell, Value, as_numpy, is_static
from hozon.kernels.compile import jit

#: Small integer results that are known while tracing stay known to later programs.
STATIC_RESULT_SIZE = 4096
#: Steps whose value does not depend on the call.
FREE_OPS = frozenset({"Const"})
#: Steps that only pass a value on; what is on the host stays there.
PASSING_OPS = frozenset({"Identity"})
#: In a loop on the host, inputs of more forms than this are not worth compiling for: a list or
#: sequence that grows has another form at every trip.
MAX_FORMS = 3


def call(library: Library, function: FunctionKey, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """Call a function of the library on arrays, strings, cells or tracers, and commit updates.

    Raises UnsupportedError when the call is traced by JAX and would assign to a variable: the
    assignment would happen once, while tracing, or leak a tracer.
    """
    outputs, updates = call_pure(library, function, arguments, {})
    staged = bool(updates) and is_staging()
    for cell, value in updates:
        if isinstance(cell, Variable) and (staged or holds_tracer(value)):
            raise untraceable_assignment(cell.name, library.function(function).name)
    for cell, value in updates:
        cell.assign(value)
    return outputs


def call_pure(
    library: Library,
    function: FunctionKey,
    arguments: Sequence[Value],
    given: dict[int, tuple[Cell, Value]],
) -> tuple[tuple[Value, ...], list[tuple[Cell, Value]]]:
    """Call a function with given values for some cells; return outputs and updates.

    No variable is assigned, so the call is a pure function of `arguments` and `given`, but for
    the random state, which every draw advances.
    """
    with jax.enable_x64(True), failures_named(library, function):
        bound = library.bound(function)
        wanted = len(bound.function.arguments)
        if len(arguments) != wanted:
            raise FormatError(
                f"{bound.function.name!r} takes {wanted} tensors, captured ones included, and is "
                f"given {len(arguments)}",
                record=bound.function.name,
            )
        random = library.resources.random
        cells = [*bound.cells, *(a for a in arguments if isinstance(a, Cell))]
        state = [given[id(c)][1] if id(c) in given else _peek(c) for c in cells]
        values = [
            *(a for a in arguments if not isinstance(a, Cell)),
            *(s for s in state if s is not None),
        ]
        traced = holds_tracer(values) or is_staging()
        context = Context(library, inline if traced else planned, host=not traced)
        for cell, value in given.values():
            context.give(cell, value)
        if traced and any(cell is random for cell in cells):
            context.give(random, random.draw())
        try:
            outputs = context.call(function, arguments)
        except NodeNotStatic as error:
            raise _untraceable(bound, error) from error
    changed = [cell for cell, _ in context.updates.values()]
    if not traced and random in changed:
        random.assign(context.read(random))
    return outputs, [(cell, context.read(cell)) for cell in changed if cell is not random]


@contextmanager
def failures_named(library: Library, function: FunctionKey) -> Iterator[None]:
    """Turn what a kernel raises into a MismatchError that names the function and the node."""
    try:
        yield
    except (HozonError, NotImplementedError):
        raise
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        places = [note for note in getattr(error, "__notes__", ()) if note.startswith("in node")]
        raise MismatchError(
            f"{library.function(function).name!r} cannot run on these arguments: "
            f"{type(error).__name__}: {error}",
            mismatches=places,
        ) from error


def is_staging() -> bool:
    """Whether JAX is recording a program here, as in `jax.jit`, rather than computing."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


def untraceable_assignment(variable: str, function: str) -> UnsupportedError:
    """The error for a variable that would be assigned while JAX traces."""
    return UnsupportedError(
        f"{function!r} assigns to the variable {variable!r}, which jax.jit, jax.grad and jax.vmap "
        "cannot see",
        feature="assignment while tracing",
        record=variable,
        instead="use stateless_call, which takes the values of the variables and returns the new "
        "ones",
    )


def _untraceable(bound: Bound, error: NodeNotStatic) -> UnsupportedError:
    node = error.node
    return UnsupportedError(
        f"{bound.function.name!r} cannot be traced by JAX: {error.purpose} depends on data in "
        f"node {node.name!r} ({node.op})",
        feature=node.op,
        record=node.name,
        instead="call it outside of jax.jit, jax.grad and jax.vmap, or close over the values "
        "that must be known as NumPy arrays",
    )


def _peek(cell: Cell) -> Value:
    """The value of a cell if it could be a tracer; lazy ones are not read for this."""
    return cell.peek() if hasattr(cell, "peek") else None


def planned(context: Context, bound: Bound, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """The caller used on concrete values: plan, run, and plan again when tracing says so."""
    host: frozenset[int] = bound.plans.get("host", frozenset())
    static: frozenset[Ref] = bound.plans.get("static", frozenset())
    while True:
        plan = bound.plans.get((host, static))
        if plan is None:
            plan = bound.plans[(host, static)] = Plan(bound, host, static)
        try:
            child = context.child()
            results = plan.run(child, arguments)
        except NodeNotStatic as error:
            before = (host, static)
            host, static = replan(bound, plan, host, static, error)
            if before == (host, static):
                raise
            bound.plans["host"], bound.plans["static"] = host, static
            continue
        for cell, value in child.updates.values():
            context.assign(cell, value)
        return results


def replan(
    bound: Bound, plan: Plan, host: frozenset[int], static: frozenset[Ref], error: NodeNotStatic
) -> tuple[frozenset[int], frozenset[Ref]]:
    """Move to the host what made the value that an op had to know; at worst, the op itself."""
    if error.input is None:
        return host | {error.step}, static
    ref = bound.steps[error.step].node.inputs[error.input]
    if ref in static:
        return host | {error.step}, static
    if ref.node in bound.function.arguments or plan.kinds[ref.node] == "host":
        return host, static | {ref}
    return host | {ref.node}, static | {ref}


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is part of a compiled program's identity rather than an input or output."""

    key: Hashable
    value: Any = field(compare=False, hash=False)


jax.tree_util.register_pytree_node(Fixed, lambda f: ((), f), lambda f, _: f)


def fix(value: Value) -> Fixed:
    """Make a static value hashable: arrays by content, other objects by identity."""
    if is_static(value) and isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        content = array.tobytes() if array.dtype != object else tuple(array.reshape(-1).tolist())
        return Fixed((array.dtype.str, array.shape, content), value)
    if isinstance(value, jax.Array):
        return fix(np.asarray(value))
    return Fixed(id(value), value)


class Plan:
    """How one function runs: its steps in segments, alternately on the host and compiled."""

    def __init__(self, bound: Bound, host: frozenset[int], static: frozenset[Ref]) -> None:
        self.bound = bound
        self.static = static
        self.kinds: list[str] = []
        for index in range(len(bound.steps)):
            self.kinds.append(self._kind(index, host))
        levels = self._levels()
        self.segments = [
            [i for i, level in enumerate(levels) if level == wanted]
            for wanted in sorted({level for level in levels if level is not None})
        ]
        self.programs = [
            None if self.kinds[nodes[0]] == "host" else Program(self, nodes)
            for nodes in self.segments
        ]

    def _kind(self, index: int, host: frozenset[int]) -> str:
        step = self.bound.steps[index]
        if index in self.bound.function.arguments:
            return "given"
        if step.node.op in FREE_OPS and not step.node.inputs and not step.cells:
            return "free"
        if step.node.op in PASSING_OPS and step.node.inputs:
            passed = {self.kinds[ref.node] for ref in step.node.inputs}
            return "host" if passed <= {"host", "given"} else "device"
        return "host" if step.host or index in host else "device"

    def _levels(self) -> list[int | None]:
        levels: list[int | None] = []
        for index, step in enumerate(self.bound.steps):
            kind = self.kinds[index]
            if kind in ("given", "free"):
                levels.append(None)
                continue
            level = 0 if kind == "host" else 1
            for source in {*(r.node for r in step.node.inputs), *step.node.controls}:
                below = levels[source]
                if below is not None:
                    level = max(level, below if self.kinds[source] == kind else below + 1)
            levels.append(level)
        return levels

    def run(self, context: Context, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Run all segments and return the function's results."""
        values: dict[Ref, Value] = {}
        known: set[Ref] = set()
        for position, argument in zip(self.bound.function.arguments, arguments, strict=True):
            values[Ref(position, 0)] = argument
        for index, kind in enumerate(self.kinds):
            if kind == "free":
                _store(values, index, run_step(context, self.bound, index, []))
        with np.errstate(all="ignore"):
            for nodes, program in zip(self.segments, self.programs, strict=True):
                if program is not None:
                    program.run(context, values, known)
                    continue
                for index in nodes:
                    inputs = [values[ref] for ref in self.bound.steps[index].node.inputs]
                    _store(values, index, run_step(context, self.bound, index, inputs))
        return tuple(values[ref] for ref in self.bound.function.results)


def _store(values: dict[Ref, Value], index: int, outputs: tuple[Value, ...]) -> None:
    for number, value in enumerate(outputs):
        values[Ref(index, number)] = value


class Program:
    """The device steps of one level, compiled once per set of static inputs."""

    def __init__(self, plan: Plan, nodes: list[int]) -> None:
        self.plan = plan
        self.nodes = nodes
        bound = plan.bound
        inside = set(nodes)
        free = {i for i, kind in enumerate(plan.kinds) if kind == "free"}
        read = dict.fromkeys(ref for i in nodes for ref in bound.steps[i].node.inputs)
        self.inputs = [ref for ref in read if ref.node not in inside and ref.node not in free]
        self.free = [i for i in free if any(ref.node == i for ref in read)]
        outside = [
            ref for i, step in enumerate(bound.steps) if i not in inside for ref in step.node.inputs
        ]
        wanted = dict.fromkeys([*outside, *bound.function.results])
        self.outputs = [ref for ref in wanted if ref.node in inside]
        self.cells = list({id(c): c for i in nodes for c in bound.steps[i].cells}.values())
        self._compiled: dict[Hashable, Callable[..., Any]] = {}
        self._forms: set[Hashable] = set()

    def run(self, context: Context, values: dict[Ref, Value], known: set[Ref]) -> None:
        """Run the program: read inputs from `values`, add outputs to it, assign updates."""
        fixed: dict[Ref, Fixed] = {}
        dynamic: dict[Ref, Value] = {}
        for ref in self.inputs:
            value = values[ref]
            if ref in self.plan.static or ref in known or not _is_array(value):
                fixed[ref] = fix(value)
            else:
                dynamic[ref] = value
        if context.looping and self._is_rare(fixed, dynamic):
            self._interpret(context, values)
            return
        cells = self._cells([f.value for f in fixed.values()])
        program = self._program(context, fixed, list(dynamic), cells)
        results, updates = program(list(dynamic.values()), [context.peek(c) for c in cells])
        for ref, value in zip(self.outputs, results, strict=True):
            if isinstance(value, Fixed):
                known.add(ref)
                value = value.value
            values[ref] = value
        for index, value in updates.items():
            context.assign(cells[index], value)

    def _is_rare(self, fixed: dict[Ref, Fixed], dynamic: dict[Ref, Value]) -> bool:
        """Whether inputs of this form come only after `MAX_FORMS` others."""
        form = (tuple(fixed.items()), tuple((ref, _form(value)) for ref, value in dynamic.items()))
        if len(self._forms) < MAX_FORMS:
            self._forms.add(form)
        return form not in self._forms

    def _interpret(self, context: Context, values: dict[Ref, Value]) -> None:
        """Run the steps one by one, in NumPy where they can."""
        child = context.child()
        child.numpy = True
        for index in self.nodes:
            inputs = [
                jax.tree.map(as_numpy, values[ref])
                for ref in self.plan.bound.steps[index].node.inputs
            ]
            _store(values, index, run_step(child, self.plan.bound, index, inputs))
        for cell, value in child.updates.values():
            context.assign(cell, value)

    def _cells(self, fixed: Sequence[Value]) -> list[Cell]:
        """Variables that the program may touch, given its inputs; strings stay outside."""
        cells = [*self.cells, *(value for value in fixed if isinstance(value, Cell))]
        unique = {id(cell): cell for cell in cells}
        return [cell for cell in unique.values() if cell.dtype != np.dtype(object)]

    def _program(
        self, context: Context, fixed: dict[Ref, Fixed], dynamic: list[Ref], cells: list[Cell]
    ) -> Callable[..., Any]:
        key = (tuple((ref, value) for ref, value in fixed.items()), tuple(dynamic))
        if key not in self._compiled:
            library = context.library
            compute = self._traceable(library, fixed, dynamic, cells)
            self._compiled[key] = jit(compute)
        return self._compiled[key]

    def _traceable(
        self, library: Library, fixed: dict[Ref, Fixed], dynamic: list[Ref], cells: list[Cell]
    ) -> Callable[..., Any]:
        bound = self.plan.bound

        def compute(inputs: list[Value], state: list[Value]) -> Any:
            context = Context(library, inline, host=False)
            for cell, value in zip(cells, state, strict=True):
                if value is not None:
                    context.give(cell, value)
            values = {ref: item.value for ref, item in fixed.items()}
            values.update(zip(dynamic, inputs, strict=True))
            for index in self.free:
                _store(values, index, run_step(context, bound, index, []))
            with np.errstate(all="ignore"):
                for index in self.nodes:
                    inputs_ = [values[ref] for ref in bound.steps[index].node.inputs]
                    _store(values, index, run_step(context, bound, index, inputs_))
            position = {id(cell): i for i, cell in enumerate(cells)}
            updates = {position[id(c)]: v for c, v in context.updates.values()}
            return [_result(values[ref]) for ref in self.outputs], updates

        return compute


def _form(value: Value) -> Hashable:
    """What a program is compiled for: the structure, shapes and types of an input."""
    leaves, tree = jax.tree.flatten(value)
    return tree, tuple((leaf.shape, leaf.dtype.str) for leaf in leaves)


def _is_array(value: Value) -> bool:
    """Whether a value can be an input of a compiled program: numeric arrays, trees of them."""
    leaves = jax.tree.leaves(value)
    return all(isinstance(leaf, jax.Array) or _is_numeric(leaf) for leaf in leaves)


def _is_numeric(leaf: Any) -> bool:
    return isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype != np.dtype(object)


def _result(value: Value) -> Any:
    """Small known integers and things that are no arrays leave the program as they are."""
    if isinstance(value, (np.ndarray, np.generic)):
        small = value.dtype.kind in "iub" and value.size <= STATIC_RESULT_SIZE
        return fix(value) if small or value.dtype == object else value
    return value if _is_array(value) else fix(value)
