"""Random numbers from a seed that is an input: bit for bit TensorFlow's where it says so.

``Stateless...`` takes two seeds, ``Stateless...V2`` the key and counter made of them. Uniform and
normal numbers and integers are TensorFlow's own (up to rounding in ``log``, ``sin`` and ``cos``),
and so are samples of a multinomial distribution on one core. Gamma, Poisson, binomial and bounded
normal numbers have the right distribution and depend on the seed only, but TensorFlow draws them
by loops of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.ops import philox
from hozon.graphs.ops.distributions import binomial, bounded_normal, gamma, poisson
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_count, static_int, static_shape

STATELESS = OpTable("stateless")

Draw = Callable[[Value, Value, tuple[int, ...], Any], Value]
SHAPE = "the shape of random numbers"
PHILOX, AUTOMATIC = 1, 3


def check_algorithm(node: NodeView, algorithm: Value) -> None:
    """Refuse ThreeFry, which TensorFlow does not run on a CPU either."""
    number = static_int(algorithm, "the random algorithm")
    if number not in (PHILOX, AUTOMATIC):
        raise node.refuse(f"random algorithm {number}; only Philox is supported")


def _state(key: Value, counter: Value) -> tuple[Value, Value]:
    """Key and counter from the inputs of a V2 op."""
    return key[0].astype(np.uint64), counter.astype(np.uint64)


def _seeded(draw: Draw) -> Callable[[NodeView], Kernel]:
    def handler(node: NodeView) -> Kernel:
        dtype = node.dtype("dtype").numpy

        def kernel(shape: Value, seed: Value) -> Value:
            return draw(*philox.scrambled(seed), static_shape(shape, SHAPE), dtype)

        return kernel

    return handler


def _keyed(draw: Draw) -> Callable[[NodeView], Kernel]:
    def handler(node: NodeView) -> Kernel:
        dtype = node.dtype("dtype").numpy

        def kernel(shape: Value, key: Value, counter: Value, algorithm: Value) -> Value:
            check_algorithm(node, algorithm)
            return draw(*_state(key, counter), static_shape(shape, SHAPE), dtype)

        return kernel

    return handler


DRAWS: dict[str, Draw] = {
    "StatelessRandomUniform": philox.uniform,
    "StatelessRandomNormal": philox.normal,
    "StatelessTruncatedNormal": philox.truncated_normal,
    "StatelessRandomUniformFullInt": philox.full_int,
}
for _name, _draw in DRAWS.items():
    STATELESS.op(_name)(_seeded(_draw))
    STATELESS.op(f"{_name}V2")(_keyed(_draw))


@STATELESS.op("StatelessRandomUniformInt")
def uniform_int(node: NodeView) -> Kernel:
    node.dtype("dtype")

    def kernel(shape: Value, seed: Value, low: Value, high: Value) -> Value:
        sizes = static_shape(shape, SHAPE)
        return philox.uniform_int(*philox.scrambled(seed), sizes, low, high)

    return kernel


@STATELESS.op("StatelessRandomUniformIntV2")
def uniform_int_v2(node: NodeView) -> Kernel:
    node.dtype("dtype")

    def kernel(
        shape: Value, key: Value, counter: Value, algorithm: Value, low: Value, high: Value
    ) -> Value:
        check_algorithm(node, algorithm)
        sizes = static_shape(shape, SHAPE)
        return philox.uniform_int(*_state(key, counter), sizes, low, high)

    return kernel


@STATELESS.op("StatelessRandomGetKeyCounter")
def key_counter(node: NodeView) -> Kernel:
    def kernel(seed: Value) -> tuple[Value, Value]:
        key, counter = philox.scrambled(seed)
        return ns(key).reshape(key, (1,)), counter

    return kernel


@STATELESS.op("StatelessRandomGetKeyCounterAlg")
def key_counter_algorithm(node: NodeView) -> Kernel:
    def kernel(seed: Value) -> tuple[Value, Value, Value]:
        key, counter = philox.scrambled(seed)
        return ns(key).reshape(key, (1,)), counter, np.asarray(PHILOX, np.int32)

    return kernel


@STATELESS.op("StatelessRandomGetAlg")
def algorithm(node: NodeView) -> Kernel:
    return lambda: np.asarray(PHILOX, np.int32)


@STATELESS.op("StatelessMultinomial")
def multinomial(node: NodeView) -> Kernel:
    """Classes by the cumulative sum of probabilities in float64 (multinomial_op.cc).

    TensorFlow's own numbers when it runs the rows one after another, as it does for few samples.
    """
    dtype = node.dtype("output_dtype").numpy

    def kernel(logits: Value, count: Value, seed: Value) -> Value:
        xp = ns(logits, seed)
        samples, rows = static_count(count, "the number of samples"), logits.shape[0]
        drawn = philox.uniform(*philox.scrambled(seed), (rows, samples), np.dtype(np.float64))
        finite = xp.isfinite(logits)
        wide = xp.where(finite, logits, -np.inf).astype(np.float64)
        weights = xp.where(finite, xp.exp(wide - xp.max(wide, axis=1, keepdims=True)), 0)
        sums = xp.cumsum(weights, axis=1)
        found = drawn[:, :, None] * sums[:, -1:, None] >= sums[:, None, :]
        return xp.sum(found, axis=-1).astype(dtype)

    return kernel


def jax_key(key: Value, counter: Value) -> jax.Array:
    """A key of JAX's generator that depends on all of TensorFlow's."""
    words = philox.philox(key, counter[0], counter[1])
    data = jnp.asarray(words[..., :2], np.uint32)
    return jax.random.wrap_key_data(data, impl="threefry2x32")


@STATELESS.op("StatelessRandomGammaV2")
def random_gamma(node: NodeView) -> Kernel:
    dtype = node.dtype("dtype").numpy

    def kernel(shape: Value, seed: Value, alpha: Value) -> Value:
        return gamma(jax_key(*philox.scrambled(seed)), static_shape(shape, SHAPE), alpha, dtype)

    return kernel


@STATELESS.op("StatelessRandomGammaV3")
def random_gamma_v3(node: NodeView) -> Kernel:
    dtype = node.dtype("dtype").numpy

    def kernel(shape: Value, key: Value, counter: Value, kind: Value, alpha: Value) -> Value:
        check_algorithm(node, kind)
        return gamma(jax_key(*_state(key, counter)), static_shape(shape, SHAPE), alpha, dtype)

    return kernel


@STATELESS.op("StatelessRandomPoisson")
def random_poisson(node: NodeView) -> Kernel:
    dtype = node.dtype("dtype").numpy

    def kernel(shape: Value, seed: Value, rate: Value) -> Value:
        return poisson(jax_key(*philox.scrambled(seed)), static_shape(shape, SHAPE), rate, dtype)

    return kernel


@STATELESS.op("StatelessRandomBinomial")
def random_binomial(node: NodeView) -> Kernel:
    dtype = node.dtype("dtype").numpy

    def kernel(shape: Value, seed: Value, counts: Value, shares: Value) -> Value:
        key = jax_key(*philox.scrambled(seed))
        return binomial(key, static_shape(shape, SHAPE), counts, shares, dtype)

    return kernel


@STATELESS.op("StatelessParameterizedTruncatedNormal")
def parameterized_truncated_normal(node: NodeView) -> Kernel:
    dtype = node.dtype("dtype").numpy

    def kernel(shape: Value, seed: Value, *parameters: Value) -> Value:
        key = jax_key(*philox.scrambled(seed))
        return bounded_normal(key, static_shape(shape, SHAPE), parameters, dtype)

    return kernel


@STATELESS.op("StatelessShuffle")
def shuffle(node: NodeView) -> Kernel:
    def kernel(value: Value, key: Value, counter: Value, kind: Value) -> Value:
        check_algorithm(node, kind)
        return jax.random.permutation(jax_key(*_state(key, counter)), jnp.asarray(value), axis=0)

    return kernel
