"""Sums over all axes but the last, and what they are the gradient of: a vector at every position.

XLA's CPU backend sums over leading axes in a scalar loop, five to ten times slower than memory is.
Sums of slices are vectorized loops on all cores, and a product with ones does the rest. The
statistics of batches and the gradients of what normalizes them are such sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from hozon.kernels.on_cpu import accumulator

# Slices that are summed in one loop, and positions below which nothing is gained.
_SLICES = 8
_FEW = 256


def column_sum(x: Array) -> Array:
    """The sum over all axes but the last."""
    return COLUMN_SUM.bind(x)


def spread(vector: Array, shape: Sequence[int]) -> Array:
    """A vector at every position of an array of this `shape`, whose last axis it is."""
    return SPREAD.bind(vector, shape=tuple(shape))


def _sum(x: Array) -> Array:
    return jnp.sum(x, tuple(range(x.ndim - 1)))


def _sum_on_cpu(x: Array) -> Array:
    wide = accumulator(x.dtype)
    rows = math.prod(x.shape[:-1]) if all(isinstance(n, int) for n in x.shape) else 0
    if rows < _FEW:
        return _sum(x.astype(wide)).astype(x.dtype)
    flat = x.reshape(rows, x.shape[-1]).astype(wide)
    length = rows // _SLICES
    slices = [flat[i * length : (i + 1) * length] for i in range(_SLICES)]
    summed = lax.optimization_barrier(sum(slices))
    total = jnp.ones((1, length), wide) @ summed
    rest = flat[_SLICES * length :]
    return (total[0] + _sum(rest) if rest.size else total[0]).astype(x.dtype)


def _spread(vector: Array, *, shape: tuple[int, ...]) -> Array:
    return jnp.broadcast_to(vector, shape)


def _operation(name: str, default: Callable[..., Any], shape: Callable[..., Any]) -> Primitive:
    primitive = Primitive(f"hozon_{name}")
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=("shape",)))
    primitive.def_abstract_eval(
        lambda x, **keywords: jax.core.ShapedArray(shape(x, **keywords), x.dtype)
    )
    mlir.register_lowering(primitive, mlir.lower_fun(default, multiple_results=False))
    return primitive


COLUMN_SUM = _operation("column_sum", _sum, lambda x: x.shape[-1:])
SPREAD = _operation("spread", _spread, lambda _, shape: shape)
mlir.register_lowering(
    COLUMN_SUM, mlir.lower_fun(_sum_on_cpu, multiple_results=False), platform="cpu"
)
ad.deflinear2(COLUMN_SUM, lambda ct, x: [spread(ct, x.aval.shape)])
ad.deflinear2(SPREAD, lambda ct, _, shape: [column_sum(ct)])


def _sums(operands: Sequence[Array], axes: Sequence[int]) -> tuple[Array, int]:
    return jax.vmap(_sum, axes[0])(operands[0]), 0


def _spreads(
    operands: Sequence[Array], axes: Sequence[int], *, shape: tuple[int, ...]
) -> tuple[Array, int]:
    return jax.vmap(lambda v: _spread(v, shape=shape), axes[0])(operands[0]), 0


batching.primitive_batchers[COLUMN_SUM] = _sums
batching.primitive_batchers[SPREAD] = _spreads

#: The plain form of each operation, which TensorFlow's ops stand for.
NATIVE: dict[str, Callable[..., Array]] = {COLUMN_SUM.name: _sum, SPREAD.name: _spread}
