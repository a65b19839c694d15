"""Random numbers from the artifact's random state: the right distribution, a stream of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.ops.distributions import bounded_normal
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_count, static_shape

RANDOM = OpTable("random")

Draw = Callable[[jax.Array, tuple[int, ...], Any], jax.Array]


def _shaped(draw: Draw) -> Callable[[NodeView], Kernel]:
    """A handler of ops that take a shape and draw floats of ``dtype``."""

    def handler(node: NodeView) -> Kernel:
        node.attr("seed"), node.attr("seed2")
        dtype = node.dtype("dtype").numpy

        def kernel(context: Any, shape: Value) -> Value:
            sizes = static_shape(shape, "the shape of random numbers")
            return draw(context.random_key(), sizes, dtype)

        return kernel

    return handler


DISTRIBUTIONS: dict[str, Draw] = {
    "RandomUniform": lambda key, shape, dtype: jax.random.uniform(key, shape, dtype),
    "RandomStandardNormal": lambda key, shape, dtype: jax.random.normal(key, shape, dtype),
    "TruncatedNormal": lambda key, shape, dtype: jax.random.truncated_normal(
        key, -2, 2, shape, dtype
    ),
}
for _name, _draw in DISTRIBUTIONS.items():
    RANDOM.op(_name, context=True, random=True)(_shaped(_draw))


@RANDOM.op("RandomUniformInt", context=True, random=True)
def random_uniform_int(node: NodeView) -> Kernel:
    node.attr("seed"), node.attr("seed2")
    dtype = node.dtype("Tout").numpy

    def kernel(context: Any, shape: Value, low: Value, high: Value) -> Value:
        sizes = static_shape(shape, "the shape of random numbers")
        return jax.random.randint(context.random_key(), sizes, low, high, dtype)

    return kernel


@RANDOM.op("ParameterizedTruncatedNormal", context=True, random=True)
def parameterized_truncated_normal(node: NodeView) -> Kernel:
    node.attr("seed"), node.attr("seed2")
    dtype = node.dtype("dtype").numpy

    def kernel(context: Any, shape: Value, *parameters: Value) -> Value:
        sizes = static_shape(shape, "the shape of random numbers")
        return bounded_normal(context.random_key(), sizes, parameters, dtype)

    return kernel


@RANDOM.op("NonDeterministicInts", context=True, random=True)
def non_deterministic_ints(node: NodeView) -> Kernel:
    """Integers of the entire range; these seed a ``tf.random.Generator``."""
    dtype = node.dtype("dtype").numpy
    unsigned = np.dtype(f"uint{8 * dtype.itemsize}")

    def kernel(context: Any, shape: Value) -> Value:
        sizes = static_shape(shape, "the shape of random numbers")
        return jax.random.bits(context.random_key(), sizes, unsigned).view(dtype)

    return kernel


@RANDOM.op("RandomShuffle", context=True, random=True)
def random_shuffle(node: NodeView) -> Kernel:
    node.attr("seed"), node.attr("seed2")

    def kernel(context: Any, value: Value) -> Value:
        order = jax.random.permutation(context.random_key(), value.shape[0])
        if isinstance(value, np.ndarray):
            return (
                value[np.asarray(order)]
                if not isinstance(order, jax.core.Tracer)
                else (jnp.asarray(value)[order])
            )
        return value[order]

    return kernel


@RANDOM.op("Multinomial", context=True, random=True)
def multinomial(node: NodeView) -> Kernel:
    node.attr("seed"), node.attr("seed2")
    dtype = node.dtype("output_dtype").numpy

    def kernel(context: Any, logits: Value, count: Value) -> Value:
        samples = static_count(count, "the number of samples")
        shape = (samples, logits.shape[0])
        drawn = jax.random.categorical(context.random_key(), jnp.asarray(logits), shape=shape)
        return drawn.T.astype(dtype)

    return kernel


@RANDOM.op("RandomGamma", context=True, random=True)
def random_gamma(node: NodeView) -> Kernel:
    node.attr("seed"), node.attr("seed2")

    def kernel(context: Any, shape: Value, alpha: Value) -> Value:
        sizes = static_shape(shape, "the shape of random numbers")
        alpha = jnp.asarray(alpha)
        return jax.random.gamma(context.random_key(), alpha, (*sizes, *alpha.shape), alpha.dtype)

    return kernel


@RANDOM.op("RandomPoissonV2", "RandomPoisson", context=True, random=True)
def random_poisson(node: NodeView) -> Kernel:
    node.attr("seed"), node.attr("seed2")
    dtype = node.dtype("dtype").numpy

    def kernel(context: Any, shape: Value, rate: Value) -> Value:
        sizes = static_shape(shape, "the shape of random numbers")
        rate = jnp.asarray(rate)
        drawn = jax.random.poisson(context.random_key(), rate, (*sizes, *rate.shape))
        return drawn.astype(dtype)

    return kernel
