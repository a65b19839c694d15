"""Rules for elementwise primitives that are several ops, or other ones for other dtypes.

Integers behave as in XLA: division truncates and does not fail, shifts may be wider than a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.elementwise import (
    COMPLEX,
    FLOAT,
    INEXACT,
    INTEGER,
    NUMBER,
    SIGNED,
    WIDE,
    chosen,
    computed,
    computing_dtype,
    converted,
)
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Tensor

ARITHMETIC = Rules("arithmetic")


def _number(body: Body, value: Any, like: Tensor) -> Tensor:
    return steps.scalar(body, value, like.dtype)


def _truth(body: Body, name: str, *inputs: Tensor) -> Tensor:
    return steps.joined(body, name, inputs, np.bool_)


def _same(body: Body, name: str, *inputs: Tensor) -> Tensor:
    """An op whose result has the dtype of its last input."""
    return steps.joined(body, name, inputs, inputs[-1].dtype)


@ARITHMETIC.rule("abs")
def absolute(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Magnitude; of complex numbers it is real."""
    if x.dtype.kind == "u":
        return x
    if x.dtype.kind != "c":
        return computed(body, eqn, "Abs", FLOAT | SIGNED, [x])
    real = np.dtype(eqn.out_avals[0].dtype)
    return steps.joined(body, "ComplexAbs", [x], real, Tout=real)


@ARITHMETIC.rule("neg")
def negative(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Minus `x`, modulo the range of an unsigned type."""
    if x.dtype.kind == "u":
        return computed(body, eqn, "Sub", NUMBER, [_number(body, 0, x), x])
    return computed(body, eqn, "Neg", SIGNED | INEXACT, [x])


@ARITHMETIC.rule("sign")
def sign(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """-1, 0 or 1; x / abs(x) for complex numbers."""
    if x.dtype.kind == "u":
        return computed(body, eqn, "Minimum", INTEGER, [x, _number(body, 1, x)])
    return computed(body, eqn, "Sign", SIGNED | INEXACT, [x])


@ARITHMETIC.rule("div")
def divide(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    """Quotient, truncated for integers; by zero it has all bits set."""
    if x.dtype.kind not in "iu":
        return computed(body, eqn, "RealDiv", INEXACT, [x, y])
    safe, zero = _divisor(body, x, y)
    quotient = _same(body, "TruncateDiv", x, safe)
    if zero is None:
        return quotient
    ones = np.array(-1).astype(x.dtype)
    return chosen(body, zero, _number(body, ones, x), quotient)


@ARITHMETIC.rule("rem")
def remainder(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    """What truncated division leaves, with the sign of `x`; by zero it leaves `x`."""
    if x.dtype.kind not in "iu":
        return computed(body, eqn, "TruncateMod", WIDE, [x, y])
    safe, zero = _divisor(body, x, y)
    if x.dtype.kind == "u":
        rest = _same(body, "FloorMod", x, safe)
    else:
        rest = computed(body, eqn, "TruncateMod", frozenset({"int32", "int64"}), [x, safe])
    return rest if zero is None else chosen(body, zero, x, rest)


def _divisor(body: Body, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
    """A divisor that no processor stumbles over, and where it stands for zero.

    The least integer has no counterpart, so that it is divided by 1 rather than by -1.
    """
    known = body.value(body.narrow(y))
    if known is not None and np.all((known != 0) & (known != np.array(-1).astype(known.dtype))):
        return y, None
    zero = bad = _truth(body, "Equal", y, _number(body, 0, y))
    if x.dtype.kind == "i":
        least = _truth(body, "Equal", x, _number(body, np.iinfo(x.dtype).min, x))
        minus = _truth(body, "Equal", y, _number(body, -1, y))
        bad = _truth(body, "LogicalOr", zero, _truth(body, "LogicalAnd", least, minus))
    return chosen(body, bad, _number(body, 1, y), y), zero


@ARITHMETIC.rule("pow")
def power(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    """Powers of floating numbers; the exponents may be integers."""
    if x.dtype.kind in "iub":
        raise NoRule(eqn.primitive)
    return computed(body, eqn, "Pow", INEXACT, [x, converted(body, y, x.dtype)])


@ARITHMETIC.rule("integer_pow")
def integer_power(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """A power with a fixed exponent, by repeated squares as XLA computes it."""
    exponent = int(eqn.params["y"])
    if exponent == 0:
        return steps.broadcast(body, _number(body, 1, x), x.shape)
    result = _by_squares(body, x, abs(exponent))
    return result if exponent > 0 else computed(body, eqn, "Reciprocal", INEXACT, [result])


def _by_squares(body: Body, x: Tensor, exponent: int) -> Tensor:
    result: Tensor | None = None
    while exponent:
        if exponent & 1:
            result = x if result is None else _same(body, "Mul", result, x)
        exponent >>= 1
        x = _same(body, "Square", x) if exponent else x
    assert result is not None
    return result


@ARITHMETIC.rule("exp2")
def exp2(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Powers of two."""
    return computed(body, eqn, "Pow", INEXACT, [_number(body, 2, x), x])


@ARITHMETIC.rule("cbrt")
def cube_root(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Real cube root, with the sign of `x`."""
    root = computed(body, eqn, "Pow", FLOAT, [_same(body, "Abs", x), _number(body, 1 / 3, x)])
    return _same(body, "Mul", _same(body, "Sign", x), root)


@ARITHMETIC.rule("round")
def rounded(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """The nearest integer; halves go to the even one, or away from zero."""
    even = _same(body, "Round", x)
    if int(eqn.params["rounding_method"]) == 1:
        return even
    # Where a half went towards zero, the rest has the sign of x.
    signs = _same(body, "Sign", x)
    rest = _same(body, "Mul", _same(body, "Sub", x, even), signs)
    half = _truth(body, "Equal", rest, _number(body, 0.5, x))
    return chosen(body, half, _same(body, "AddV2", even, signs), even)


@ARITHMETIC.rule("complex")
def from_parts(body: Body, eqn: Equation, real: Tensor, imaginary: Tensor) -> Tensor:
    """Complex numbers from their parts."""
    dtype = np.dtype(eqn.out_avals[0].dtype)
    return steps.joined(body, "Complex", [real, imaginary], dtype, Tout=dtype)


def _part(name: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, x: Tensor) -> Tensor:
        dtype = np.dtype(eqn.out_avals[0].dtype)
        return steps.joined(body, name, [x], dtype, Tout=dtype)

    return rule


ARITHMETIC.add("real", _part("Real"))
ARITHMETIC.add("imag", _part("Imag"))


@ARITHMETIC.rule("conj")
def conjugate(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """The complex conjugate, also of real numbers."""
    dtype = np.dtype(eqn.out_avals[0].dtype)
    if x.dtype.name in COMPLEX:
        return _same(body, "Conj", x)
    zero = _number(body, 0, x)
    return steps.joined(body, "Complex", [x, zero], dtype, Tout=dtype)


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"uint{8 * dtype.itemsize}")


def _shift(name: str, kind: str, *, logical: bool) -> Callable[..., Tensor]:
    """`kind` of integers is shifted by a number without sign.

    By more than all bits nothing is left; the ops take the amount to be all bits but one.
    """

    def rule(body: Body, _: Equation, x: Tensor, y: Tensor) -> Tensor:
        bits = 8 * x.dtype.itemsize
        number = _bitcast(body, x, np.dtype(f"{kind}{bits}")) if kind else x
        amount = _bitcast(body, y, _unsigned(x.dtype))
        if _within(body, amount, bits):
            shifted = _same(body, name, number, _bitcast(body, y, number.dtype))
            return _bitcast(body, shifted, x.dtype)
        limit = _number(body, bits - 1, amount)
        least = _bitcast(body, _same(body, "Minimum", amount, limit), number.dtype)
        shifted = steps.joined(body, name, [number, least], number.dtype)
        if logical:
            inside = _truth(body, "LessEqual", amount, limit)
            shifted = chosen(body, inside, shifted, _number(body, 0, shifted))
        return _bitcast(body, shifted, x.dtype)

    return rule


def _within(body: Body, amount: Tensor, bits: int) -> bool:
    known = body.value(body.narrow(amount))
    return known is not None and bool(np.all(known < bits))


def _bitcast(body: Body, x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    known = body.value(body.narrow(x))
    if x.dtype == dtype:
        return x
    if known is not None and known.ndim == 0:
        return body.constant(known.view(dtype))
    return steps.joined(body, "Bitcast", [x], dtype, type=dtype)


ARITHMETIC.add("shift_left", _shift("LeftShift", "", logical=True))
ARITHMETIC.add("shift_right_logical", _shift("RightShift", "uint", logical=True))
ARITHMETIC.add("shift_right_arithmetic", _shift("RightShift", "int", logical=False))


@ARITHMETIC.rule("population_count")
def population_count(body: Body, _: Equation, x: Tensor) -> Tensor:
    """How many bits are set."""
    return converted(body, steps.joined(body, "PopulationCount", [x], np.uint8), x.dtype)


@ARITHMETIC.rule("clz")
def leading_zeros(body: Body, _: Equation, x: Tensor) -> Tensor:
    """How many bits above the highest one that is set: all those below it are set to count."""
    bits, number = 8 * x.dtype.itemsize, _bitcast(body, x, _unsigned(x.dtype))
    shift = 1
    while shift < bits:
        moved = _same(body, "RightShift", number, _number(body, shift, number))
        number = _same(body, "BitwiseOr", number, moved)
        shift *= 2
    none = steps.joined(body, "Invert", [number], number.dtype)
    return converted(body, steps.joined(body, "PopulationCount", [none], np.uint8), x.dtype)


@ARITHMETIC.rule("mulhi")
def high_product(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    """The upper half of the bits of a product."""
    bits = 8 * x.dtype.itemsize
    if bits == 64:
        raise NoRule(eqn.primitive)
    wide = np.dtype(f"{'int' if x.dtype.kind == 'i' else 'uint'}64")
    product = _same(body, "Mul", converted(body, x, wide), converted(body, y, wide))
    upper = _same(body, "RightShift", product, _number(body, bits, product))
    return converted(body, upper, x.dtype)


@ARITHMETIC.rule("nextafter")
def next_after(body: Body, eqn: Equation, x: Tensor, y: Tensor) -> Tensor:
    """The neighbour of `x` in the direction of `y`."""
    if x.dtype.name not in WIDE:
        raise NoRule(eqn.primitive)
    return _same(body, "NextAfter", x, y)


def _total(name: str) -> Callable[..., Tensor]:
    """In the order of the bits: -NaN, -inf, ... -0, +0, ... inf, NaN."""

    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        if inputs[0].dtype.kind in "iub":
            dtype = computing_dtype(eqn, inputs[0].dtype, INTEGER)
            return _truth(body, name, *(converted(body, x, dtype) for x in inputs))
        if inputs[0].dtype.kind == "c":
            raise NoRule(eqn.primitive)
        return _truth(body, name, *(_ordered_bits(body, x) for x in inputs))

    return rule


def _ordered_bits(body: Body, x: Tensor) -> Tensor:
    signed = np.dtype(f"int{8 * x.dtype.itemsize}")
    bits = steps.joined(body, "Bitcast", [x], signed, type=signed)
    below = _truth(body, "Less", bits, _number(body, 0, bits))
    flipped = _same(body, "BitwiseXor", bits, _number(body, np.iinfo(signed).max, bits))
    return chosen(body, below, flipped, bits)


ARITHMETIC.add("eq_to", _total("Equal"))
ARITHMETIC.add("lt_to", _total("Less"))
ARITHMETIC.add("le_to", _total("LessEqual"))


@ARITHMETIC.rule("erfc")
def erfc(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """1 - erf(x); of a negated value 1 + erf, TensorFlow's own gelu, which converters know."""
    opposite = _negated(body, x)
    if opposite is None:
        return computed(body, eqn, "Erfc", FLOAT, [x])
    turned = computed(body, eqn, "Erf", FLOAT, [opposite])
    return steps.op(body, "AddV2", [turned, steps.scalar(body, 1, x.dtype)], x)


def _negated(body: Body, x: Tensor) -> Tensor | None:
    """-x where `x` is seen to be a negation, or one times something else; else None."""
    node = body.maker(x)
    if node is None or node.op not in ("Neg", "Mul"):
        return None
    if node.op == "Neg":
        return Tensor(node.inputs[0], x.dtype, x.shape)
    first, second = (Tensor(name, x.dtype, x.shape) for name in node.inputs)
    for factor, other in ((first, second), (second, first)):
        inner = body.maker(factor)
        if inner is not None and inner.op == "Neg":
            plain = Tensor(inner.inputs[0], x.dtype, x.shape)
            return steps.op(body, "Mul", [plain, other], x)
    return None
