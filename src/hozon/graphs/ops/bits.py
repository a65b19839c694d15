"""Conversions between dtypes, complex numbers, and integers as bits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.ops.math import shared
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, as_arrays, is_static, ns

BITS = OpTable("bits")

#: Bits of the mantissa, for Cast with Truncate.
MANTISSA = {
    "bfloat16": 7,
    "float16": 10,
    "float32": 23,
    "float64": 52,
    "float8_e4m3fn": 3,
    "float8_e5m2": 2,
}


@BITS.op("Cast")
def cast(node: NodeView) -> Kernel:
    node.dtype("SrcT")
    target = node.dtype("DstT").numpy
    truncate = node.attr("Truncate")
    return lambda x: convert(_cut_mantissa(x, target) if truncate else x, target)


def convert(x: Value, target: np.dtype[Any]) -> Value:
    """`x` as `target`, the way C++ on x86 converts: complex numbers lose their imaginary part,
    floats lose their fraction, and integers their high bits."""
    if x.dtype == target or (x.dtype == object and target.kind == "i"):  # symbols of sizes
        return x
    if x.dtype == object:
        x = as_arrays(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating) and target.kind != "c":
        x = x.real
    if target.kind == "b":
        return ns(x).not_equal(x, 0)
    if jnp.issubdtype(x.dtype, jnp.floating) and target.kind in "iu":
        return _truncated(x, target)
    return x.astype(target)


def _truncated(x: Value, target: np.dtype[Any]) -> Value:
    """Floats as integers; what does not fit the wider intermediate becomes its minimum."""
    xp = ns(x)
    wide = np.dtype(np.int32) if target.itemsize < 4 else np.dtype(f"i{target.itemsize}")
    if target == np.dtype(np.uint32):
        wide = np.dtype(np.int64)
    low = float(np.iinfo(wide).min)
    x = x.astype(np.promote_types(np.float32, x.dtype) if x.dtype.kind == "f" else np.float32)
    if target == np.dtype(np.uint64):
        high = xp.where(x >= -low, x + low, x)
        moved = high.astype(wide).astype(target)
        return xp.where(x >= -low, moved + np.asarray(1 << 63, target), moved)
    fits = (x >= low) & (x < -low)
    whole = xp.where(fits, x, xp.zeros_like(x)).astype(wide)
    minimum = np.asarray(np.iinfo(wide).min, wide)
    return xp.where(fits, whole, minimum).astype(target)


def _cut_mantissa(x: Value, target: np.dtype[Any]) -> Value:
    """Zero the bits of the mantissa that `target` does not hold, so that rounding is down."""
    if x.dtype.name not in MANTISSA or target.name not in MANTISSA:
        return x
    surplus = MANTISSA[x.dtype.name] - MANTISSA[target.name]
    if surplus <= 0:
        return x
    bits = np.dtype(f"u{x.dtype.itemsize}")
    mask = np.asarray(((1 << 8 * bits.itemsize) - 1) ^ ((1 << surplus) - 1), bits)
    return bitcast_array(bitcast_array(x, bits) & mask, x.dtype)


@BITS.op("Bitcast")
def bitcast(node: NodeView) -> Kernel:
    node.dtype("T")
    target = node.dtype("type").numpy
    return lambda x: bitcast_array(x, target)


def bitcast_array(x: Value, target: np.dtype[Any]) -> Value:
    """The same bytes as another dtype; the last axis appears or goes when the sizes differ."""
    ratio = target.itemsize / x.dtype.itemsize
    if is_static(x):
        x = np.ascontiguousarray(x).reshape(np.shape(x))
        wide = x if ratio >= 1 else x[..., np.newaxis]
        viewed = wide.view(target) if ratio != 1 or np.ndim(x) else np.asarray(x).view(target)
        return viewed[..., 0] if ratio > 1 else viewed
    return _bitcast_traced(x, target)


def _bitcast_traced(x: Value, target: np.dtype[Any]) -> Value:
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        parts = jnp.stack([x.real, x.imag], axis=-1)
        if target.itemsize == x.dtype.itemsize:
            return jax.lax.bitcast_convert_type(_joined(parts, target), target)
        return jax.lax.bitcast_convert_type(parts, target).reshape((*x.shape, -1))
    if target.kind == "c":
        half = np.dtype(f"f{target.itemsize // 2}")
        parts = jax.lax.bitcast_convert_type(x, half)
        return jax.lax.complex(parts[..., 0], parts[..., 1])
    return jax.lax.bitcast_convert_type(x, target)


def _joined(parts: Value, target: np.dtype[Any]) -> Value:
    """Pairs of floats as one unsigned integer each, ready to become `target`."""
    whole = np.dtype(f"u{target.itemsize}")
    return jax.lax.bitcast_convert_type(parts, whole)


# Complex numbers


@BITS.op("Complex")
def complex_number(node: NodeView) -> Kernel:
    target = node.dtype("Tout").numpy
    return lambda real, imag: (
        (real + 1j * imag).astype(target)
        if (is_static(real) and is_static(imag))
        else jax.lax.complex(*jnp.broadcast_arrays(real, imag))
    )


@BITS.op("ComplexAbs")
def complex_abs(node: NodeView) -> Kernel:
    node.dtype("Tout")
    return _magnitude


def _magnitude(x: Value) -> Value:
    """The absolute value, with a gradient of zero at zero."""
    if is_static(x):
        return np.abs(x)
    zero = x == 0
    return jnp.where(zero, 0, jnp.abs(jnp.where(zero, jnp.ones_like(x), x)))


@BITS.op("Real")
def real(node: NodeView) -> Kernel:
    node.dtype("Tout")
    return lambda x: ns(x).real(x)


@BITS.op("Imag")
def imag(node: NodeView) -> Kernel:
    node.dtype("Tout")
    return lambda x: ns(x).imag(x)


@BITS.op("Angle")
def angle(node: NodeView) -> Kernel:
    node.dtype("Tout")
    return lambda x: ns(x).arctan2(ns(x).imag(x), ns(x).real(x))


BITS.kernels({"Conj": shared("conj")})


# Integers as bits


BITS.kernels(
    {
        "BitwiseAnd": shared("bitwise_and"),
        "BitwiseOr": shared("bitwise_or"),
        "BitwiseXor": shared("bitwise_xor"),
        "Invert": shared("invert"),
    }
)


def _shift(name: str) -> Kernel:
    def shift(x: Value, count: Value) -> Value:
        """Shift counts outside the width are brought to its ends, as bitwise_ops do."""
        xp = ns(x, count)
        width = 8 * x.dtype.itemsize
        return getattr(xp, name)(x, xp.clip(count, 0, width - 1))

    return shift


BITS.kernels({"LeftShift": _shift("left_shift"), "RightShift": _shift("right_shift")})


@BITS.kernel("PopulationCount")
def population_count(x: Value) -> Value:
    """The number of bits that are set, as uint8."""
    if is_static(x):
        unsigned = np.asarray(x).view(np.dtype(f"u{x.dtype.itemsize}"))
        return np.bitwise_count(unsigned)
    return jax.lax.population_count(x).astype(np.uint8)
