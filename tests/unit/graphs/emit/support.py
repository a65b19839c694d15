"""The rules under test, and the plainest ones for the primitives that surround them in jaxprs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.contract import CONTRACT
from hozon.graphs.emit.convolve import CONVOLVE
from hozon.graphs.emit.index import INDEX
from hozon.graphs.emit.linalg import LINALG
from hozon.graphs.emit.random import RANDOM
from hozon.graphs.emit.reduce import REDUCE
from hozon.graphs.emit.rules import Equation, Rules, merge
from hozon.graphs.emit.scatter import SCATTER
from hozon.graphs.emit.slices import SLICES
from hozon.graphs.emit.special import SPECIAL
from hozon.graphs.emit.values import Tensor
from hozon.graphs.emit.windows import WINDOWS

SURROUNDINGS = Rules("surroundings")

_SAME_DTYPE = {
    "abs": "Abs", "add": "AddV2", "copy": "Identity", "div": "RealDiv", "exp": "Exp", "log": "Log",
    "max": "Maximum", "min": "Minimum", "mul": "Mul", "neg": "Neg", "nextafter": "NextAfter",
    "shift_left": "LeftShift", "sign": "Sign", "sqrt": "Sqrt", "square": "Square",
    "stop_gradient": "StopGradient", "sub": "Sub", "xor": "BitwiseXor", "erf": "Erf",
}  # fmt: skip
_TRUTH = {"eq": "Equal", "ge": "GreaterEqual", "gt": "Greater", "le": "LessEqual", "lt": "Less",
          "ne": "NotEqual"}  # fmt: skip
_BITS = {"and": ("LogicalAnd", "BitwiseAnd"), "or": ("LogicalOr", "BitwiseOr"),
         "not": ("LogicalNot", "Invert")}  # fmt: skip


def _one(name: str, *, truth: bool = False) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        dtype = np.bool_ if truth else inputs[0].dtype
        return steps.typed(body, name, inputs, dtype, eqn.out_avals[0].shape)

    return rule


for _primitive, _name in _SAME_DTYPE.items():
    SURROUNDINGS.add(_primitive, _one(_name))
for _primitive, _name in _TRUTH.items():
    SURROUNDINGS.add(_primitive, _one(_name, truth=True))


def _bits(logical: str, bitwise: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        name = logical if inputs[0].dtype == np.bool_ else bitwise
        return steps.typed(body, name, inputs, inputs[0].dtype, eqn.out_avals[0].shape)

    return rule


for _primitive, _names in _BITS.items():
    SURROUNDINGS.add(_primitive, _bits(*_names))


def _inlined(parameter: str) -> Callable[..., Any]:
    return lambda body, eqn, *inputs: body.inline(eqn.params[parameter], inputs)


SURROUNDINGS.add("jit", _inlined("jaxpr"))
SURROUNDINGS.add("custom_jvp_call", _inlined("call_jaxpr"))


@SURROUNDINGS.rule("rem")
def rem(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    name = "TruncateMod" if x.dtype.kind == "i" else "FloorMod"
    return steps.typed(body, name, [x, y], x.dtype, eqn.out_avals[0].shape)


@SURROUNDINGS.rule("shift_right_logical")
def shift_right_logical(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    amount = body.value(y)
    if amount is not None and np.all(amount >= 8 * x.dtype.itemsize):
        return steps.op(body, "ZerosLike", [x], x)
    unsigned = np.dtype(f"uint{8 * x.dtype.itemsize}")
    bits = steps.bitcast(body, x, unsigned)
    shifted = steps.op(body, "RightShift", [bits, steps.bitcast(body, y, unsigned)], bits)
    return steps.bitcast(body, shifted, x.dtype)


@SURROUNDINGS.rule("convert_element_type")
def convert_element_type(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    return steps.cast(body, x, eqn.params["new_dtype"])


@SURROUNDINGS.rule("bitcast_convert_type")
def bitcast_convert_type(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    return steps.bitcast(body, x, eqn.params["new_dtype"])


@SURROUNDINGS.rule("broadcast_in_dim")
def broadcast_in_dim(body: Body, eqn: Equation, x: Tensor, *_: Tensor) -> Tensor:
    dims = tuple(eqn.out_avals[0].shape)
    inner: list[Any] = [1] * len(dims)
    for size, place in zip(x.shape, eqn.params["broadcast_dimensions"], strict=True):
        inner[place] = size
    value = body.value(x)
    if value is not None and steps.is_known(dims):
        return body.constant(np.broadcast_to(value.reshape(inner), dims))
    return steps.broadcast(body, steps.reshape(body, x, inner), dims)


@SURROUNDINGS.rule("reshape", "squeeze", "expand_dims")
def reshape(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    return steps.reshape(body, x, eqn.out_avals[0].shape)


@SURROUNDINGS.rule("transpose")
def transpose(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    return steps.transpose(body, x, eqn.params["permutation"])


@SURROUNDINGS.rule("rev")
def rev(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    return steps.reverse(body, x, eqn.params["dimensions"])


@SURROUNDINGS.rule("concatenate")
def concatenate(body: Body, eqn: Equation, *parts: Tensor) -> Tensor:
    return steps.concat(body, parts, eqn.params["dimension"])


@SURROUNDINGS.rule("stack")
def stack(body: Body, eqn: Equation, *parts: Tensor) -> Tensor:
    dims = eqn.out_avals[0].shape
    return steps.op(body, "Pack", [list(parts)], parts[0], dims, axis=eqn.params["axis"])


@SURROUNDINGS.rule("slice")
def slice_(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    begin, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    size = [limit - start for start, limit in zip(begin, limits, strict=True)]
    strides = eqn.params["strides"] or (1,) * len(size)
    return steps.take_every(body, steps.cut(body, x, begin, size), strides)


@SURROUNDINGS.rule("split")
def split(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, ...]:
    axis, parts, place = eqn.params["axis"], [], 0
    for size in eqn.params["sizes"]:
        begin = [place if i == axis else 0 for i in range(len(x.shape))]
        dims = [size if i == axis else dim for i, dim in enumerate(x.shape)]
        parts.append(steps.cut(body, x, begin, dims))
        place += size
    return tuple(parts)


@SURROUNDINGS.rule("iota")
def iota(body: Body, eqn: Equation) -> Tensor:
    axis, dims = eqn.params["dimension"], tuple(eqn.params["shape"])
    inner = [dim if i == axis else 1 for i, dim in enumerate(dims)]
    line = steps.iota(body, dims[axis], eqn.params["dtype"])
    return steps.broadcast(body, steps.reshape(body, line, inner), dims)


@SURROUNDINGS.rule("select_n")
def select_n(body: Body, eqn: Equation, which: Tensor, no: Tensor, yes: Tensor) -> Tensor:
    return steps.op(body, "SelectV2", [which, yes, no], no)


@SURROUNDINGS.rule("clamp")
def clamp(body: Body, eqn: Equation, low: Tensor, x: Tensor, high: Tensor) -> Tensor:
    raised = steps.op(body, "Maximum", [x, low], x)
    return steps.op(body, "Minimum", [raised, high], x)


@SURROUNDINGS.rule("dim_as_value")
def dim_as_value(body: Body, eqn: Equation) -> Tensor:
    return steps.cast(body, body.dim(eqn.params["dim"]), eqn.out_avals[0].dtype)


RULES = merge(
    [
        SURROUNDINGS,
        CONTRACT,
        CONVOLVE,
        INDEX,
        LINALG,
        RANDOM,
        REDUCE,
        SCATTER,
        SLICES,
        SPECIAL,
        WINDOWS,
    ]
)
