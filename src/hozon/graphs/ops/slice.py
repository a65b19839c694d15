"""Slices: ``Slice``, ``StridedSlice`` with all its masks, and assignments to slices.

The rules are those of tensorflow/core/util/strided_slice_op.cc; past the masks they are NumPy's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, is_traced, static, static_ints

SLICE = OpTable("slice")
Index = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Masks:
    """The bit masks of a strided slice; bit i speaks of the i-th item of the specification."""

    begin: int
    end: int
    ellipsis: int
    new_axis: int
    shrink_axis: int

    @classmethod
    def of(cls, node: NodeView) -> Masks:
        """The masks of a node; two ellipses are refused."""
        names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
        masks = cls(*(int(node.attr(f"{name}_mask")) for name in names))
        if masks.ellipsis & (masks.ellipsis - 1):
            raise node.refuse("several ellipses in one slice")
        return masks


def strided_index(
    node: NodeView,
    masks: Masks,
    shape: tuple[int, ...],
    begin: Value,
    end: Value,
    strides: Value,
) -> Index:
    """The index of a strided slice; only shrunk axes may begin at a traced position."""
    steps = static_ints(strides, "the stride")
    items = len(steps)
    index: list[Any] = []
    axis = 0
    for i, kind in _items(masks, items):
        if kind == "ellipsis":
            taken = sum(1 for j, k in _items(masks, items) if j != i and k != "new")
            skipped = max(len(shape) - taken, 0)
            index.extend([slice(None)] * skipped)
            axis += skipped
            continue
        if kind == "new":
            index.append(None)
            continue
        if axis >= len(shape):
            raise MismatchError(f"node {node.name!r}: {items} indices for shape {shape}")
        if kind == "shrink":
            index.append(_position(node, begin, i, shape[axis]))
        else:
            bit = 1 << i
            first = None if masks.begin & bit else _known(begin, i)
            last = None if masks.end & bit else _known(end, i)
            if steps[i] == 0:
                raise MismatchError(f"node {node.name!r}: stride 0")
            index.append(slice(first, last, steps[i]))
        axis += 1
    return (*index, ...)


def _items(masks: Masks, items: int) -> Iterator[tuple[int, str]]:
    """What each item of the specification is; an ellipsis wins over a new axis over shrinking."""
    for i in range(items):
        bit = 1 << i
        if masks.ellipsis & bit:
            yield i, "ellipsis"
        elif masks.new_axis & bit:
            yield i, "new"
        else:
            yield i, "shrink" if masks.shrink_axis & bit else "slice"


def _known(bounds: Value, i: int) -> int:
    return int(static(bounds, "a bound of a slice")[i])


def _position(node: NodeView, begin: Value, i: int, size: int) -> Value:
    """One index; a traced one out of range is clamped, since compiled code cannot fail."""
    if is_traced(begin):
        return begin[i]
    position = _known(begin, i)
    if not -size <= position < size:
        raise MismatchError(
            f"node {node.name!r}: slice index {position} of an axis of size {size} is out of bounds"
        )
    return position


def take(x: Value, index: Index) -> Value:
    """``x[index]`` as an array, also where NumPy would return a bare element."""
    if is_static(x) and not any(map(is_traced, index)):
        return x[index]
    return jnp.asarray(x)[index]


def replace(x: Value, index: Index, update: Value) -> Value:
    """A copy of `x` with ``x[index] = update``."""
    if is_static(x) and is_static(update) and not any(map(is_traced, index)):
        copied = np.array(x)
        copied[index] = update
        return copied
    return jnp.asarray(x).at[index].set(update)


@SLICE.op("StridedSlice")
def strided_slice(node: NodeView) -> Kernel:
    masks = Masks.of(node)

    def kernel(x: Value, begin: Value, end: Value, strides: Value) -> Value:
        if x.dtype == object:
            begin, end = static(begin, "a slice"), static(end, "a slice")
        return take(x, strided_index(node, masks, x.shape, begin, end, strides))

    return kernel


@SLICE.op("StridedSliceGrad")
def strided_slice_grad(node: NodeView) -> Kernel:
    """The gradient in the place it was sliced from, zeros elsewhere."""
    masks = Masks.of(node)

    def kernel(shape: Value, begin: Value, end: Value, strides: Value, dy: Value) -> Value:
        dims = static_ints(shape, "the shape")
        index = strided_index(node, masks, dims, begin, end, strides)
        return replace(np.zeros(dims, dy.dtype), index, dy)

    return kernel


@SLICE.op("TensorStridedSliceUpdate")
def tensor_strided_slice_update(node: NodeView) -> Kernel:
    masks = Masks.of(node)

    def kernel(x: Value, begin: Value, end: Value, strides: Value, value: Value) -> Value:
        return replace(x, strided_index(node, masks, x.shape, begin, end, strides), value)

    return kernel


@SLICE.op("ResourceStridedSliceAssign", "StridedSliceAssign", context=True)
def strided_slice_assign(node: NodeView) -> Kernel:
    masks = Masks.of(node)
    reference = node.op == "StridedSliceAssign"

    def kernel(
        context: Any, cell: Any, begin: Value, end: Value, strides: Value, value: Value
    ) -> Value:
        x = context.read(cell)
        index = strided_index(node, masks, x.shape, begin, end, strides)
        changed = replace(x, index, value)
        context.assign(cell, changed)
        return changed if reference else ()

    return kernel


@SLICE.op("Slice")
def plain_slice(node: NodeView) -> Kernel:
    def kernel(x: Value, begin: Value, size: Value) -> Value:
        sizes = static_ints(size, "the size of a slice")
        if is_traced(begin) and -1 not in sizes and x.dtype != object:
            return jax.lax.dynamic_slice(jnp.asarray(x), list(begin), sizes)
        starts = static_ints(begin, "the begin of a slice")
        stops = tuple(
            n if s == -1 else b + s for b, s, n in zip(starts, sizes, x.shape, strict=True)
        )
        if any(not 0 <= b <= e <= n for b, e, n in zip(starts, stops, x.shape, strict=True)):
            raise MismatchError(
                f"node {node.name!r}: slice at {starts} of size {sizes} exceeds {tuple(x.shape)}"
            )
        return x[(*(slice(b, e) for b, e in zip(starts, stops, strict=True)), ...)]

    return kernel
