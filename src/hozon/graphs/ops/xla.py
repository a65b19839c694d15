"""XLA's own ops, as TensorFlow graphs hold them (tensorflow/compiler/tf2xla/ops/xla_ops.cc).

They come from ``tf.raw_ops``, from TPU models and from jax2tf without native serialization; most
of them are one operation of `jax.lax`. Sizes, windows and axes are inputs there, so they must be
known in advance. A reducer is a function of the graph; one that adds, multiplies or takes a
maximum or minimum becomes JAX's own, which can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hozon.formats.protos.xla import (
    GatherNumbers,
    parse_conv,
    parse_dot,
    parse_gather,
    parse_precision,
)
from hozon.graphs.ir import Function
from hozon.graphs.ops.control import callee
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_int, static_ints, static_shape
from hozon.raw.location import Location

XLA = OpTable("xla")

Combine = Callable[..., Any]

_PRECISIONS = (lax.Precision.DEFAULT, lax.Precision.HIGH, lax.Precision.HIGHEST)
_COMBINATIONS: dict[str, Combine] = {
    "Add": lax.add,
    "AddV2": lax.add,
    "Mul": lax.mul,
    "Maximum": lax.max,
    "Minimum": lax.min,
    "LogicalAnd": lax.bitwise_and,
    "LogicalOr": lax.bitwise_or,
    "BitwiseAnd": lax.bitwise_and,
    "BitwiseOr": lax.bitwise_or,
    "BitwiseXor": lax.bitwise_xor,
}
_COMPARISONS: dict[str, Combine] = {"GreaterEqual": lax.ge, "LessEqual": lax.le, "Greater": lax.gt}


def _where(node: NodeView, attribute: str) -> Location:
    return Location("graph", f"node {node.name}, attribute {attribute}")


def _precision(node: NodeView) -> tuple[lax.Precision, lax.Precision] | None:
    found = parse_precision(node.attr("precision_config"), _where(node, "precision_config"))
    if not found:
        return None
    if len(found) != 2 or not all(0 <= p < len(_PRECISIONS) for p in found):
        raise node.refuse(f"precision {found}")
    return _PRECISIONS[found[0]], _PRECISIONS[found[1]]


def _preferred(node: NodeView) -> Any:
    return node.dtype("preferred_element_type").numpy if node.op.endswith("V2") else None


@XLA.op("XlaDot", "XlaDotV2")
def dot(node: NodeView) -> Kernel:
    n = parse_dot(node.attr("dimension_numbers"), _where(node, "dimension_numbers"))
    axes = ((n.lhs_contracting, n.rhs_contracting), (n.lhs_batch, n.rhs_batch))
    precision, preferred = _precision(node), _preferred(node)

    def multiply(lhs: Value, rhs: Value) -> Value:
        return lax.dot_general(
            jnp.asarray(lhs), jnp.asarray(rhs), axes, precision, preferred_element_type=preferred
        )

    return multiply


@XLA.op("XlaConv", "XlaConvV2")
def conv(node: NodeView) -> Kernel:
    n = parse_conv(node.attr("dimension_numbers"), _where(node, "dimension_numbers"))
    numbers = lax.ConvDimensionNumbers(n.lhs, n.rhs, n.out)
    precision, preferred = _precision(node), _preferred(node)
    groups = int(node.attr("batch_group_count")) if node.op.endswith("V2") else 1

    def convolve(lhs: Value, rhs: Value, *geometry: Value) -> Value:
        strides, pads, lhs_dilation, rhs_dilation, features = geometry
        return lax.conv_general_dilated(
            jnp.asarray(lhs),
            jnp.asarray(rhs),
            static_ints(strides, "the strides"),
            _pairs(pads),
            static_ints(lhs_dilation, "the dilation"),
            static_ints(rhs_dilation, "the dilation"),
            numbers,
            static_int(features, "the number of groups"),
            groups,
            precision,
            preferred,
        )

    return convolve


def _pairs(pads: Value) -> list[tuple[int, int]]:
    flat = static_ints(pads, "the padding")
    return list(zip(flat[::2], flat[1::2], strict=True))


@XLA.op("XlaEinsum")
def einsum(node: NodeView) -> Kernel:
    equation = node.text("equation")
    return lambda a, b: jnp.einsum(equation, a, b, preferred_element_type=a.dtype)


@XLA.kernel("XlaPad")
def pad(x: Value, fill: Value, low: Value, high: Value, between: Value) -> Value:
    counts = zip(*(static_ints(v, "the padding") for v in (low, high, between)), strict=True)
    return lax.pad(jnp.asarray(x), jnp.asarray(fill), list(counts))


@XLA.kernel("XlaDynamicSlice")
def dynamic_slice(x: Value, start: Value, size: Value) -> Value:
    sizes = static_ints(size, "the size of a slice")
    return lax.dynamic_slice(jnp.asarray(x), list(jnp.asarray(start)), sizes)


@XLA.kernel("XlaDynamicUpdateSlice")
def dynamic_update_slice(x: Value, update: Value, start: Value) -> Value:
    return lax.dynamic_update_slice(jnp.asarray(x), jnp.asarray(update), list(jnp.asarray(start)))


def _batched_indices(numbers: GatherNumbers, indices: Value) -> Value:
    """Indices with their vectors last, where `jax.lax` wants them."""
    indices = jnp.asarray(indices)
    if numbers.index_vector == indices.ndim:
        return indices[..., None]
    return jnp.moveaxis(indices, numbers.index_vector, -1)


@XLA.op("XlaGather")
def gather(node: NodeView) -> Kernel:
    n = parse_gather(node.attr("dimension_numbers"), _where(node, "dimension_numbers"))
    is_sorted = bool(node.attr("indices_are_sorted"))
    numbers = lax.GatherDimensionNumbers(
        n.offset, n.collapsed, n.start_index_map, n.operand_batching, n.indices_batching
    )

    def take(x: Value, indices: Value, sizes: Value) -> Value:
        slices = static_ints(sizes, "the size of a slice")
        return lax.gather(
            jnp.asarray(x),
            _batched_indices(n, indices),
            numbers,
            slices,
            indices_are_sorted=is_sorted,
            mode="clip",
        )

    return take


@XLA.op("XlaScatter", context=True)
def scatter(node: NodeView) -> Kernel:
    """Updates out of range are dropped."""
    n = parse_gather(node.attr("dimension_numbers"), _where(node, "dimension_numbers"))
    is_sorted = bool(node.attr("indices_are_sorted"))
    key = callee(node.attr("update_computation"))
    numbers = lax.ScatterDimensionNumbers(
        n.offset, n.collapsed, n.start_index_map, n.operand_batching, n.indices_batching
    )

    def put(context: Any, x: Value, indices: Value, updates: Value) -> Value:
        combine = _scattering(node, context.library.function(key))
        return combine(
            jnp.asarray(x),
            _batched_indices(n, indices),
            jnp.asarray(updates),
            numbers,
            indices_are_sorted=is_sorted,
            mode=lax.GatherScatterMode.FILL_OR_DROP,
        )

    return put


_SCATTERS: dict[Any, Combine] = {
    lax.add: lax.scatter_add,
    lax.mul: lax.scatter_mul,
    lax.max: lax.scatter_max,
    lax.min: lax.scatter_min,
}


def _scattering(node: NodeView, function: Function) -> Combine:
    """The scatter of a computation of the old value and the update."""
    result = _origin(function, function.results[0])
    if result == 1:
        return lax.scatter
    combine = _known(function, _COMBINATIONS)
    if combine not in _SCATTERS:
        raise node.refuse(f"a scatter whose updates are combined by {function.name!r}")
    return _SCATTERS[combine]


def _origin(function: Function, ref: Any) -> int | None:
    """Which argument a value of a function is, None for what is computed."""
    node = function.nodes[ref.node]
    while node.op in ("Identity", "IdentityN", "StopGradient"):
        ref = node.inputs[ref.output]
        node = function.nodes[ref.node]
    return function.arguments.index(ref.node) if ref.node in function.arguments else None


def _known(function: Function, table: dict[str, Combine]) -> Combine | None:
    """The function of `table` that a function of two arguments is, None if it is more."""
    if len(function.results) != 1 or len(function.arguments) != 2:
        return None
    ref = function.results[0]
    node = function.nodes[ref.node]
    while node.op == "Identity":
        ref = node.inputs[0]
        node = function.nodes[ref.node]
    if node.op not in table or [_origin(function, r) for r in node.inputs] not in ([0, 1], [1, 0]):
        return None
    swapped = _origin(function, node.inputs[0]) == 1
    combine = table[node.op]
    return (lambda a, b: combine(b, a)) if swapped and table is _COMPARISONS else combine


def _computation(context: Any, key: Any, table: dict[str, Combine] | None = None) -> Combine:
    """A function of scalars from the library, as one of JAX arrays."""
    known = _known(context.library.function(key), table or _COMBINATIONS)
    if known is not None:
        return known

    def run(*values: Any) -> Any:
        outputs = tuple(jnp.asarray(y) for y in context.call(key, values))
        return outputs[0] if len(outputs) == 1 else outputs

    return run


@XLA.op("XlaReduce", context=True)
def reduce(node: NodeView) -> Kernel:
    axes, key = node.ints("dimensions_to_reduce"), callee(node.attr("reducer"))

    def kernel(context: Any, x: Value, start: Value) -> Value:
        fold = lambda x, first, run: lax.reduce(x, first, run, axes)
        return _folded(context, key, x, start, fold)

    return kernel


def _folded(context: Any, key: Any, x: Value, start: Value, fold: Combine) -> Value:
    """`fold` of `x`, `start` and the computation; JAX differentiates it from a neutral start."""
    x = jnp.asarray(x)
    first, run = _scalar(start, x), _computation(context, key)
    if run not in _NEUTRAL:
        return fold(x, first, run)
    return run(fold(x, _NEUTRAL[run](x.dtype), run), jnp.asarray(first))


def _scalar(value: Value, like: Value) -> Any:
    return ns(value).asarray(value, like.dtype).reshape(())


def _lowest(dtype: Any) -> Any:
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(-np.inf if floating else jnp.iinfo(dtype).min, dtype)


def _highest(dtype: Any) -> Any:
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(np.inf if floating else jnp.iinfo(dtype).max, dtype)


_NEUTRAL: dict[Combine, Callable[[Any], Any]] = {
    lax.add: lambda dtype: np.asarray(0, dtype),
    lax.mul: lambda dtype: np.asarray(1, dtype),
    lax.max: _lowest,
    lax.min: _highest,
}


@XLA.op("XlaVariadicReduce", "XlaVariadicReduceV2", context=True)
def variadic_reduce(node: NodeView) -> Kernel:
    axes, key = node.ints("dimensions_to_reduce"), callee(node.attr("reducer"))

    def kernel(context: Any, *values: Value) -> tuple[Value, ...]:
        half = len(values) // 2
        operands = tuple(map(jnp.asarray, values[:half]))
        starts = tuple(map(_scalar, values[half:], operands))
        run = _computation(context, key)
        if half == 1:
            fold = lambda x, first, run: lax.reduce(x, first, run, axes)
            return (_folded(context, key, operands[0], starts[0], fold),)
        return tuple(lax.reduce(operands, starts, lambda a, b: run(*a, *b), axes))

    return kernel


@XLA.op("XlaReduceWindow", context=True)
def reduce_window(node: NodeView) -> Kernel:
    key = callee(node.attr("computation"))

    def kernel(context: Any, x: Value, start: Value, *geometry: Value) -> Value:
        *sizes, pads = geometry
        window, strides, base, dilation = (static_ints(v, "the window") for v in sizes)
        counts = _pairs(pads)
        return _folded(
            context,
            key,
            x,
            start,
            lambda x, first, run: lax.reduce_window(
                x, first, run, window, strides, counts, base, dilation
            ),
        )

    return kernel


@XLA.op("XlaSelectAndScatter", context=True)
def select_and_scatter(node: NodeView) -> Kernel:
    """Gradients of pooling: each window's number of `source` goes to the place it selects."""
    select, add = callee(node.attr("select")), callee(node.attr("scatter"))

    def kernel(
        context: Any, x: Value, window: Value, strides: Value, pads: Value, *rest: Value
    ) -> Value:
        source, start = rest
        comparison = _known(context.library.function(select), _COMPARISONS)
        combination = _known(context.library.function(add), _COMBINATIONS)
        if combination is not lax.add or comparison not in (lax.ge, lax.le):
            raise node.refuse("other than adding where a window has its largest or smallest value")
        x, source = jnp.asarray(x), jnp.asarray(source)
        best = lax.max if comparison is lax.ge else lax.min
        extreme = _lowest(x.dtype) if best is lax.max else _highest(x.dtype)
        sizes = static_ints(window, "the window"), static_ints(strides, "the strides")
        _, pull = jax.vjp(lambda v: lax.reduce_window(v, extreme, best, *sizes, _pairs(pads)), x)
        return pull(source)[0] + jnp.asarray(start, x.dtype)

    return kernel


XLA.kernels(
    {
        "XlaSort": lambda x: lax.sort(jnp.asarray(x)),
        "XlaKeyValueSort": lambda keys, values: tuple(
            lax.sort((jnp.asarray(keys), jnp.asarray(values)), num_keys=1)
        ),
        "XlaOptimizationBarrier": lambda *xs: xs,
        "XlaReplicaId": lambda: np.asarray(0, np.int32),
    }
)


@XLA.op("XlaVariadicSort", context=True)
def variadic_sort(node: NodeView) -> Kernel:
    """By a comparator that says whether one element comes first, given pairs of all operands.

    Comparators of the first operand's pair alone are sorts of `jax.lax`; others are refused.
    """
    key = callee(node.attr("comparator"))
    stable = bool(node.attr("is_stable"))

    def sort(context: Any, *values: Value) -> tuple[Value, ...]:
        *operands, dimension = values
        axis = static_int(dimension, "the axis of a sort")
        position, descending = _order(node, context.library.function(key))
        arrays = [jnp.asarray(x) for x in operands]
        by = arrays[position]
        if not descending:
            rest = [x for i, x in enumerate(arrays) if i != position]
            moved = list(lax.sort((by, *rest), axis, stable, num_keys=1))
            moved.insert(position, moved.pop(0))
            return tuple(moved)
        order = jnp.argsort(by, axis, stable=stable, descending=True)
        return tuple(jnp.take_along_axis(x, order, axis) for x in arrays)

    return sort


def _order(node: NodeView, function: Function) -> tuple[int, bool]:
    """Which operand a comparator compares, and whether the larger comes first."""
    ref = function.results[0]
    while function.nodes[ref.node].op == "Identity":
        ref = function.nodes[ref.node].inputs[0]
    comparison = function.nodes[ref.node]
    if comparison.op in ("Less", "LessEqual", "Greater", "GreaterEqual"):
        first, second = (_origin(function, r) for r in comparison.inputs)
        if first is not None and second is not None and first // 2 == second // 2:
            return first // 2, comparison.op.startswith("Greater") != (first > second)
    raise node.refuse(f"sorting by the comparator {function.name!r}")


@XLA.op("XlaSharding", "XlaSpmdFullToShardShape", "XlaSpmdShardToFullShape")
def sharding(node: NodeView) -> Kernel:
    """Where shards of a value go; there is one device, so the value itself."""
    for name in ("sharding", "manual_sharding", "dim", "unspecified_dims", "full_shape"):
        if node.definition is not None and name in node.definition.attrs:
            node.attr(name)
    return lambda x: x


@XLA.op("XlaReducePrecision")
def reduce_precision(node: NodeView) -> Kernel:
    bits = int(node.attr("exponent_bits")), int(node.attr("mantissa_bits"))
    return lambda x: lax.reduce_precision(jnp.asarray(x), *bits)


@XLA.op("XlaSvd")
def svd(node: NodeView) -> Kernel:
    """Singular values, left and right singular vectors (their signs are free)."""
    for name in ("max_iter", "epsilon", "precision_config"):
        node.attr(name)  # of XLA's iteration; ours ends by itself

    def decompose(x: Value) -> tuple[Value, Value, Value]:
        u, s, v = jnp.linalg.svd(jnp.asarray(x), full_matrices=False)
        return s, u, jnp.swapaxes(v, -1, -2)

    return decompose


@XLA.op("XlaSelfAdjointEig")
def self_adjoint_eig(node: NodeView) -> Kernel:
    lower = bool(node.attr("lower"))
    node.attr("max_iter"), node.attr("epsilon")
    return lambda x: tuple(jnp.linalg.eigh(jnp.asarray(x), "L" if lower else "U"))


@XLA.op("XlaBroadcastHelper")
def broadcast_helper(node: NodeView) -> Kernel:
    """The operands with the smaller one's axes put where `broadcast_dims` says."""

    def reshape(lhs: Value, rhs: Value, dimensions: Value) -> tuple[Value, Value]:
        axes: Sequence[int] = static_ints(dimensions, "the axes of a broadcast")
        if lhs.ndim == rhs.ndim or not axes:
            return lhs, rhs
        small, large = (lhs, rhs) if lhs.ndim < rhs.ndim else (rhs, lhs)
        sizes = dict(zip(axes, small.shape, strict=True))
        spread = small.reshape([sizes.get(i, 1) for i in range(large.ndim)])
        return (spread, rhs) if lhs.ndim < rhs.ndim else (lhs, spread)

    return reshape


_GENERATORS = {
    1: lax.RandomAlgorithm.RNG_PHILOX,
    2: lax.RandomAlgorithm.RNG_THREE_FRY,
    3: lax.RandomAlgorithm.RNG_DEFAULT,
}


@XLA.op("XlaRngBitGenerator")
def rng_bit_generator(node: NodeView) -> Kernel:
    """Random bits of a counter based generator, numbered as in ``tf.random.Algorithm``."""
    dtype = node.dtype("dtype").numpy

    def draw(algorithm: Value, state: Value, shape: Value) -> tuple[Value, Value]:
        number = static_int(algorithm, "the generator")
        if number not in _GENERATORS:
            raise node.refuse(f"random generator {number}")
        sizes = static_shape(shape, "the shape of random bits")
        if state.shape != (2,):
            raise node.refuse(f"a random state of shape {state.shape}")
        unsigned = np.dtype(f"u{dtype.itemsize}")
        key, bits = lax.rng_bit_generator(jnp.asarray(state), sizes, unsigned, _GENERATORS[number])
        return key, bits.astype(dtype)

    return draw
