"""Running a prepared function node by node, on values or on JAX tracers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import HozonError
from hozon.graphs.ir import Node
from hozon.graphs.library import Bound, FunctionKey, Library, Step
from hozon.graphs.slopes import with_slope_of
from hozon.graphs.values import Cell, NotStatic, Value, as_numpy, boxed, is_traced

Caller = Callable[["Context", Bound, Sequence[Value]], tuple[Value, ...]]

#: What JAX raises when an op needs a concrete value of a tracer.
NEEDS_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class NodeNotStatic(NotStatic):
    """`NotStatic`, with the step of the outermost function and the node where it happened."""

    def __init__(self, cause: Exception, step: int, inputs: Sequence[Value], node: Node) -> None:
        value = getattr(cause, "value", None)
        purpose = getattr(cause, "purpose", "a value that must be known in advance")
        super().__init__(value, purpose)
        self.step = step
        self.node: Node = getattr(cause, "node", node)
        self.input = next((i for i, x in enumerate(inputs) if x is value), None)


class Context:
    """What a running op may use besides its inputs: functions, variables, random numbers.

    Assignments are kept in `updates` until the outermost call commits them, so a call is pure
    and can be traced. `host` is true while values are concrete and NumPy may be used freely.
    `looping` is true inside of a loop that runs on the host, `numpy` where variables are wanted as
    NumPy arrays.
    """

    def __init__(
        self, library: Library, caller: Caller, host: bool, parent: Context | None = None
    ) -> None:
        self.library = library
        self.host = host
        self.updates: dict[int, tuple[Cell, Value]] = {}
        self._given: dict[int, Value] = {}
        self._carried: dict[int, Value] = {}
        self._largest: dict[int, tuple[Value, int]] = {}
        self.looping: bool = parent is not None and parent.looping
        self.numpy: bool = parent is not None and parent.numpy
        self._caller = caller
        self._parent = parent

    def call(self, function: FunctionKey, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Run another function of the library."""
        return self._caller(self, self.library.bound(function), arguments)

    def child(self) -> Context:
        """A context for a branch or loop body: it sees this state and keeps its own updates."""
        return Context(self.library, self._caller, self.host, self)

    @property
    def speculative(self) -> bool:
        """Whether this traces a branch or loop body that a run may never enter."""
        return self._parent is not None and not self.host

    def give(self, cell: Cell, value: Value) -> None:
        """State the value that a variable had before the call, to which gradients flow."""
        self._given[id(cell)] = value

    def carry(self, cell: Cell, value: Value) -> None:
        """State the value that a variable has here after earlier assignments, as in a loop."""
        self._carried[id(cell)] = value

    def bound(self, index: Value, largest: int) -> None:
        """State how large a traced integer gets, e.g. the counter of a loop."""
        self._largest[id(index)] = (index, largest)

    def largest(self, index: Value) -> int | None:
        """The largest value that an integer can have here, None if that is not known."""
        if not isinstance(index, jax.core.Tracer):
            return int(index)
        if id(index) in self._largest:
            return self._largest[id(index)][1]
        return self._parent.largest(index) if self._parent is not None else None

    def read(self, cell: Cell) -> Value:
        """The value of a variable as this call sees it.

        Reading is a leaf of differentiation, as in TensorFlow: gradients flow to the variable,
        never into what was assigned to it.
        """
        value, assigned = self.found(cell)
        if assigned:
            value = leaf(value, self.own(cell))
        return as_numpy(value) if self.numpy else value

    def value(self, cell: Cell) -> Value:
        """What `read` gives, without gradients to the variable where it was assigned."""
        return self.found(cell)[0]

    def own(self, cell: Cell) -> Value | None:
        """The value that a variable had before the call, None if it had none."""
        if id(cell) in self._given:
            return self._given[id(cell)]
        if self._parent is not None:
            return self._parent.own(cell)
        return cell.read() if getattr(cell, "initialized", True) else None

    def found(self, cell: Cell) -> tuple[Value, bool]:
        """The value of a variable as this call sees it, and whether the call assigned it."""
        if id(cell) in self.updates:
            return self.updates[id(cell)][1], True
        if id(cell) in self._carried:
            return self._carried[id(cell)], True
        if id(cell) in self._given:
            return self._given[id(cell)], False
        return self._parent.found(cell) if self._parent is not None else (cell.read(), False)

    def peek(self, cell: Cell) -> Value | None:
        """The value of a variable as this call sees it, None before it has one."""
        if any(id(cell) in known for known in (self.updates, self._carried, self._given)):
            return self.found(cell)[0]
        if self._parent is not None:
            return self._parent.peek(cell)
        return cell.read() if getattr(cell, "initialized", True) else None

    def assign(self, cell: Cell, value: Value) -> Value:
        """Give a variable a new value, seen by the rest of this call; the value, as a constant."""
        constant = jax.tree.map(without_gradient, value)
        self.updates[id(cell)] = (cell, constant)
        return constant

    def random_key(self) -> jax.Array:
        """A fresh JAX random key; every draw advances the artifact's random state."""
        cell = self.library.resources.random
        key = jax.random.wrap_key_data(jax.numpy.asarray(self.read(cell), jax.numpy.uint32))
        keys = jax.random.split(key)
        self.assign(cell, jax.random.key_data(keys[0]))
        drawn: jax.Array = keys[1]
        return drawn


def leaf(value: Value, own: Value | None) -> Value:
    """`value`, assigned to a variable, whose gradient goes to the variable's `own` value."""
    if own is None or not is_traced(own) or not jnp.issubdtype(own.dtype, jnp.inexact):
        return value
    if (value.shape, value.dtype) != (own.shape, own.dtype):
        return value
    return with_slope_of(value, own)


def without_gradient(value: Value) -> Value:
    """`value` as a constant of differentiation."""
    return jax.lax.stop_gradient(value) if is_traced(value) else value


def evaluate(context: Context, bound: Bound, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """Run every step of a function in order and return its results."""
    values: list[tuple[Value, ...]] = [()] * len(bound.steps)
    for position, argument in zip(bound.function.arguments, arguments, strict=True):
        values[position] = (argument,)
    given = set(bound.function.arguments)
    with np.errstate(all="ignore"):
        for position, step in enumerate(bound.steps):
            if position not in given:
                inputs = [values[ref.node][ref.output] for ref in step.node.inputs]
                values[position] = run_step(context, bound, position, inputs)
    return tuple(values[ref.node][ref.output] for ref in bound.function.results)


def run_step(
    context: Context, bound: Bound, position: int, inputs: list[Value]
) -> tuple[Value, ...]:
    """Run one step; failures name the node."""
    step = bound.steps[position]
    inputs = _dereferenced(context, step, inputs)
    if context.host and step.host:
        inputs = [as_numpy(value) for value in inputs]
    try:
        result = step.kernel(context, *inputs) if step.context else step.kernel(*inputs)
    except (NotStatic, *NEEDS_VALUE) as error:
        raise NodeNotStatic(error, position, inputs, step.node) from error
    except HozonError:
        raise
    except Exception as error:
        error.add_note(f"in node {step.node.name!r} ({step.node.op}) of {bound.function.name!r}")
        raise
    return tuple(map(boxed, result if isinstance(result, tuple) else (result,)))


def _dereferenced(context: Context, step: Step, inputs: list[Value]) -> list[Value]:
    if not step.dereferences:
        return inputs
    return [
        context.read(value) if i in step.dereferences and isinstance(value, Cell) else value
        for i, value in enumerate(inputs)
    ]


def inline(context: Context, bound: Bound, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """The caller used while tracing: callees run in place."""
    return evaluate(context, bound, arguments)


def holds_tracer(values: Any) -> bool:
    """Whether any leaf of a structure is a tracer."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))
