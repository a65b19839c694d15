"""Rules for loops: while and scan, in the form that TensorFlow differentiates and converts.

The first loop variable counts iterations and the second is their greatest number, -1 if there is
none: TensorFlow's gradient of a loop takes them so (``while_v2.py``). What does not change is
passed through unchanged. Rows of arrays are read from and written to lists of tensors, as Keras'
recurrent layers do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.control import handed_in, is_small, outer_sizes, size_arguments, write
from hozon.graphs.emit.keys import KEY_SIZE, is_key
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import VARIANT, Dim, Tensor, declared_shape, is_static

LOOPS = Rules("loops")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one iteration sees: its number, the number of iterations (-1), state and constants."""

    count: Tensor
    limit: Tensor
    state: list[Tensor]
    fixed: list[Tensor]


def loop(
    body: Body,
    limit: Tensor,
    state: Sequence[Tensor],
    fixed: Sequence[Tensor],
    condition: Callable[[Body, Turn], Tensor],
    step: Callable[[Body, Turn], Sequence[Tensor]],
) -> tuple[Tensor, ...]:
    """The last state of a StatelessWhile; `fixed` is what each iteration sees alike."""
    passed = [x for x in fixed if not is_small(body, x)]
    count = steps.scalar(body, 0, np.int32)
    turn = Tensor("loop_counter", count.dtype, ())
    last = Tensor("maximum_iterations", count.dtype, ())
    moving = [Tensor(f"state_{i}", x.dtype, x.shape) for i, x in enumerate(state)]
    still = [Tensor(f"fixed_{i}", x.dtype, x.shape) for i, x in enumerate(passed)]
    names = [turn, last, *moving, *still]
    inner = [body.nested(names), body.nested(names)]
    turns = [Turn(turn, last, moving, handed_in(body, own, fixed, still)) for own in inner]
    goes_on = condition(inner[0], turns[0])
    moved = step(inner[1], turns[1])
    more = steps.op(inner[1], "AddV2", [turn, steps.scalar(inner[1], 1, np.int32)], turn)
    sizes = outer_sizes(body, inner)
    first, second = (size_arguments(own, sizes) for own in inner)
    attrs = {
        "cond": write(inner[0], "while_cond", [*names, *first], [goes_on]),
        "body": write(
            inner[1], "while_body", [*names, *second], [more, last, *moved, *still, *second]
        ),
    }
    inputs = [count, limit, *state, *passed, *sizes.values()]
    return _while(body, inputs, attrs)[2 : 2 + len(state)]


def _while(body: Body, inputs: Sequence[Tensor], attrs: dict[str, Any]) -> tuple[Tensor, ...]:
    shapes = tuple(declared_shape(x.shape) for x in inputs)
    return body.add(
        "StatelessWhile",
        [list(inputs)],
        attrs={**attrs, "output_shapes": shapes},
        shape=[x.shape for x in inputs],
        dtype=tuple(x.dtype for x in inputs),
    )


@LOOPS.rule("while")
def while_(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """As long as the condition holds; where it has a batch, rows stop one by one."""
    p = eqn.params
    asked, done = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]

    def holds(inner: Body, turn: Turn) -> Tensor:
        return inner.inline(p["cond_jaxpr"], [*turn.fixed[:asked], *turn.state])[0]

    def condition(inner: Body, turn: Turn) -> Tensor:
        each = holds(inner, turn)
        axes = steps.integers(inner, range(len(each.shape)))
        return steps.op(inner, "Any", [each, axes], each, ()) if each.shape else each

    def step(inner: Body, turn: Turn) -> Sequence[Tensor]:
        moved = inner.inline(p["body_jaxpr"], [*turn.fixed[asked:], *turn.state])
        if not p["cond_jaxpr"].out_avals[0].shape:
            return moved
        each = holds(inner, turn)
        return [_chosen(inner, each, *pair) for pair in zip(moved, turn.state, strict=True)]

    limit = steps.scalar(body, -1, np.int32)
    return loop(body, limit, inputs[done:], inputs[:done], condition, step)


def _chosen(body: Body, where: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Rows of `yes` where the vector (of any rank) says so, else those of `no`."""
    ones = (1,) * (len(yes.shape) - len(where.shape))
    wide = steps.reshape(body, where, (*where.shape, *ones))
    return steps.op(body, "SelectV2", [wide, yes, no], yes)


@dataclass(frozen=True, slots=True)
class Scan:
    """The parameters of a scan."""

    jaxpr: Any
    length: Dim
    reverse: bool
    constants: int
    carried: int

    @classmethod
    def of(cls, eqn: Equation) -> Scan:
        """From an equation."""
        p = eqn.params
        return cls(p["jaxpr"], p["length"], p["reverse"], p["num_consts"], p["num_carry"])

    def split(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Constants, first carried values, and arrays whose rows are taken in turn."""
        middle = self.constants + self.carried
        return (
            list(inputs[: self.constants]),
            list(inputs[self.constants : middle]),
            list(inputs[middle:]),
        )

    def rows(self) -> list[Tensor]:
        """The row that each turn adds to each result, nameless."""
        return [_numbers(aval) for aval in self.jaxpr.out_avals[self.carried :]]


def _numbers(aval: Any) -> Tensor:
    if is_key(aval):
        return Tensor("", np.dtype(np.uint32), (*aval.shape, KEY_SIZE))
    return Tensor("", np.dtype(aval.dtype), tuple(aval.shape))


@LOOPS.rule("scan")
def scan(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """A loop over rows."""
    how = Scan.of(eqn)
    if is_static(how.length) and how.length == 0:
        return (*how.split(inputs)[1], *(_zeros(body, (0, *row.shape), row) for row in how.rows()))
    if is_static(how.length) and how.length == 1:
        return _once(body, how, inputs)
    return _scanned(body, how, inputs)


def _zeros(body: Body, dims: Sequence[Dim], like: Tensor) -> Tensor:
    return steps.broadcast(body, steps.scalar(body, 0, like.dtype), dims)


def _once(body: Body, how: Scan, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    constants, carried, arrays = how.split(inputs)
    rows = [steps.reshape(body, x, x.shape[1:]) for x in arrays]
    results = body.inline(how.jaxpr, [*constants, *carried, *rows])
    stacks = [steps.expand(body, x, 0) for x in results[how.carried :]]
    return (*results[: how.carried], *stacks)


def _scanned(body: Body, how: Scan, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    constants, carried, arrays = how.split(inputs)
    limit = body.dim(how.length)
    if how.reverse:
        arrays = [steps.reverse(body, x, [0]) for x in arrays]
    taken = [_list_of(body, x) for x in arrays]
    made = [_new_list(body, row, how.length) for row in how.rows()]

    def condition(inner: Body, turn: Turn) -> Tensor:
        return steps.typed(inner, "Less", [turn.count, turn.limit], np.bool_, ())

    def step(inner: Body, turn: Turn) -> Sequence[Tensor]:
        place = turn.count
        own, lists = turn.fixed[: how.constants], turn.fixed[how.constants :]
        rows = [_item(inner, *pair, place) for pair in zip(lists, arrays, strict=True)]
        results = inner.inline(how.jaxpr, [*own, *turn.state[: how.carried], *rows])
        pairs = zip(turn.state[how.carried :], results[how.carried :], strict=True)
        return [*results[: how.carried], *(_with_item(inner, *pair, place) for pair in pairs)]

    last = loop(body, limit, [*carried, *made], [*constants, *taken], condition, step)
    pairs = zip(last[how.carried :], how.rows(), strict=True)
    stacks = [_stacked(body, *pair, how.length) for pair in pairs]
    if how.reverse:
        stacks = [steps.reverse(body, x, [0]) for x in stacks]
    return (*last[: how.carried], *stacks)


def _row_shape(body: Body, dims: Sequence[Dim]) -> Tensor:
    """Sizes of a list's items as a constant, in which symbolic ones are free."""
    return steps.integers(body, [int(dim) if is_static(dim) else -1 for dim in dims])


def _list_of(body: Body, x: Tensor) -> Tensor:
    inputs = [x, _row_shape(body, x.shape[1:])]
    return steps.typed(body, "TensorListFromTensor", inputs, VARIANT, ())


def _item(body: Body, items: Tensor, array: Tensor, place: Tensor) -> Tensor:
    """The row of `array` at `place`, out of the list of its rows."""
    dims = array.shape[1:]
    inputs = [items, place, _row_shape(body, dims)]
    return steps.op(body, "TensorListGetItem", inputs, array, dims, element_dtype=array.dtype)


def _new_list(body: Body, row: Tensor, length: Dim) -> Tensor:
    """A list of zeros. tf2onnx takes what a loop writes for its results if it was just resized."""
    zeros = _list_of(body, _zeros(body, (length, *row.shape), row))
    return steps.op(body, "TensorListResize", [zeros, body.dim(length)], zeros)


def _with_item(body: Body, items: Tensor, row: Tensor, place: Tensor) -> Tensor:
    return steps.op(body, "TensorListSetItem", [items, place, row], items)


def _stacked(body: Body, items: Tensor, row: Tensor, count: Dim) -> Tensor:
    attrs = {"element_dtype": row.dtype, "num_elements": int(count) if is_static(count) else -1}
    inputs = [items, _row_shape(body, row.shape)]
    return steps.op(body, "TensorListStack", inputs, row, (count, *row.shape), **attrs)
