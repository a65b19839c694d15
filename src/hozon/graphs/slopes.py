"""Elementwise kernels with the derivative that TensorFlow gives them.

At a kink, JAX's derivative of a formula need not be TensorFlow's gradient of the op: for
``max(x, 0)`` at 0 it is 0.5 in JAX and 0 in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from hozon.graphs.values import Value, is_static

Kernel = Callable[..., Any]


def differentiated(kernel: Kernel, *slopes: Kernel) -> Kernel:
    """`kernel` whose derivative along input number i is ``slopes[i](tangent, *inputs, result)``.

    Each slope is linear in the tangent, which has the shape of that input. That is for real
    floating-point inputs of which one is traced; others are the kernel's own.
    """
    traced = jax.custom_jvp(kernel)
    traced.defjvp(partial(_derivative, traced, slopes))

    def call(*inputs: Value) -> Value:
        real = all(jnp.issubdtype(x.dtype, jnp.floating) for x in inputs)
        known = all(map(is_static, inputs))
        return (traced if real and not known else kernel)(*inputs)

    return call


def unless_zero(tangent: Value, slope: Value) -> Value:
    """``tangent * slope``, zero for a tangent of zero where the slope is infinite or not a number.

    It compares nothing with the tangent, so JAX can transpose it, which takes the factors from the
    last to the first: two large ones make infinity of all but zero, on either side of the zero that
    makes NaN of infinity.
    """
    lost, most = jnp.isnan(slope), jnp.finfo(slope.dtype).max
    pole = lost | jnp.isinf(slope)
    signed = jnp.where(slope < 0, -most, most).astype(slope.dtype)
    large, further = (jnp.where(where, most, 1).astype(slope.dtype) for where in (pole, lost))
    nothing = jnp.where(lost, 0, 1).astype(slope.dtype)
    result: Value = tangent * jnp.where(pole, signed, slope) * large * nothing * further * further
    return result


@jax.custom_jvp
def without_slope(value: Value) -> Value:
    """`value`, through which this differentiation does not go; a further one of that does.

    ``stop_gradient`` would stop all of them, and a cotangent of zero does go back: through a loop,
    even where JAX knows that it is zero, and an infinite slope there makes of it what is no number.
    """
    return value


@without_slope.defjvp
def _no_slope(primals: Any, tangents: Any) -> tuple[Value, Value]:
    return primals[0], jnp.zeros_like(tangents[0])


@jax.custom_jvp
def with_slope_of(value: Value, source: Value) -> Value:  # noqa: ARG001
    """`value` with the derivative of `source`, which has its shape and dtype."""
    return value


@with_slope_of.defjvp
def _slope_of(values: tuple[Value, Value], tangents: tuple[Value, Value]) -> Any:
    return with_slope_of(*values), tangents[1]


def _derivative(
    kernel: Kernel, slopes: tuple[Kernel, ...], inputs: tuple[Value, ...], tangents: Any
) -> tuple[Value, Value]:
    inputs = tuple(map(jnp.asarray, inputs))
    result = kernel(*inputs)
    parts = [slope(g, *inputs, result) for slope, g in zip(slopes, tangents, strict=True)]
    total = jnp.broadcast_to(parts[0], result.shape)
    for part in parts[1:]:
        total = total + part
    return result, total
