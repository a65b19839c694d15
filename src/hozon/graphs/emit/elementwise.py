"""Rules for primitives that are one elementwise op each; `arithmetic` has those that are more.

The dtypes are those that TensorFlow 2.21's kernels for the CPU take. Others are computed in the
next wider one: half precision in single, as XLA does it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Tensor

ELEMENTWISE = Rules("elementwise")

WIDE = frozenset({"float32", "float64"})
FLOAT = WIDE | {"float16", "bfloat16"}
COMPLEX = frozenset({"complex64", "complex128"})
SIGNED = frozenset({"int8", "int16", "int32", "int64"})
UNSIGNED = frozenset({"uint8", "uint16", "uint32", "uint64"})
INTEGER = SIGNED | UNSIGNED
BOOL = frozenset({"bool"})
INEXACT = FLOAT | COMPLEX
REAL = FLOAT | INTEGER
NUMBER = REAL | COMPLEX

#: The op of each primitive, and the dtypes that it has kernels for. The result has the dtype of
#: the inputs.
_OPS = {
    "acos": ("Acos", INEXACT),
    "acosh": ("Acosh", INEXACT),
    "add": ("AddV2", NUMBER),
    "add_any": ("AddV2", NUMBER),
    "asin": ("Asin", INEXACT),
    "asinh": ("Asinh", INEXACT),
    "atan": ("Atan", INEXACT),
    "atan2": ("Atan2", FLOAT),
    "atanh": ("Atanh", INEXACT),
    "ceil": ("Ceil", FLOAT),
    "cos": ("Cos", INEXACT),
    "cosh": ("Cosh", INEXACT),
    "erf": ("Erf", FLOAT),
    "exp": ("Exp", INEXACT),
    "expm1": ("Expm1", INEXACT),
    "floor": ("Floor", FLOAT),
    "log": ("Log", INEXACT),
    "log1p": ("Log1p", INEXACT),
    "logistic": ("Sigmoid", INEXACT),
    "mul": ("Mul", NUMBER),
    "rsqrt": ("Rsqrt", INEXACT),
    "sin": ("Sin", INEXACT),
    "sinh": ("Sinh", INEXACT),
    "sqrt": ("Sqrt", INEXACT),
    "square": ("Square", NUMBER),
    "sub": ("Sub", NUMBER),
    "tan": ("Tan", INEXACT),
    "tanh": ("Tanh", INEXACT),
}
#: Primitives that tell the truth about numbers.
_TRUTHS = {
    "eq": ("Equal", NUMBER | BOOL),
    "ge": ("GreaterEqual", REAL),
    "gt": ("Greater", REAL),
    "is_finite": ("IsFinite", FLOAT),
    "le": ("LessEqual", REAL),
    "lt": ("Less", REAL),
    "ne": ("NotEqual", NUMBER | BOOL),
}
#: Primitives of bits: the op for truth values and the one for integers.
_BITS = {
    "and": ("LogicalAnd", "BitwiseAnd"),
    "not": ("LogicalNot", "Invert"),
    "or": ("LogicalOr", "BitwiseOr"),
    "xor": ("NotEqual", "BitwiseXor"),
}
#: Primitives that return what they are given.
_SAME = (
    "copy",
    "device_put",
    "layout_constraint",
    "name",
    "optimization_barrier",
    "pvary",
    "sharding_constraint",
)


def computing_dtype(eqn: Equation, dtype: Any, kernels: frozenset[str]) -> np.dtype[Any]:
    """The dtype itself if the op takes it, else the next one that holds all its values."""
    wanted: np.dtype[Any] = np.dtype(dtype)
    for name in (wanted.name, "float32", "int32", "int64"):
        if name in kernels and np.can_cast(_comparable(wanted), name):
            return np.dtype(name) if name != wanted.name else wanted
    raise NoRule(eqn.primitive)


def _comparable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """NumPy knows no casts of bfloat16, whose values single precision holds."""
    return np.dtype(np.float32) if dtype.name == "bfloat16" else dtype


def computed(
    body: Body, eqn: Equation, name: str, kernels: frozenset[str], inputs: Sequence[Tensor]
) -> Tensor:
    """One op, in a dtype that it has a kernel for; the result has the dtype of the inputs."""
    dtype = computing_dtype(eqn, inputs[0].dtype, kernels)
    wide = [converted(body, x, dtype) for x in inputs]
    return converted(body, steps.joined(body, name, wide, dtype), inputs[0].dtype)


def converted(body: Body, x: Tensor, dtype: Any) -> Tensor:
    """`x` in another dtype by TensorFlow's Cast."""
    wanted: np.dtype[Any] = np.dtype(dtype)
    if x.dtype == wanted:
        return x
    return steps.joined(body, "Cast", [x], wanted, SrcT=x.dtype, DstT=wanted)


def _one_op(name: str, kernels: frozenset[str]) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        return computed(body, eqn, name, kernels, inputs)

    return rule


def _truth(name: str, kernels: frozenset[str]) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        dtype = computing_dtype(eqn, inputs[0].dtype, kernels)
        wide = [converted(body, x, dtype) for x in inputs]
        return steps.joined(body, name, wide, np.bool_)

    return rule


def _bits(logical: str, bitwise: str) -> Callable[..., Tensor]:
    def rule(body: Body, _: Equation, *inputs: Tensor) -> Tensor:
        name = logical if inputs[0].dtype == np.bool_ else bitwise
        return steps.joined(body, name, inputs, inputs[0].dtype)

    return rule


for _primitive, _entry in _OPS.items():
    ELEMENTWISE.add(_primitive, _one_op(*_entry))
for _primitive, _entry in _TRUTHS.items():
    ELEMENTWISE.add(_primitive, _truth(*_entry))
for _primitive, _names in _BITS.items():
    ELEMENTWISE.add(_primitive, _bits(*_names))


@ELEMENTWISE.rule(*_SAME)
def same(_body: Body, _eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """What XLA needs to know of a value changes nothing in it."""
    return inputs


@ELEMENTWISE.rule("stop_gradient")
def stop_gradient(body: Body, _: Equation, x: Tensor) -> Tensor:
    """`x`, which has no gradient."""
    return steps.joined(body, "StopGradient", [x], x.dtype)


def _extreme(name: str, logical: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        if inputs[0].dtype == np.bool_:
            return steps.joined(body, logical, inputs, np.bool_)
        return computed(body, eqn, name, REAL, inputs)

    return rule


ELEMENTWISE.add("min", _extreme("Minimum", "LogicalAnd"))
ELEMENTWISE.add("max", _extreme("Maximum", "LogicalOr"))


@ELEMENTWISE.rule("clamp")
def clamp(body: Body, eqn: Equation, low: Tensor, x: Tensor, high: Tensor) -> Tensor:
    """`x` moved between two bounds; the upper one wins."""
    raised = computed(body, eqn, "Maximum", REAL, [x, low])
    return computed(body, eqn, "Minimum", REAL, [raised, high])


@ELEMENTWISE.rule("select_n")
def select_n(body: Body, _: Equation, which: Tensor, *cases: Tensor) -> Tensor:
    """For each element the case that `which` tells: a truth value, or the number of a case."""
    if len(cases) == 1:
        return cases[0]
    if which.dtype == np.bool_:
        return chosen(body, which, cases[1], cases[0])
    result = cases[0]
    for number, case in enumerate(cases[1:], 1):
        reached = [which, steps.scalar(body, number, which.dtype)]
        later = steps.joined(body, "GreaterEqual", reached, np.bool_)
        result = chosen(body, later, case, result)
    return result


def chosen(body: Body, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` where the condition holds, else `no`."""
    return steps.joined(body, "SelectV2", [condition, yes, no], yes.dtype)
