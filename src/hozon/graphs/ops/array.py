"""Joining, splitting, padding, reversing and rolling arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.gather import gather
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import (
    Value,
    is_static,
    ns,
    require_elements,
    static,
    static_count,
    static_int,
    static_ints,
    static_shape,
)

ARRAY = OpTable("array")


def as_array(value: Value) -> Value:
    """`value` with a dtype and a shape: a lone ``bytes`` becomes a string scalar."""
    if hasattr(value, "dtype"):
        return value
    return np.asarray(value, object if isinstance(value, bytes) else None)


@ARRAY.op("GuaranteeConst", "Copy", "CopyHost")
def copy(node: NodeView) -> Kernel:
    if node.op != "GuaranteeConst":
        node.attr("debug_ops_spec")
    return lambda x: x


@ARRAY.op("Pack")
def pack(node: NodeView) -> Kernel:
    axis = int(node.attr("axis"))

    def kernel(*values: Value) -> Value:
        arrays = list(map(as_array, values))
        return ns(*arrays).stack(arrays, axis=axis)

    return kernel


@ARRAY.op("Unpack")
def unpack(node: NodeView) -> Kernel:
    axis, number = int(node.attr("axis")), int(node.attr("num"))

    def kernel(x: Value) -> tuple[Value, ...]:
        where = axis % x.ndim
        if x.shape[where] != number:
            raise MismatchError(f"node {node.name!r} cannot unpack {x.shape} into {number} parts")
        before = (slice(None),) * where
        return tuple(x[(*before, i, ...)] for i in range(number))

    return kernel


def concatenate(values: tuple[Value, ...], axis: int) -> Value:
    """The values joined along `axis`."""
    if len(values) == 1:
        return values[0]
    return ns(*values).concatenate(values, axis=axis)


@ARRAY.kernel("Concat")
def concat(axis: Value, *values: Value) -> Value:
    """Join; the axis comes first."""
    return concatenate(values, static_int(axis, "the axis"))


@ARRAY.kernel("ConcatV2")
def concat_v2(*inputs: Value) -> Value:
    """Join; the axis comes last."""
    return concatenate(inputs[:-1], static_int(inputs[-1], "the axis"))


@ARRAY.kernel("ParallelConcat")
def parallel_concat(*values: Value) -> Value:
    """Join along the first axis."""
    return concatenate(values, 0)


@ARRAY.kernel("ConcatOffset")
def concat_offset(axis: Value, *shapes: Value) -> tuple[Value, ...]:
    """Where each operand begins in the result of a ``Concat``."""
    known = [static(shape, "a shape") for shape in shapes]
    where = static_int(axis, "the axis") % max(len(known[0]), 1)
    offsets, begin = [], 0
    for shape in known:
        offset = np.zeros_like(shape)
        offset[where] = begin
        begin += int(shape[where])
        offsets.append(offset)
    return tuple(offsets)


def split_at(x: Value, sizes: tuple[int, ...], axis: int) -> tuple[Value, ...]:
    """Pieces of `x` with the given sizes along `axis`."""
    if len(sizes) == 1:
        return (x,)
    ends = np.cumsum(sizes)
    before = (slice(None),) * (axis % x.ndim)
    return tuple(x[(*before, slice(int(e) - n, int(e)))] for e, n in zip(ends, sizes, strict=True))


@ARRAY.op("Split")
def split(node: NodeView) -> Kernel:
    number = int(node.attr("num_split"))

    def kernel(axis: Value, x: Value) -> tuple[Value, ...]:
        where = static_int(axis, "the axis")
        size, rest = divmod(x.shape[where], number)
        if rest:
            raise MismatchError(
                f"node {node.name!r} cannot split {x.shape} in {number} equal parts"
            )
        return split_at(x, (size,) * number, where)

    return kernel


@ARRAY.op("SplitV")
def split_v(node: NodeView) -> Kernel:
    node.attr("num_split")

    def kernel(x: Value, sizes: Value, axis: Value) -> tuple[Value, ...]:
        where = static_int(axis, "the axis")
        wanted = static_ints(sizes, "the sizes of a split")
        rest = x.shape[where] - sum(n for n in wanted if n != -1)
        full = tuple(rest if n == -1 else n for n in wanted)
        if sum(full) != x.shape[where] or min(full, default=0) < 0 or wanted.count(-1) > 1:
            raise MismatchError(f"node {node.name!r} cannot split {x.shape} into {wanted}")
        return split_at(x, full, where)

    return kernel


def _widths(node: NodeView, paddings: Value) -> list[tuple[int, int]]:
    widths = [(int(a), int(b)) for a, b in static(paddings, "the padding").reshape(-1, 2)]
    if any(a < 0 or b < 0 for a, b in widths):
        raise MismatchError(f"node {node.name!r}: negative padding {widths}")
    return widths


def pad_constant(x: Value, widths: list[tuple[int, int]], value: Value) -> Value:
    """`x` with `value` around it."""
    if not all(map(is_static, (x, value))):
        return jax.lax.pad(jnp.asarray(x), jnp.asarray(value), [(a, b, 0) for a, b in widths])
    shape = tuple(a + n + b for n, (a, b) in zip(x.shape, widths, strict=True))
    padded = np.full(shape, value, x.dtype)
    padded[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return padded


@ARRAY.op("Pad", "PadV2")
def pad(node: NodeView) -> Kernel:
    def kernel(x: Value, paddings: Value, value: Value = None) -> Value:
        if value is None:
            value = np.asarray(b"", object) if x.dtype == object else np.zeros((), x.dtype)
        return pad_constant(x, _widths(node, paddings), value)

    return kernel


def _mirror(
    node: NodeView,
) -> tuple[str, Callable[[Value, Value], list[tuple[int, int]]]]:
    """The mode in NumPy's words and a function that checks the padding against a shape."""
    mode = node.text("mode").lower()
    spare = {"reflect": 1, "symmetric": 0}[mode]

    def widths(shape: tuple[int, ...], paddings: Value) -> list[tuple[int, int]]:
        found = _widths(node, paddings)
        if any(max(w) > max(n - spare, 0) for n, w in zip(shape, found, strict=True)):
            raise MismatchError(f"node {node.name!r}: {mode} padding {found} exceeds {shape}")
        return found

    return mode, widths


@ARRAY.op("MirrorPad")
def mirror_pad(node: NodeView) -> Kernel:
    mode, widths = _mirror(node)
    return lambda x, paddings: ns(x).pad(x, widths(x.shape, paddings), mode=mode)


@ARRAY.op("MirrorPadGrad")
def mirror_pad_grad(node: NodeView) -> Kernel:
    mode, widths = _mirror(node)

    def kernel(gradient: Value, paddings: Value) -> Value:
        pairs = _widths(node, paddings)
        shape = tuple(n - a - b for n, (a, b) in zip(gradient.shape, pairs, strict=True))
        found = widths(shape, paddings)
        whole = jax.ShapeDtypeStruct(shape, gradient.dtype)
        transposed = jax.linear_transpose(lambda x: jnp.pad(x, found, mode=mode), whole)
        return transposed(jnp.asarray(gradient))[0]

    return kernel


@ARRAY.kernel("ReverseV2")
def reverse_v2(x: Value, axes: Value) -> Value:
    """`x` backwards along a list of axes."""
    chosen = static_ints(axes, "the axes")
    return ns(x).flip(x, chosen) if chosen else x


@ARRAY.kernel("Reverse")
def reverse(x: Value, flags: Value) -> Value:
    """`x` backwards along the axes whose flag is set."""
    chosen = tuple(int(i) for i in np.flatnonzero(static(flags, "the axes")))
    return ns(x).flip(x, chosen) if chosen else x


@ARRAY.op("ReverseSequence")
def reverse_sequence(node: NodeView) -> Kernel:
    """The first `lengths[b]` steps of each sequence backwards, the rest as they are."""
    seq_dim, batch_dim = int(node.attr("seq_dim")), int(node.attr("batch_dim"))

    def kernel(x: Value, lengths: Value) -> Value:
        lib = ns(x, lengths)
        _check_lengths(node, lengths, x.shape[seq_dim])
        steps = np.arange(x.shape[seq_dim])
        last = lengths[:, None]
        order = lib.where(steps < last, last - 1 - steps, steps)  # (batch, steps)
        moved = lib.moveaxis(x, (batch_dim, seq_dim), (0, 1))
        return lib.moveaxis(gather(moved, order, 1, 1), (0, 1), (batch_dim, seq_dim))

    return kernel


def _check_lengths(node: NodeView, lengths: Value, size: int) -> None:
    if is_static(lengths) and lengths.size and not 0 <= lengths.min() <= lengths.max() <= size:
        raise MismatchError(f"node {node.name!r}: sequence lengths outside 0..{size}")


@ARRAY.kernel("Roll")
def roll(x: Value, shift: Value, axis: Value) -> Value:
    """`x` shifted in a circle; the shift may be traced."""
    axes = static_ints(axis, "the axes")
    lib = ns(x, shift)
    for distance, where in zip(lib.reshape(shift, -1), axes, strict=True):
        x = lib.roll(x, distance, where)
    return x


@ARRAY.op("OneHot")
def one_hot(node: NodeView) -> Kernel:
    axis = int(node.attr("axis"))

    def kernel(indices: Value, depth: Value, on: Value, off: Value) -> Value:
        where = indices.ndim if axis == -1 else axis
        count = static_count(depth, "the depth")
        require_elements((count, *indices.shape), "one_hot")
        classes = np.arange(count, dtype=np.int64)
        shape = [-1 if i == where else 1 for i in range(indices.ndim + 1)]
        lib = ns(indices, on, off)
        hit = lib.expand_dims(indices, where).astype(np.int64) == classes.reshape(shape)
        return lib.where(hit, on, off)

    return kernel


def _inplace(combine: Callable[[Any, Value], Value]) -> Kernel:
    """Rows replaced by a function of what is there; indices wrap around."""

    def kernel(x: Value, indices: Value, values: Value) -> Value:
        return combine(jnp.asarray(x).at[ns(indices).remainder(indices, x.shape[0])], values)

    return kernel


ARRAY.kernels(
    {
        "InplaceUpdate": _inplace(lambda rows, v: rows.set(v)),
        "InplaceAdd": _inplace(lambda rows, v: rows.add(v)),
        "InplaceSub": _inplace(lambda rows, v: rows.subtract(v)),
    }
)


@ARRAY.op("UnravelIndex")
def unravel_index(node: NodeView) -> Kernel:
    def kernel(indices: Value, dims: Value) -> Value:
        shape = static_shape(dims, "the shape")
        if is_static(indices) and indices.size and indices.max() >= np.prod(shape):
            raise MismatchError(f"node {node.name!r}: an index lies outside {shape}")
        lib = ns(indices)
        return lib.stack([x.astype(indices.dtype) for x in lib.unravel_index(indices, shape)])

    return kernel
