"""Rules for calls and branches; loops are in `loops`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr

from hozon.formats.protos.graph import FunctionRef
from hozon.graphs._jax import own_name
from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.custom import placed, with_gradient
from hozon.graphs.emit.definition import argument, define
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.search import searched
from hozon.graphs.emit.values import Tensor, declared_shape

CONTROL = Rules("control")

#: Primitives that call one jaxpr, and the parameter that has it.
_CALLS = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "composite": "jaxpr",
    "core_call": "call_jaxpr",
    "custom_vmap_call": "call",
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "remat2": "jaxpr",
}
#: What only shows values while a program runs.
_SHOWN = ("debug_callback", "debug_print")
#: Constants of at most so many elements are repeated in branches and loops, not passed in.
SMALL = 256


def _inlined(parameter: str) -> Callable[..., Any]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = searched(body, eqn, *inputs)
        if found is not None:
            return found
        called = eqn.params[parameter]
        closed = called if isinstance(called, ClosedJaxpr) else ClosedJaxpr(called, ())
        return body.inline(closed, inputs)

    return rule


for _primitive, _parameter in _CALLS.items():
    CONTROL.add(_primitive, _inlined(_parameter))


@CONTROL.rule("custom_vjp_call")
def custom_vjp(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """What the function gives, and its own gradient."""
    results = body.inline(eqn.params["call_jaxpr"], inputs)
    return with_gradient(body, eqn, inputs, results)


@CONTROL.rule("custom_jvp_call")
def custom_jvp(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The op that JAX's own function is, else what the function gives and its own derivative.

    In branches and loops it is differentiated as its ops are: TensorFlow cannot differentiate a
    loop with a gradient that was saved.
    """
    closed = eqn.params["call_jaxpr"]
    known = _KNOWN.get(own_name(closed) or "")
    written = known(body, *inputs) if known is not None else None
    if written is not None:
        return (written,)
    results = body.inline(closed, inputs)
    return results if body.is_nested else with_gradient(body, eqn, inputs, results)


def _activation(op: str) -> Callable[..., Tensor | None]:
    def write(body: Body, x: Tensor) -> Tensor | None:
        floating = x.dtype.name in ("float16", "bfloat16", "float32", "float64")
        return steps.op(body, op, [x], x) if floating else None

    return write


def _log_add_exp(body: Body, x: Tensor, y: Tensor) -> Tensor | None:
    """With zero it is Softplus."""
    other = body.value(body.narrow(y))
    zero = other is not None and other.dtype.kind == "f" and not other.any()
    return steps.op(body, "Softplus", [x], x) if zero and x.dtype == y.dtype else None


def _handed_on(body: Body, x: Tensor) -> Tensor:
    """What passes through a custom gradient has none of its own in TensorFlow."""
    return x


#: Functions that are one op, which has their derivative, or none.
_KNOWN: dict[str, Callable[..., Tensor | None]] = {
    "logaddexp": _log_add_exp,
    "relu": _activation("Relu"),
    "relu6": _activation("Relu6"),
    "without_slope": _handed_on,
}


@CONTROL.rule(*_SHOWN)
def shown(_body: Body, _eqn: Equation, *_inputs: Tensor) -> tuple[Tensor, ...]:
    """Nothing: a saved function prints nothing."""
    return ()


@CONTROL.rule("platform_index")
def platform_index(body: Body, eqn: Equation) -> Tensor:
    """The place of the CPU, or else of what holds for every platform."""
    platforms = eqn.params["platforms"]
    places = [i for i, names in enumerate(platforms) if names is not None and "cpu" in names]
    places += [i for i, names in enumerate(platforms) if names is None]
    if not places:
        raise NoRule(eqn.primitive)
    return steps.scalar(body, places[0], np.int32)


@CONTROL.rule("cond")
def cond(body: Body, eqn: Equation, index: Tensor, *operands: Tensor) -> tuple[Tensor, ...]:
    """One of several branches: the one alone if known, else StatelessIf, one in another."""
    branches = eqn.params["branches"]
    known = body.value(index)
    if known is not None:
        return body.inline(branches[int(np.clip(known, 0, len(branches) - 1))], operands)
    return _one_of(body, branches, steps.cast(body, index, np.int32), operands)


def _one_of(
    body: Body, branches: Sequence[Any], index: Tensor, operands: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The first branch for an index up to 0, one of the others for a greater one."""
    if len(branches) == 1:
        return body.inline(branches[0], operands)
    zero, one = (steps.scalar(body, k, np.int32) for k in (0, 1))
    later = steps.typed(body, "Greater", [index, zero], np.bool_, ())
    others = branches[1:]
    given = list(operands)
    if len(others) > 1:
        given.append(steps.op(body, "Sub", [index, one], index))

    def first(inner: Body, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return inner.inline(branches[0], inputs[: len(operands)])

    def other(inner: Body, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return _one_of(inner, others, inputs[-1], inputs[: len(operands)])

    return _either(body, later, other, first, given)


Written = Callable[[Body, Sequence[Tensor]], tuple[Tensor, ...]]


def _either(
    body: Body, condition: Tensor, yes: Written, no: Written, given: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    passed = [x for x in given if not is_small(body, x)]
    names = [Tensor(f"input_{i}", x.dtype, x.shape) for i, x in enumerate(passed)]
    inner = [body.nested(names), body.nested(names)]
    then, otherwise = (
        branch(own, handed_in(body, own, given, names))
        for branch, own in zip((yes, no), inner, strict=True)
    )
    sizes = outer_sizes(body, inner)
    first, second = ([*names, *size_arguments(own, sizes)] for own in inner)
    attrs = {
        "then_branch": write(inner[0], "true", first, then),
        "else_branch": write(inner[1], "false", second, otherwise),
        "Tout": tuple(x.dtype for x in then),
        "output_shapes": tuple(declared_shape(x.shape) for x in then),
    }
    inputs = [condition, [*passed, *sizes.values()]]
    return body.add(
        "StatelessIf",
        inputs,
        attrs=attrs,
        shape=[x.shape for x in then],
        dtype=tuple(x.dtype for x in then),
    )


def is_small(body: Body, x: Tensor) -> bool:
    """Whether `x` is a constant that nested functions repeat."""
    value = body.value(x)
    return value is not None and value.size <= SMALL


def handed_in(
    outer: Body, inner: Body, given: Sequence[Tensor], names: Sequence[Tensor]
) -> list[Tensor]:
    """What the tensors `given` are inside: small constants, else `names` in order."""
    rest = iter(names)
    return [inner.constant(outer.value(x)) if is_small(outer, x) else next(rest) for x in given]


def outer_sizes(body: Body, inner: Sequence[Body]) -> dict[str, Tensor]:
    """The symbolic sizes that nested bodies take, as they are outside."""
    return {name: body.symbol(name) for own in inner for name in own.sizes}


def size_arguments(inner: Body, names: Iterable[str]) -> list[Tensor]:
    """The arguments of a nested body that are these symbolic sizes."""
    return [inner.symbol(name) for name in names]


def write(
    inner: Body, label: str, arguments: Sequence[Tensor], results: Sequence[Tensor]
) -> FunctionRef:
    """Enter a nested body among the functions; a reference to it."""
    name = inner.functions.unique(label)
    outputs = {f"output_{i}": x for i, x in enumerate(results)}
    shapes = [declared_shape(x.shape) for x in arguments]
    definition = define(
        name,
        inner,
        [argument(x.name, x) for x in arguments],
        outputs,
        attrs={"_input_shapes": tuple(shapes)},
        arg_attrs={i: {"_output_shapes": (shape,)} for i, shape in enumerate(shapes)},
    )
    inner.functions.definitions.append(definition)
    inner.functions.gradients += placed(inner, name, [node.name for node in definition.nodes])
    return FunctionRef(name, {})
