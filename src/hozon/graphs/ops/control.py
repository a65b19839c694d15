"""Conditionals and custom gradients.

Under tracing a condition that is known picks its branch in Python; one that is not becomes a
conditional of XLA, whose branches must give the same shapes. Where they do not, `NotStatic` asks
for the condition's value, so the branch is then picked before the rest is compiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.formats.protos.graph import FunctionRef
from hozon.graphs.slopes import without_slope
from hozon.graphs.staging import Staged, is_abstract, is_numeric, same, stage, strong
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.tensorlist import ItemList, StackedList, is_list
from hozon.graphs.values import Cell, NotStatic, Value, is_static, is_traced

CONTROL = OpTable("control")

#: How TensorFlow names the gradients of ``tf.custom_gradient``.
CUSTOM = "CustomGradient-"


def callee(value: Any) -> Any:
    """The key of a function in an attribute: the name of a library function, or the function."""
    return value.name if isinstance(value, FunctionRef) else value


def truth(value: Value) -> Value:
    """What TensorFlow takes for true: a scalar that is not zero or empty, any other non-empty."""
    if np.ndim(value) > 0:
        return np.asarray(np.size(value) > 0)
    if is_static(value):
        return np.asarray(bool(np.asarray(value).item()))
    return value != 0 if value.dtype != np.bool_ else value


@CONTROL.op("If", "StatelessIf", context=True)
def if_(node: NodeView) -> Kernel:
    branches = [callee(node.attr("else_branch")), callee(node.attr("then_branch"))]

    def kernel(context: Any, condition: Value, *inputs: Value) -> tuple[Value, ...]:
        chosen = truth(condition)
        if not is_traced(chosen):
            return tuple(context.call(branches[bool(chosen)], inputs))
        index = chosen.astype(jnp.int32)
        return switch(context, condition, index, branches, inputs)

    return kernel


@CONTROL.op("Case", "StatelessCase", context=True)
def case(node: NodeView) -> Kernel:
    branches = [callee(branch) for branch in node.attr("branches")]
    last = len(branches) - 1

    def kernel(context: Any, index: Value, *inputs: Value) -> tuple[Value, ...]:
        if not is_traced(index):
            known = int(index) if 0 <= int(index) <= last else last
            return tuple(context.call(branches[known], inputs))
        chosen = jnp.where((index < 0) | (index > last), last, index)
        return switch(context, index, chosen, branches, inputs)

    return kernel


def switch(
    context: Any, condition: Value, index: Value, branches: Sequence[Any], inputs: Sequence[Value]
) -> tuple[Value, ...]:
    """Run branch number `index`, known at run time; variables that a branch assigns follow."""
    staged, cells = _stage_branches(context, branches, inputs)
    leaves = [jax.tree.flatten(s.outputs, is_leaf=is_abstract) for s in staged]
    tree = leaves[0][1]
    if len({str(other) for _, other in leaves}) > 1:
        raise NotStatic(condition, "which branch gives its kind of values")
    columns = list(zip(*(flat for flat, _ in leaves), strict=True))
    dynamic = [not all(same(column[0], leaf) for leaf in column) for column in columns]
    for column, changes in zip(columns, dynamic, strict=True):
        if changes and not _agree(column):
            raise NotStatic(condition, "which branch gives its shapes")
    if any(dynamic):
        run = [_branch(s, flat, dynamic) for s, (flat, _) in zip(staged, leaves, strict=True)]
        chosen = iter(jax.lax.switch(index, run))
    results = [next(chosen) if d else column[0] for column, d in zip(columns, dynamic, strict=True)]
    values = jax.tree.unflatten(tree, results)
    count = len(values) - len(cells)
    for cell, value in zip(cells, values[count:], strict=True):
        context.assign(cell, value)
    return tuple(values[:count])


def _agree(column: Sequence[Any]) -> bool:
    """Whether the values that the branches give for one result have one shape and type."""
    first = column[0]
    return all(
        is_numeric(leaf) and leaf.shape == first.shape and leaf.dtype == first.dtype
        for leaf in column
    )


def _branch(staged: Staged, flat: Sequence[Any], dynamic: Sequence[bool]) -> Any:
    """A function of nothing that gives the results that differ between the branches."""

    def run() -> list[jax.Array]:
        traced = iter(staged.replay())
        values = [next(traced) if is_abstract(leaf) else leaf for leaf in flat]
        return [strong(jnp.asarray(v)) for v, d in zip(values, dynamic, strict=True) if d]

    return run


def _stage_branches(
    context: Any, branches: Sequence[Any], inputs: Sequence[Value]
) -> tuple[list[Staged], list[Cell]]:
    """Every branch traced, with the variables that any of them assigns as further results."""
    cells: dict[int, Cell] = {}
    shapes: dict[int, Any] = {}
    while True:
        found = len(cells), len(shapes)
        staged = [
            stage(partial(_call, context, branch, inputs, cells, shapes), []) for branch in branches
        ]
        _list_shapes(staged, shapes)
        if found == (len(cells), len(shapes)):
            return staged, list(cells.values())


def _call(
    context: Any,
    branch: Any,
    inputs: Sequence[Value],
    cells: dict[int, Cell],
    shapes: dict[int, Any],
    _: Sequence[Value],
) -> list[Value]:
    child = context.child()
    known = list(cells.values())
    results = list(child.call(branch, inputs))
    results += [child.value(cell) for cell in known]
    cells.update({id(cell): cell for cell, _ in child.updates.values()})
    for i, shape in shapes.items():
        results[i] = results[i].stacked(shape)
    return results


def _list_shapes(staged: Sequence[Staged], shapes: dict[int, Any]) -> None:
    """Note the element shapes of lists that one branch gives as an array, another as items."""
    for i, column in enumerate(zip(*(s.outputs for s in staged), strict=False)):
        if i in shapes or not all(is_list(value) for value in column):
            continue
        full = [shape for value in column if (shape := _element_shape(value)) is not None]
        mixed = any(isinstance(value, StackedList) for value in column)
        if full and (mixed or len({jax.tree.structure(value) for value in column}) > 1):
            shapes[i] = full[0]


def _element_shape(value: Value) -> tuple[int, ...] | None:
    if isinstance(value, ItemList):
        return value.element_shape()
    return tuple(value.array.shape[1:])


@CONTROL.op("IdentityN", context=True)
def identity_n(node: NodeView) -> Kernel:
    kind = node.node.attrs.get("_gradient_op_type", b"")
    name = kind.decode(errors="replace")
    count = len(node.attr("T"))

    def kernel(context: Any, *values: Value) -> tuple[Value, ...]:
        gradient = context.library.gradients.get(name)
        if not any(map(is_traced, values[:count])):
            return values[:count]
        if gradient is None:
            return values if not name.startswith(CUSTOM) else tuple(map(plain, values))
        return with_gradient(context, gradient, values[:count], values[count:])

    def plain(value: Value) -> Value:
        return _plain(value, node.name) if is_traced(value) and _is_inexact(value) else value

    return kernel


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _plain(value: Value, _node: str) -> Value:
    """A value of a function whose custom gradient the file does not hold."""
    return value


@_plain.defjvp
def _plain_jvp(node: str, primals: Any, tangents: Any) -> tuple[Value, Value]:
    warnings.warn(
        f"the function at node {node!r} had a custom gradient (tf.custom_gradient), which the file "
        "does not hold: its plain derivative is used. Save it with "
        "tf.saved_model.SaveOptions(experimental_custom_gradients=True)",
        UserWarning,
        stacklevel=2,
    )
    return primals[0], tangents[0]


def with_gradient(
    context: Any, gradient: Any, values: Sequence[Value], captured: Sequence[Value]
) -> tuple[Value, ...]:
    """`values`, whose gradient is what a function of the library makes of their cotangents.

    The function takes one cotangent per value and then what it captured. ``tf.custom_gradient``
    puts the results first among the values, then the arguments, for which there are gradients. All
    of them take part, also a result that JAX takes for a constant, as of a step function.
    """
    varied = [i for i, value in enumerate(values) if is_numeric(value) and _is_inexact(value)]
    cells = _cells_of(context, gradient, captured)
    state = [(context.own(cell), context.value(cell)) for cell in cells]

    @jax.custom_vjp
    def identity(varying: list[Value], kept: Any) -> list[Value]:
        return varying

    def forward(varying: list[Value], kept: Any) -> tuple[list[Value], Any]:
        # By the rule again, for who differentiates further.
        return identity(varying, kept), kept

    def backward(kept: Any, cotangents: list[Value]) -> tuple[list[Value | None], None]:
        given, cell_values = kept
        child = context.child()
        for cell, (own, value) in zip(cells, cell_values, strict=True):
            child.give(cell, own)
            child.carry(cell, value)
        with jax.enable_x64(True):  # JAX may differentiate when the call has ended
            full = [jnp.zeros(value.shape, value.dtype) for value in values]
            for i, cotangent in zip(varied, cotangents, strict=True):
                full[i] = cotangent
            arguments = [*full, *gradient.arguments(_filled(captured, given))]
            gradients = child.call(gradient.function, arguments)
            padded = gradient.spread(gradients, len(values))
            return [_cotangent(padded[i], values[i]) for i in varied], None

    identity.defvjp(forward, backward)
    kept = [_passed(value) for value in captured if is_numeric(value)]
    gradients = len(context.library.bound(gradient.function).function.results)
    given = enumerate(gradient.inputs(len(values), gradients))
    without = {i for i, has in given if not has}
    varying = [_passed(values[i]) if i in without else jnp.asarray(values[i]) for i in varied]
    outputs = identity(varying, (kept, state))
    known = dict(zip(varied, outputs, strict=True))
    return tuple(known.get(i, value) for i, value in enumerate(values))


def _cells_of(context: Any, gradient: Any, captured: Sequence[Value]) -> list[Cell]:
    """The variables with numbers that a gradient function reads."""
    made = [capture() for capture in gradient.captures if not isinstance(capture, str)]
    given = [value for value in (*captured, *made) if isinstance(value, Cell)]
    cells = {id(cell): cell for cell in (*context.library.bound(gradient.function).cells, *given)}
    return [
        cell
        for cell in cells.values()
        if context.peek(cell) is not None and is_numeric(context.value(cell))
    ]


def _is_inexact(value: Value) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


def _filled(captured: Sequence[Value], given: Sequence[Value]) -> list[Value]:
    """The captured values, the numeric ones among them as the backward pass sees them."""
    numbers = iter(given)
    return [next(numbers) if is_numeric(value) else value for value in captured]


def _passed(value: Value) -> Value:
    """A value that is handed on to the gradient function, and has no gradient itself."""
    return without_slope(jnp.asarray(value)) if _is_inexact(value) else value


def _cotangent(gradient: Value | None, value: Value) -> Value | None:
    return None if gradient is None else jnp.asarray(gradient, value.dtype)
