"""Loops.

Under tracing, a loop whose trips can be counted in advance becomes a scan, through which gradients
flow backwards, and its counters are known before and after it. Other loops become loops of XLA,
whose states are computed again to go backwards (`graphs/until.py`). A
body that cannot be traced once for all trips (shapes that change, values that must be known) is
traced trip by trip if there are few; else `NotStatic` moves the loop to the host, where it is a
Python loop over calls of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.induction import Course, follow, unchanged
from hozon.graphs.ops.control import callee, truth
from hozon.graphs.staging import Staged, is_abstract, is_numeric, same, stage
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.tensorlist import ItemList, StackedList, is_list, zeros_list
from hozon.graphs.until import until
from hozon.graphs.values import Cell, NotStatic, Value, is_traced, static_int

LOOPS = OpTable("loops")

#: A loop is traced trip by trip up to this many nodes in all.
MAX_UNROLLED = 4096
#: How often the state of a loop may be given another form before it counts as changing.
MAX_ROUNDS = 8

Body = Callable[[Any, list[Value]], Sequence[Value]]


@LOOPS.op("While", "StatelessWhile", context=True)
def while_(node: NodeView) -> Kernel:
    condition, body = callee(node.attr("cond")), callee(node.attr("body"))

    def test(context: Any, values: Sequence[Value]) -> Value:
        return truth(context.call(condition, values)[0])

    def run(context: Any, values: Sequence[Value]) -> Sequence[Value]:
        result: Sequence[Value] = context.call(body, values)
        return result

    def kernel(context: Any, *inputs: Value) -> tuple[Value, ...]:
        library = context.library
        if context.host or library.bound(condition).host or library.bound(body).host:
            return python_loop(context, test, run, inputs)
        functions = library.function(condition), library.function(body)
        fixed = unchanged(functions[1]) | _opaque(inputs)
        course = follow(context, *functions, inputs, fixed)
        loop = Loop(context, run, inputs, fixed, course)
        if course is None:
            return loop.repeat(test)
        return loop.scan(len(functions[1].nodes))

    return kernel


@LOOPS.op("For", context=True)
def for_(node: NodeView) -> Kernel:
    body = callee(node.attr("body"))

    def kernel(
        context: Any, start: Value, limit: Value, delta: Value, *inputs: Value
    ) -> tuple[Value, ...]:
        bounds = [static_int(x, "the range of a loop") for x in (start, limit, delta)]
        values: tuple[Value, ...] = inputs
        for i in range(*bounds):
            values = context.call(body, (np.asarray(i, np.int32), *values))
        return values

    return kernel


def python_loop(
    context: Any,
    test: Callable[[Any, Sequence[Value]], Value],
    body: Body,
    values: Sequence[Value],
) -> tuple[Value, ...]:
    """Run trip by trip; under tracing the condition must be known at every one."""
    child = context.child()
    child.looping = True
    values = list(values)
    while True:
        more = test(child, values)
        if is_traced(more):
            raise NotStatic(None, "whether a loop goes on")
        if not bool(more):
            break
        values = list(body(child, values))
    for cell, value in child.updates.values():
        context.assign(cell, value)
    return tuple(values)


def _opaque(values: Sequence[Value]) -> frozenset[int]:
    """Variables, tables and strings: what a compiled loop cannot change."""
    return frozenset(
        i
        for i, value in enumerate(values)
        if not all(is_numeric(leaf) for leaf in jax.tree.leaves(value))
    )


class Loop:
    """A loop that is being traced.

    Its variables are the ones that stay as they are (`fixed`), the counters of its `course`, and
    the `state`: the rest, followed by the values of variables (`cells`) that the body assigns.
    """

    def __init__(
        self,
        context: Any,
        body: Body,
        inputs: Sequence[Value],
        fixed: frozenset[int],
        course: Course | None,
    ) -> None:
        self.context = context
        self.body = body
        self.inputs = inputs
        self.fixed = fixed
        self.course = course
        self.counters = sorted(course.values) if course is not None else []
        known = fixed | set(self.counters)
        self.carried = [i for i in range(len(inputs)) if i not in known]
        self.cells: list[Cell] = []
        self.state: list[Value] = [_array_form(inputs[i]) for i in self.carried]
        self.lengths: dict[int, int] = {}

    def scan(self, nodes: int) -> tuple[Value, ...]:
        """Run the known number of trips."""
        course = self.course
        assert course is not None
        if course.trips == 0:
            return tuple(self.inputs)
        try:
            if course.trips > 1:
                return self._scan(course)
        except NotStatic:
            if course.trips * nodes > MAX_UNROLLED:
                raise
        values = list(self.inputs)
        for _ in range(course.trips):
            values = list(self.body(self.context, values))
        return tuple(values)

    def _scan(self, course: Course) -> tuple[Value, ...]:
        sequences = [np.stack(course.values[i]) for i in self.counters]
        staged = self._stage([_first(sequence) for sequence in sequences])

        def trip(state: list[Value], counters: Any) -> tuple[list[Value], None]:
            return list(staged.replay(*counters, *state)), None

        final, _ = jax.lax.scan(trip, self._leaves(), sequences, length=course.trips)
        return self._finish(final, [course.final[i] for i in self.counters])

    def repeat(self, test: Callable[[Any, Sequence[Value]], Value]) -> tuple[Value, ...]:
        """Run until the condition, evaluated at run time, is false."""
        staged = self._stage([])

        def more(leaves: list[Value]) -> Value:
            child = self.context.child()
            condition = test(child, self._values(child, self._unflatten(leaves), []))
            if child.updates:
                raise NotStatic(None, "the condition of a loop that changes variables")
            return jnp.asarray(condition)

        final = until(more, lambda s: staged.replay(*s), self._leaves())
        return self._finish(final, [])

    def _finish(self, leaves: Sequence[Value], counters: Sequence[Value]) -> tuple[Value, ...]:
        """The loop's results; variables get their new values."""
        state = self._unflatten(leaves)
        for i, length in self.lengths.items():
            state[i] = state[i].with_length(length)
        results = list(self.inputs)
        for i, value in zip(self.counters, counters, strict=True):
            results[i] = value
        for i, value in zip(self.carried, state, strict=False):
            results[i] = value
        for cell, value in zip(self.cells, state[len(self.carried) :], strict=True):
            self.context.assign(cell, value)
        return tuple(results)

    def _leaves(self) -> list[jax.Array]:
        return [jnp.asarray(leaf) for leaf in jax.tree.leaves(self.state)]

    def _unflatten(self, leaves: Sequence[Value]) -> list[Value]:
        state: list[Value] = jax.tree.unflatten(jax.tree.structure(self.state), leaves)
        return state

    def _values(self, child: Any, state: list[Value], counters: Sequence[Value]) -> list[Value]:
        """All loop variables for one trip; `child` is told the values of assigned cells."""
        values = list(self.inputs)
        for i, value in zip(self.counters, counters, strict=True):
            values[i] = value
        for i, value in zip(self.carried, state, strict=False):
            values[i] = value
        for cell, value in zip(self.cells, state[len(self.carried) :], strict=True):
            child.carry(cell, value)
        return values

    def _stage(self, counters: Sequence[Value]) -> Staged:
        """The body traced, once the state has a form that the body keeps."""
        for _ in range(MAX_ROUNDS):
            assigned: dict[int, Cell] = {}
            trip = partial(self._trip, len(counters), assigned)
            staged = stage(trip, [*counters, *self.state])
            if not self._adapt(staged.outputs, assigned):
                return staged
        raise NotStatic(None, "the form of a loop's state")

    def _trip(self, count: int, assigned: dict[int, Cell], inputs: Sequence[Value]) -> list[Value]:
        """One trip from counters and state to the next state."""
        child = self.context.child()
        counters, state = inputs[:count], list(inputs[count:])
        for i, counter in zip(self.counters, counters, strict=True):
            self._note_largest(child, i, counter)
        results = list(self.body(child, self._values(child, state, counters)))
        for i in self.fixed:
            if not _is_same(results[i], self.inputs[i]):
                raise NotStatic(None, "a resource or string in the state of a loop")
        following = [results[i] for i in self.carried] + [child.value(c) for c in self.cells]
        assigned.update({id(c): c for c, _ in child.updates.values() if c not in self.cells})
        return [_like(new, old) for new, old in zip(following, self.state, strict=True)]

    def _note_largest(self, child: Any, number: int, counter: Value) -> None:
        assert self.course is not None
        values = self.course.values[number]
        if counter.shape == () and counter.dtype.kind in "iu":
            child.bound(counter, max(int(value) for value in values))

    def _adapt(self, outputs: Sequence[Value], assigned: dict[int, Cell]) -> bool:
        """Give the state the form that the body makes of it; whether anything changed."""
        changed = False
        for i, (old, new) in enumerate(zip(self.state, outputs, strict=True)):
            adapted = self._adapted(i, old, new)
            if adapted is not None:
                self.state[i] = adapted
                changed = True
        for cell in assigned.values():
            self.cells.append(cell)
            self.state.append(_array_form(self._read(cell)))
        return changed or bool(assigned)

    def _read(self, cell: Cell) -> Value:
        try:
            value = self.context.value(cell)
        except MismatchError as error:
            raise NotStatic(None, "a variable without a value that a loop assigns") from error
        if not all(is_numeric(leaf) for leaf in jax.tree.leaves(value)):
            raise NotStatic(None, "strings in a variable that a loop assigns")
        return value

    def _adapted(self, index: int, old: Value, new: Value) -> Value | None:
        """`old` in the form of `new`; None when it has that form already."""
        if _forms(old) == _forms(new):
            return None
        if is_list(new) and new.gradient and np.ndim(old) == 0 and not is_traced(old):
            return zeros_list(new)  # a flow before anything was written
        if not (is_list(old) and is_list(new)):
            raise NotStatic(None, "the shape of a loop variable that changes")
        return self._adapted_list(index, old, new)

    def _adapted_list(self, index: int, old: Value, new: Value) -> Value:
        shape = new.element_shape() if isinstance(new, ItemList) else new.array.shape[1:]
        if shape is None or _is_counted(old) or _is_counted(new):
            raise NotStatic(None, "the shape of a list in a loop")
        growth = new.length - old.length
        if isinstance(new, StackedList):
            return old.resize(new.length).stacked(shape)
        if growth == 0:
            return old.stacked(shape)
        trips = self.course.trips if self.course is not None else None
        if trips is None:
            raise NotStatic(None, "the length of a list that a loop changes")
        self.lengths[index] = old.length + growth * trips
        return old.stacked(shape).with_room(old.length + max(0, growth) * trips)


def _first(sequence: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(sequence[0])


def _array_form(value: Value) -> Value:
    """A list as one array where its elements have one known shape."""
    if not isinstance(value, ItemList):
        return value
    shape = value.element_shape()
    return value if shape is None else value.stacked(shape)


def _like(new: Value, old: Value) -> Value:
    """A list that the body took apart, put together again like the one it came from."""
    if isinstance(new, ItemList) and isinstance(old, StackedList) and new.length == old.length:
        return new.stacked(old.array.shape[1:])
    return new


def _is_counted(value: Value) -> bool:
    return isinstance(value, StackedList) and value.count is not None


def _is_same(new: Value, old: Value) -> bool:
    """Whether a variable that must stay the same does."""
    first, second = jax.tree.leaves(new), jax.tree.leaves(old)
    return len(first) == len(second) and all(map(same, first, second))


def _forms(value: Value) -> Any:
    """What two values must have in common to be the state of one loop."""
    leaves, tree = jax.tree.flatten(value, is_leaf=is_abstract)
    return str(tree), [(tuple(leaf.shape), np.dtype(leaf.dtype)) for leaf in leaves]
