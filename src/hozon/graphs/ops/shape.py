"""Shapes, ranks, reshapes, broadcasts, transposes."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.resources import fits
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.tensorlist import is_list, zeros_list
from hozon.graphs.values import (
    Value,
    for_shape,
    is_static,
    is_symbol,
    ns,
    require_elements,
    sizes,
    static,
    static_int,
    static_ints,
    static_shape,
)

SHAPE = OpTable("shape")


@SHAPE.op("Shape")
def shape(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy
    return lambda x: sizes(np.shape(x), dtype)


@SHAPE.op("ShapeN")
def shape_n(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy
    return lambda *values: tuple(sizes(np.shape(x), dtype) for x in values)


@SHAPE.op("Size")
def size(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy
    return lambda x: sizes((math.prod(np.shape(x)),), dtype).reshape(())


@SHAPE.kernel("Rank")
def rank(x: Value) -> Value:
    """The number of axes, int32."""
    return np.asarray(len(np.shape(x)), np.int32)


@SHAPE.op("Reshape")
def reshape(node: NodeView) -> Kernel:
    def kernel(x: Value, wanted: Value) -> Value:
        return ns(x).reshape(x, full_shape(node, x.shape, static_ints(wanted, "the shape")))

    return kernel


def full_shape(node: NodeView, old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """`new` with its -1 replaced by what is left of the size of `old`."""
    count = math.prod(old)
    known = math.prod(n for n in new if n != -1)
    free = new.count(-1)
    if free == 1 and known and count % known == 0:
        return tuple(count // known if n == -1 else n for n in new)
    if free or known != count or any(not is_symbol(n) and n < 0 for n in new):
        raise MismatchError(f"node {node.name!r} cannot reshape {old} to {new}")
    return new


@SHAPE.op("Squeeze")
def squeeze(node: NodeView) -> Kernel:
    axes = node.ints("squeeze_dims")

    def kernel(x: Value) -> Value:
        chosen = axes or tuple(i for i, n in enumerate(x.shape) if n == 1)
        dropped = {axis % max(x.ndim, 1) for axis in chosen}
        if any(x.shape[i] != 1 for i in dropped):
            raise MismatchError(f"node {node.name!r} cannot squeeze axes {axes} of {x.shape}")
        return ns(x).reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in dropped))

    return kernel


@SHAPE.kernel("ExpandDims")
def expand_dims(x: Value, axis: Value) -> Value:
    """One new axis; -1 is the last one of the result."""
    return ns(x).expand_dims(x, static_int(axis, "the axis"))


@SHAPE.kernel("Transpose")
def transpose(x: Value, permutation: Value) -> Value:
    """Axes in a new order."""
    return ns(x).transpose(x, static_ints(permutation, "the order of axes"))


@SHAPE.kernel("ConjugateTranspose")
def conjugate_transpose(x: Value, permutation: Value) -> Value:
    """Axes in a new order, complex numbers conjugated."""
    return ns(x).conj(transpose(x, permutation))


@SHAPE.op("InvertPermutation")
def invert_permutation(node: NodeView) -> Kernel:
    def kernel(x: Value) -> Value:
        if is_static(x) and sorted(x.tolist()) != list(range(len(x))):
            raise MismatchError(f"node {node.name!r}: {x.tolist()} is no permutation")
        return ns(x).argsort(x).astype(x.dtype)

    return kernel


@SHAPE.kernel("BroadcastTo")
def broadcast_to(x: Value, wanted: Value) -> Value:
    """`x` repeated to a static shape."""
    shape = static_shape(wanted, "the shape")
    return for_shape(shape, x).broadcast_to(x, shape)


@SHAPE.op("BroadcastArgs")
def broadcast_args(node: NodeView) -> Kernel:
    def kernel(first: Value, second: Value) -> Value:
        shapes = static_ints(first, "a shape"), static_ints(second, "a shape")
        try:
            return sizes(jnp.broadcast_shapes(*shapes), first.dtype)
        except ValueError as error:
            raise MismatchError(f"node {node.name!r}: {error}") from error

    return kernel


@SHAPE.kernel("BroadcastGradientArgs")
def broadcast_gradient_args(first: Value, second: Value) -> tuple[Value, Value]:
    """The axes over which the gradient of each operand of a broadcast is summed.

    Axes where both sizes are 1 are in both lists, unless the shapes are equal
    (tensorflow/core/util/bcast.h).
    """
    shapes = static_ints(first, "a shape"), static_ints(second, "a shape")
    if shapes[0] == shapes[1]:
        return np.zeros(0, first.dtype), np.zeros(0, first.dtype)
    most = max(map(len, shapes))
    padded = [(1,) * (most - len(one)) + one for one in shapes]
    axes = [[i for i, n in enumerate(one) if n == 1] for one in padded]
    return np.asarray(axes[0], first.dtype), np.asarray(axes[1], first.dtype)


@SHAPE.kernel("Tile")
def tile(x: Value, multiples: Value) -> Value:
    """`x` repeated along each axis."""
    counts = static_ints(multiples, "the number of repetitions")
    require_elements((*counts, *x.shape), "a repetition")
    return for_shape(counts, x).tile(x, counts)


@SHAPE.kernel("Fill")
def fill(dims: Value, value: Value) -> Value:
    """One value in a static shape; a static fill is a view that takes no memory."""
    shape = static_shape(dims, "the shape")
    return for_shape(shape, value).broadcast_to(value, shape)


def _constant_like(x: Value, number: int) -> Value:
    if not hasattr(x, "dtype"):
        return _constant_tree(x, number)
    value = np.asarray(b"", object) if x.dtype == object else np.asarray(number, x.dtype)
    return for_shape(x.shape).broadcast_to(value, x.shape)


def _constant_tree(x: Any, number: int) -> Any:
    """The same for a list of tensors, which is a tree of arrays."""
    return jax.tree.map(lambda leaf: _constant_like(jnp.asarray(leaf), number), x)


SHAPE.kernels(
    {
        "ZerosLike": lambda x: zeros_list(x) if is_list(x) else _constant_like(x, 0),
        "OnesLike": lambda x: _constant_like(x, 1),
    }
)


def _number(value: Value) -> Any:
    """A bound of a range: a scalar, or one element."""
    known = static(value, "the range")
    return known.reshape(())[()] if known.size == 1 else known[()]


@SHAPE.op("Range")
def arange(node: NodeView) -> Kernel:
    dtype = node.dtype("Tidx").numpy

    def kernel(start: Value, limit: Value, delta: Value) -> Value:
        first, last, step = (_number(v) for v in (start, limit, delta))
        if any(map(is_symbol, (first, last, step))):
            return jnp.arange(first, last, step).astype(dtype)
        if step == 0 or (first > last and step > 0) or (first < last and step < 0):
            if first == last:
                return np.zeros(0, dtype)
            raise MismatchError(f"node {node.name!r}: no range from {first} to {last} by {step}")
        count = math.ceil(abs((float(last) - float(first)) / float(step)))
        require_elements((count,), "a range")
        if np.issubdtype(dtype, np.integer):
            return np.arange(int(first), int(last), int(step)).astype(dtype)
        return (first + np.arange(count).astype(dtype) * step).astype(dtype)

    return kernel


@SHAPE.op("Empty")
def empty(node: NodeView) -> Kernel:
    """Memory whose content TensorFlow leaves open unless `init`; zeros here."""
    dtype = node.dtype("dtype").numpy
    node.attr("init")
    zero = np.asarray(b"", object) if dtype.kind == "O" else np.zeros((), dtype)
    return lambda dims: np.broadcast_to(zero, static_shape(dims, "the shape"))


@SHAPE.op("EnsureShape")
def ensure_shape(node: NodeView) -> Kernel:
    declared = node.attr("shape").dims

    def kernel(x: Value) -> Value:
        if not fits(tuple(x.shape), declared):
            raise MismatchError(
                f"node {node.name!r} expects shape {declared}, found {tuple(x.shape)}"
            )
        return x

    return kernel
