"""``tf.random.Generator``: random numbers from a state variable, bit for bit TensorFlow's.

The state is int64 of shape (3,): the counter, low part first, and the key. Every draw of n numbers
moves the counter on by 256 n blocks (tensorflow/core/kernels/stateful_random_ops.cc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops import philox
from hozon.graphs.ops.distributions import binomial
from hozon.graphs.ops.stateless import SHAPE, Draw, check_algorithm, jax_key
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Cell, Value, static_shape

GENERATOR = OpTable("generator")
STATE_SIZE = 3


def _advance(node: NodeView, context: Any, cell: Cell, elements: Value) -> tuple[Value, Value]:
    """Key and counter to draw from; the variable is moved on."""
    state = jnp.asarray(context.read(cell))
    if state.ndim != 1 or state.shape[0] < STATE_SIZE:
        raise MismatchError(f"node {node.name!r}: a random state of shape {state.shape}")
    words = state.astype(np.uint64)
    blocks = jnp.asarray(elements).astype(np.uint64) * np.uint64(philox.BLOCKS_PER_ELEMENT)
    moved = philox.skipped(words[:2], blocks).astype(state.dtype)
    context.assign(cell, jnp.concatenate([moved, state[2:]]))
    return words[2], words[:2]


def _drawn(
    node: NodeView, context: Any, cell: Cell, shape: Value
) -> tuple[Value, Value, tuple[int, ...]]:
    sizes = static_shape(shape, SHAPE)
    count = np.uint64(np.prod(sizes, dtype=np.int64))
    return (*_advance(node, context, cell, count), sizes)


def _stateful(draw: Draw) -> Callable[[NodeView], Kernel]:
    def handler(node: NodeView) -> Kernel:
        dtype = node.dtype("dtype").numpy

        def kernel(context: Any, cell: Cell, algorithm: Value, shape: Value) -> Value:
            check_algorithm(node, algorithm)
            return draw(*_drawn(node, context, cell, shape), dtype)

        return kernel

    return handler


DRAWS: dict[str, Draw] = {
    "StatefulUniform": philox.uniform,
    "StatefulStandardNormalV2": philox.normal,
    "StatefulTruncatedNormal": philox.truncated_normal,
    "StatefulUniformFullInt": philox.full_int,
}
for _name, _draw in DRAWS.items():
    GENERATOR.op(_name, context=True)(_stateful(_draw))


@GENERATOR.op("StatefulUniformInt", context=True)
def stateful_uniform_int(node: NodeView) -> Kernel:
    node.dtype("dtype")

    def kernel(
        context: Any, cell: Cell, algorithm: Value, shape: Value, low: Value, high: Value
    ) -> Value:
        check_algorithm(node, algorithm)
        return philox.uniform_int(*_drawn(node, context, cell, shape), low, high)

    return kernel


@GENERATOR.op("StatefulRandomBinomial", context=True)
def stateful_binomial(node: NodeView) -> Kernel:
    """The right distribution, drawn by JAX from the state of the generator."""
    dtype = node.dtype("dtype").numpy

    def kernel(
        context: Any, cell: Cell, algorithm: Value, shape: Value, counts: Value, shares: Value
    ) -> Value:
        check_algorithm(node, algorithm)
        key, counter, sizes = _drawn(node, context, cell, shape)
        return binomial(jax_key(key, counter), sizes, counts, shares, dtype)

    return kernel


@GENERATOR.op("RngReadAndSkip", context=True)
def read_and_skip(node: NodeView) -> Kernel:
    """The state before it is moved on."""

    def kernel(context: Any, cell: Cell, algorithm: Value, delta: Value) -> Value:
        check_algorithm(node, algorithm)
        before = jnp.asarray(context.read(cell))[:STATE_SIZE]
        _advance(node, context, cell, delta)
        return before

    return kernel


@GENERATOR.op("RngSkip", context=True)
def skip(node: NodeView) -> Kernel:
    def kernel(context: Any, cell: Cell, algorithm: Value, delta: Value) -> tuple[()]:
        check_algorithm(node, algorithm)
        _advance(node, context, cell, delta)
        return ()

    return kernel
