"""Quantization, mostly simulated: real numbers rounded to what few integers can stand for.

Gradients pass straight through the rounding, as TensorFlow registers them: a number within the
range has the gradient of its result, one beyond gives it to the end of the range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.slopes import with_slope_of
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns, static_int

QUANTIZE = OpTable("quantize")


def _constant(x: Value) -> Value:
    """`x` without a gradient."""
    return x if is_static(x) else jax.lax.stop_gradient(x)


def _stand_in(shown: Value, meant: Value) -> Value:
    """The numbers of `shown` with the gradient of `meant`."""
    if is_static(shown) and is_static(meant):
        return shown
    shown, meant = jnp.broadcast_arrays(shown, meant)
    return with_slope_of(_constant(shown), meant)


def _divided(x: Value, y: Value) -> Value:
    """``x / y``. The barrier keeps XLA from multiplying by a reciprocal."""
    if is_static(x) and is_static(y):
        return x / y
    first, second = jax.lax.optimization_barrier(tuple(jnp.broadcast_arrays(x, y)))
    return first / second


def _rounded_product(x: Value, y: Value) -> Value:
    """``x * y``, rounded before anything is added to it.

    XLA's CPU backend would multiply and add in one step, without that rounding, and the sum would
    fall on the other side of a half. A product is never above this bound.
    """
    product = x * y
    return product if is_static(product) else jnp.minimum(product, np.float32(3e38))


@dataclass(frozen=True, slots=True)
class FakeQuant:
    """The range of ``FakeQuantWithMinMax*``: integers from `least` to `most`.

    The range is moved a little so that zero is one of the integers
    (tensorflow/core/kernels/fake_quant_ops_functor.h).
    """

    least: float
    most: float
    #: Whether the kernel divides by the distance; others multiply by its inverse.
    divides: bool

    @staticmethod
    def of(node: NodeView) -> FakeQuant:
        """The integers that the attributes of a node name."""
        least = 1.0 if node.attr("narrow_range") else 0.0
        most = float((1 << int(node.attr("num_bits"))) - 1)
        return FakeQuant(least, most, node.op == "FakeQuantWithMinMaxVars")

    def nudged(self, low: Value, high: Value) -> tuple[Value, Value, Value]:
        """Both ends of the moved range, and the distance of two of its numbers."""
        xp = ns(low, high)
        least, most = np.float32(self.least), np.float32(self.most)
        scale = _divided(high - low, most - least)
        zero = least - _divided(low, xp.where(scale == 0, np.float32(1), scale))
        zero = xp.clip(xp.floor(zero + np.float32(0.5)), least, most)
        return (least - zero) * scale, (most - zero) * scale, scale

    def apply(self, x: Value, low: Value, high: Value) -> Value:
        """`x` rounded; `low` and `high` are scalars, or of the length of the last axis."""
        first, last, scale = self.nudged(low, high)
        xp = ns(x, low, high)
        empty = (low == 0) & (high == 0)
        span = xp.where(high == low, np.float32(1), high - low)
        inverse = _divided(np.float32(self.most) - np.float32(self.least), span)
        zero = xp.floor(_rounded_product(-first, inverse) + np.float32(0.5))
        shifted = xp.clip(x, first, last) - first
        scaled = (
            _divided(shifted, xp.where(scale == 0, np.float32(1), scale))
            if self.divides
            else _rounded_product(shifted, inverse)
        )
        rounded = xp.floor(scaled - zero + np.float32(0.5)) * scale
        below, above = _stand_in(first, low), _stand_in(last, high)
        bounded = xp.where(x < first, below, xp.where(x > last, above, x))
        through = xp.where(empty, x, bounded)
        return _stand_in(xp.where(empty, np.float32(0), rounded), through)

    def gradients(
        self, gradient: Value, x: Value, low: Value, high: Value
    ) -> tuple[Value, Value, Value]:
        """Gradients for the numbers, and elementwise for the lower and the upper end."""
        first, last, _ = self.nudged(low, high)
        xp = ns(gradient, x, low, high)
        empty = (low == 0) & (high == 0)
        nothing = xp.zeros_like(gradient)
        inside = empty | ((x >= first) & (x <= last))
        return (
            xp.where(inside, gradient, nothing),
            xp.where(~empty & (x < first), gradient, nothing),
            xp.where(~empty & (x > last), gradient, nothing),
        )


def _ends(node: NodeView) -> tuple[np.float32, np.float32]:
    return np.float32(node.attr("min")), np.float32(node.attr("max"))


@QUANTIZE.op("FakeQuantWithMinMaxArgs")
def fake_quant_args(node: NodeView) -> Kernel:
    form, (low, high) = FakeQuant.of(node), _ends(node)
    return lambda x: form.apply(x, low, high)


@QUANTIZE.op("FakeQuantWithMinMaxArgsGradient")
def fake_quant_args_gradient(node: NodeView) -> Kernel:
    form, (low, high) = FakeQuant.of(node), _ends(node)
    return lambda gradient, x: form.gradients(gradient, x, low, high)[0]


@QUANTIZE.op("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant_vars(node: NodeView) -> Kernel:
    return FakeQuant.of(node).apply


def _variable_gradient(name: str, axes: Callable[[Value], tuple[int, ...]]) -> None:
    @QUANTIZE.op(name)
    def handler(node: NodeView) -> Kernel:
        form = FakeQuant.of(node)

        def kernel(gradient: Value, x: Value, low: Value, high: Value) -> tuple[Value, ...]:
            inside, below, above = form.gradients(gradient, x, low, high)
            xp = ns(inside)
            return inside, xp.sum(below, axis=axes(x)), xp.sum(above, axis=axes(x))

        return kernel


_variable_gradient("FakeQuantWithMinMaxVarsGradient", lambda x: tuple(range(x.ndim)))
_variable_gradient("FakeQuantWithMinMaxVarsPerChannelGradient", lambda x: tuple(range(x.ndim - 1)))


@dataclass(frozen=True, slots=True)
class Rounding:
    """How ``QuantizeAndDequantize*`` rounds (tensorflow/core/kernels/quantize_and_dequantize_op.h).

    Numbers are scaled so that the range fits the integers and zero stays zero.
    """

    signed: bool
    narrow: bool
    given: bool
    axis: int
    half_up: bool

    @staticmethod
    def of(node: NodeView) -> Rounding:
        """The rounding that the attributes of a node name."""
        declared = node.definition.attrs if node.definition is not None else {}
        mode = node.text("round_mode") if "round_mode" in declared else "HALF_TO_EVEN"
        if mode not in ("HALF_TO_EVEN", "HALF_UP"):
            raise node.refuse(f"round_mode {mode!r}")
        return Rounding(
            bool(node.attr("signed_input")),
            bool(node.attr("narrow_range")),
            bool(node.attr("range_given")),
            int(node.attr("axis")),
            mode == "HALF_UP",
        )

    def apply(self, x: Value, low: Value, high: Value, bits: int, bounded: bool = False) -> Value:
        """`x` rounded to integers of `bits` bits, with its own gradient.

        With `bounded` that is none beyond the range.
        """
        meant = x
        if bounded:
            first, last = self._columns(x, low), self._columns(x, high)
            meant = ns(x, low, high).where((x < first) | (x > last), _constant(x), x)
        low, high = self._range(x, low, high)
        xp = ns(x, low, high)
        lower, upper, scale, inverse = self._scale(low, high, bits)
        inside = xp.clip(x, lower, upper) if self.given else x
        scaled = inside * scale
        rounded = xp.floor(scaled + x.dtype.type(0.5)) if self.half_up else xp.round(scaled)
        return _stand_in((rounded * inverse).astype(x.dtype), meant)

    def _range(self, x: Value, low: Value, high: Value) -> tuple[Value, Value]:
        xp = ns(x, low, high)
        if self.axis < 0:
            return (low, high) if self.given else (xp.min(x), xp.max(x))
        others = tuple(i for i in range(x.ndim) if i != self.axis)
        if not self.given:
            return xp.min(x, axis=others, keepdims=True), xp.max(x, axis=others, keepdims=True)
        return self._columns(x, low), self._columns(x, high)

    def _columns(self, x: Value, ends: Value) -> Value:
        """One end of the range, or one for each entry of the axis, to compare with `x`."""
        shape = [x.shape[i] if i == self.axis else 1 for i in range(x.ndim)]
        return ns(ends).reshape(ends, shape) if self.axis >= 0 else ends

    def _scale(self, low: Value, high: Value, bits: int) -> tuple[Value, Value, Value, Value]:
        """Both ends of the range, and the factors to and from integers."""
        xp, kind = ns(low, high), low.dtype.type
        least = kind((-(1 << (bits - 1)) + self.narrow) if self.signed else 0)
        most = kind((1 << (bits - 1)) - 1 if self.signed else (1 << bits) - 1)
        largest = kind(np.finfo(low.dtype).max)
        below, above = least * low > 0, most * high > 0
        down = xp.where(below, least / xp.where(below, low, kind(1)), largest)
        up = xp.where(above, most / xp.where(above, high, kind(1)), largest)
        by_low = down < up
        inverse = xp.where(by_low, low / (least if least else kind(1)), high / most)
        return (
            xp.where(by_low, low, least * inverse),
            xp.where(by_low, most * inverse, high),
            xp.where(by_low, down, up),
            inverse,
        )


@QUANTIZE.op("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
def quantize_and_dequantize(node: NodeView) -> Kernel:
    rounding, bits = Rounding.of(node), int(node.attr("num_bits"))
    bounded = node.op == "QuantizeAndDequantizeV4"
    return lambda x, low, high: rounding.apply(x, low, high, bits, bounded)


@QUANTIZE.op("QuantizeAndDequantizeV3")
def quantize_and_dequantize_v3(node: NodeView) -> Kernel:
    rounding = Rounding.of(node)

    def kernel(x: Value, low: Value, high: Value, bits: Value) -> Value:
        return rounding.apply(x, low, high, static_int(bits, "the number of bits"))

    return kernel


@QUANTIZE.op("QuantizeAndDequantizeV4Grad")
def quantize_and_dequantize_gradient(node: NodeView) -> Kernel:
    axis = int(node.attr("axis"))

    def kernel(gradient: Value, x: Value, low: Value, high: Value) -> tuple[Value, ...]:
        xp = ns(gradient, x, low, high)
        shape = [x.shape[i] if i == axis else 1 for i in range(x.ndim)] if axis >= 0 else ()
        first, last = xp.reshape(low, shape), xp.reshape(high, shape)
        inside = xp.where((x >= first) & (x <= last), gradient, xp.zeros_like(gradient))
        return inside, xp.zeros_like(low), xp.zeros_like(high)

    return kernel


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


@QUANTIZE.op("Dequantize")
def dequantize(node: NodeView) -> Kernel:
    """Reals from quantized integers, of which the range is given (dequantize_op.cc)."""
    mode, narrow = node.text("mode"), bool(node.attr("narrow_range"))
    least, most = _limits(node.dtype("T").numpy)
    dtype = node.dtype("dtype").numpy
    if int(node.attr("axis")) != -1 or mode == "MIN_FIRST":
        raise node.refuse(f"mode {mode!r} or one range for each channel")

    def kernel(x: Value, low: Value, high: Value) -> Value:
        xp = ns(x, low, high)
        wide = x.astype(np.float32)
        if mode == "MIN_COMBINED":
            half = np.float32((most - least + 1) / 2 if least < 0 else 0)
            return ((wide + half) * ((high - low) / np.float32(most - least)) + low).astype(dtype)
        up = high / np.float32(most)
        down = low / np.float32(least + narrow) if least < 0 else up
        return (wide * xp.maximum(down, up)).astype(dtype)

    return kernel


@QUANTIZE.op("QuantizeV2")
def quantize(node: NodeView) -> Kernel:
    """Integers for reals, and the range that they span (quantize_op.cc)."""
    mode, narrow = node.text("mode"), bool(node.attr("narrow_range"))
    dtype = node.dtype("T").numpy
    least, most = _limits(dtype)
    margin = np.float32(node.attr("ensure_minimum_range"))
    half_even = node.text("round_mode") == "HALF_TO_EVEN"
    if int(node.attr("axis")) != -1 or mode == "MIN_FIRST" or dtype.itemsize > 2:
        raise node.refuse(f"mode {mode!r} to {dtype}, or one range for each channel")

    def kernel(x: Value, low: Value, high: Value) -> tuple[Value, Value, Value]:
        xp = ns(x, low, high)
        low, high = _widened(xp, xp.reshape(low, ()), xp.reshape(high, ()), margin)
        if mode == "SCALED":
            scale, low, high = _scaled(xp, low, high, np.float32(least + narrow), np.float32(most))
            scaled = xp.clip(x, low, high) * scale
            rounded = xp.round(scaled) if half_even else _half_away(xp, scaled)
        else:
            half = np.float32((most - least + 1) / 2 if least < 0 else 0)
            scale = np.float32(most - least) / (high - low)
            rounded = _half_away(xp, (xp.clip(x, low, high) - low) * scale - half)
        return rounded.astype(dtype), low, high

    return kernel


def _half_away(xp: Any, x: Value) -> Value:
    return xp.trunc(x + xp.where(x < 0, np.float32(-0.5), np.float32(0.5)))


def _widened(xp: Any, low: Value, high: Value, margin: np.float32) -> tuple[Value, Value]:
    """The range with zero in it, and not too narrow to be told apart."""
    low = xp.minimum(low, np.float32(0))
    largest = xp.maximum(xp.abs(low), xp.abs(high))
    room = xp.maximum(largest, np.float32(1)) * margin
    return low, xp.maximum(xp.maximum(high, low + room), np.float32(0))


def _scaled(
    xp: Any, low: Value, high: Value, least: np.float32, most: np.float32
) -> tuple[Value, Value, Value]:
    """The factor that takes reals to integers, zero staying zero, and the range it spans."""
    largest = np.float32(np.finfo(np.float32).max)
    below, above = least * low > 0, most * high > 0
    down = xp.where(below, least / xp.where(below, low, np.float32(1)), largest)
    up = xp.where(above, most / xp.where(above, high, np.float32(1)), largest)
    scale = xp.minimum(down, up)
    return scale, least / scale, most / scale
