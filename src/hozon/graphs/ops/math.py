"""Elementwise arithmetic: sums, products, quotients, powers, rounding, trigonometry."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.slopes import differentiated, unless_zero
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.tensorlist import add_lists, is_list
from hozon.graphs.values import Value, is_static, ns, static_count, together

MATH = OpTable("math")


def shared(name: str) -> Kernel:
    """The function of that name in NumPy or ``jax.numpy``, whichever the inputs call for."""
    return lambda *values: getattr(ns(*values), name)(*together(*values))


def is_inexact(value: Value) -> bool:
    """Whether a value holds floating-point or complex numbers."""
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


MATH.kernels(
    {
        "AddV2": lambda x, y: add_lists(x, y) if is_list(x) or is_list(y) else shared("add")(x, y),
        "Sub": shared("subtract"),
        "Mul": shared("multiply"),
        "Neg": shared("negative"),
        "Sign": shared("sign"),
        "Exp": shared("exp"),
        "Expm1": shared("expm1"),
        "Log": shared("log"),
        "Log1p": shared("log1p"),
        "Sqrt": differentiated(shared("sqrt"), lambda g, x, y: unless_zero(g, 0.5 / y)),
        "Square": shared("square"),
        "Sin": shared("sin"),
        "Cos": shared("cos"),
        "Tan": shared("tan"),
        "Asin": shared("arcsin"),
        "Acos": shared("arccos"),
        "Atan": shared("arctan"),
        "Atan2": shared("arctan2"),
        "Sinh": shared("sinh"),
        "Cosh": shared("cosh"),
        "Asinh": shared("arcsinh"),
        "Acosh": differentiated(shared("arccosh"), lambda g, x, y: g / jnp.sinh(y)),
        "Atanh": shared("arctanh"),
        "NextAfter": differentiated(
            shared("nextafter"), lambda g, x, y, _: g, lambda g, x, y, _: jnp.zeros_like(g)
        ),
    }
)


@MATH.kernel("Add")
def add(x: Value, y: Value) -> Value:
    """The sum; of strings, the concatenation."""
    total = shared("add")(x, y)
    return np.asarray(total, object) if isinstance(total, (bytes, str)) else total


@MATH.kernel("Abs")
def absolute(x: Value) -> Value:
    """The absolute value; its gradient at zero is zero."""
    return x * jnp.sign(x) if not is_static(x) and is_inexact(x) else ns(x).abs(x)


def rsqrt(x: Value) -> Value:
    return 1 / np.sqrt(x) if is_static(x) else jax.lax.rsqrt(x)


MATH.kernel("Rsqrt")(differentiated(rsqrt, lambda g, x, y: unless_zero(g, -(y * y * y) / 2)))


@MATH.kernel("SquaredDifference")
def squared_difference(x: Value, y: Value) -> Value:
    """``conj(x - y) * (x - y)``, as cwise_ops.h of TensorFlow has it for complex numbers."""
    difference = ns(x, y).subtract(x, y)
    return ns(x, y).conj(difference) * difference


# Quotients


def truncate_div(x: Value, y: Value) -> Value:
    """The quotient, of integers rounded toward zero."""
    xp = ns(x, y)
    if is_inexact(x):
        return xp.true_divide(x, y)
    if not is_static(x) or not is_static(y):
        return jax.lax.div(*jnp.broadcast_arrays(x, y))
    quotient = np.floor_divide(x, y)
    return (quotient + (np.not_equal(np.mod(x, y), 0) & (quotient < 0))).astype(x.dtype)


MATH.kernels({"Div": truncate_div, "RealDiv": truncate_div, "TruncateDiv": truncate_div})
MATH.kernels({"Mod": shared("fmod"), "TruncateMod": shared("fmod"), "FloorMod": shared("mod")})


_barrier: Kernel = jax.lax.optimization_barrier


@MATH.kernel("FloorDiv")
def floor_div(x: Value, y: Value) -> Value:
    """``floor(x / y)``: of floats, unlike Python's ``//``, the quotient is rounded first.

    The barrier keeps XLA from multiplying by a reciprocal, which makes 6 / 3 less than 2.
    """
    xp = ns(x, y)
    if not is_inexact(x):
        return xp.floor_divide(x, y)
    if xp is jnp:
        x, y = _barrier(tuple(jnp.broadcast_arrays(x, y)))
    return xp.floor(xp.true_divide(x, y))


def reciprocal(x: Value) -> Value:
    return truncate_div(ns(x).ones_like(x), x)


MATH.kernel("Reciprocal", "Inv")(
    differentiated(reciprocal, lambda g, x, y: unless_zero(g, -(y * y)))
)


@MATH.kernel("DivNoNan")
def div_no_nan(x: Value, y: Value) -> Value:
    """The quotient, zero where `y` is zero; its gradient is zero there too."""
    xp = ns(x, y)
    zero = xp.equal(y, 0)
    quotient = xp.true_divide(x, xp.where(zero, xp.ones_like(y), y))
    return xp.where(zero, xp.zeros_like(quotient), quotient)


def _mul_no_nan(x: Value, y: Value) -> Value:
    """The product, zero where `y` is zero even if `x` is infinite or NaN."""
    xp = ns(x, y)
    zero = xp.equal(y, 0)
    product = xp.multiply(xp.where(zero, xp.zeros_like(x), x), y)
    return xp.where(zero, xp.zeros_like(product), product)


MATH.kernel("MulNoNan")(
    differentiated(_mul_no_nan, lambda g, x, y, _: _mul_no_nan(g, y), lambda g, x, y, _: x * g)
)


def _zero_where_x_is(x: Value, y: Value, function: Kernel, safe: int) -> Value:
    """``x * function(y)``, zero where `x` is zero, with a gradient that is not NaN there."""
    xp = ns(x, y)
    zero = xp.equal(x, 0)
    product = xp.multiply(x, function(xp.where(zero, xp.full_like(y, safe), y)))
    return xp.where(zero, xp.zeros_like(product), product)


MATH.kernels(
    {
        "Xdivy": lambda x, y: _zero_where_x_is(x, y, reciprocal, 1),
        "Xlogy": lambda x, y: _zero_where_x_is(x, y, shared("log"), 1),
        "Xlog1py": lambda x, y: _zero_where_x_is(x, y, shared("log1p"), 0),
    }
)


@MATH.kernel("Pow")
def power(x: Value, y: Value) -> Value:
    """``x`` to the power ``y``."""
    return ns(x, y).power(x, y) if is_static(y) or not is_inexact(y) else _power(x, y)


@jax.custom_jvp
def _power(x: Value, y: Value) -> Value:
    return jnp.power(x, y)


@_power.defjvp
def _power_jvp(primals: tuple[Value, Value], tangents: tuple[Value, Value]) -> Any:
    """As JAX, but the slope along `y` is zero, not NaN, where `x` has no logarithm."""
    (x, y), (dx, dy) = primals, tangents
    z, slope = jax.jvp(lambda base: jnp.power(base, y), (jnp.asarray(x),), (dx,))
    known = x != 0 if jnp.iscomplexobj(x) else x > 0
    logarithm = jnp.where(known, jnp.log(jnp.where(known, x, 1)), 0)
    return z, slope + z * logarithm * dy


# Extremes


def _extreme(name: str, wins: Kernel) -> Kernel:
    """The greater or smaller of two, NaN winning; where equal, the gradient is all `x`'s."""
    return differentiated(
        shared(name),
        lambda g, x, y, _: jnp.where(wins(x, y), g, 0),
        lambda g, x, y, _: jnp.where(wins(x, y), 0, g),
    )


MATH.kernels(
    {
        "Maximum": _extreme("maximum", jnp.greater_equal),
        "Minimum": _extreme("minimum", jnp.less_equal),
    }
)


def _clip(x: Value, low: Value, high: Value) -> Value:
    xp = ns(x, low, high)
    return xp.broadcast_to(xp.minimum(xp.maximum(x, low), high), x.shape)


MATH.kernel("ClipByValue")(
    differentiated(
        _clip,
        lambda g, x, low, high, _: jnp.where((x < low) | (x > high), 0, g),
        lambda g, x, low, high, _: jnp.where(x < low, g, 0),
        lambda g, x, low, high, _: jnp.where(x > high, g, 0),
    )
)


# Rounding


def _rounding(name: str) -> Kernel:
    return lambda x: getattr(ns(x), name)(x) if is_inexact(x) else x


#: Halves go to the even neighbour in both Round and Rint.
MATH.kernels(
    {
        "Ceil": _rounding("ceil"),
        "Floor": _rounding("floor"),
        "Round": _rounding("round"),
        "Rint": _rounding("round"),
    }
)


# Many inputs


@MATH.op("AddN", "AccumulateNV2")
def add_n(node: NodeView) -> Kernel:
    node.attr("N")
    return lambda *values: reduce(add_lists if any(map(is_list, values)) else shared("add"), values)


@MATH.op("LinSpace")
def lin_space(node: NodeView) -> Kernel:
    dtype = node.dtype().numpy

    def lin_space(start: Value, stop: Value, count: Value) -> Value:
        xp, number = ns(start, stop), static_count(count, "the number of points")
        if number == 1:
            return xp.reshape(xp.asarray(start, dtype), (1,))
        steps = np.arange(number - 1).astype(dtype)
        step = (stop - start) / np.asarray(number - 1, dtype)
        points = start + step * steps
        return xp.concatenate([points, xp.reshape(xp.asarray(stop, dtype), (1,))])

    return lin_space


@MATH.kernel("Cross")
def cross(x: Value, y: Value) -> Value:
    """The cross product of vectors of three in the last axis."""
    return ns(x, y).cross(x, y)


# Gradients of elementwise functions, by the function's result y


def _of_result(slope: Kernel) -> Kernel:
    """A gradient that is zero where what comes back is, even at a pole."""

    def gradient(y: Value, dy: Value) -> Value:
        xp = ns(y, dy)
        return xp.where(dy == 0, xp.zeros_like(dy), dy * xp.conj(slope(y)))

    return gradient


MATH.kernels(
    {
        "SigmoidGrad": lambda y, dy: dy * y * (1 - y),
        "TanhGrad": lambda y, dy: dy * (1 - y * y),
        "SqrtGrad": _of_result(lambda y: 1 / y / 2),
        "RsqrtGrad": _of_result(lambda y: -(y * y * y) / 2),
        "InvGrad": _of_result(lambda y: -(y * y)),
        "ReciprocalGrad": _of_result(lambda y: -(y * y)),
    }
)
