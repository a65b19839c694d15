"""Gathering by index, partitioning and stitching.

An index out of range is an error where indices are static. In a compiled program, which cannot
fail, it gives zeros, as TensorFlow does on accelerators.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns, static, static_int

GATHER = OpTable("gather")


def check_indices(node: NodeView, indices: Value, size: int) -> None:
    """Raise `MismatchError` when a static index lies outside 0..size-1."""
    if is_static(indices) and indices.size:
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise MismatchError(f"node {node.name!r}: index {wrong} is not in [0, {size})")


def gather(params: Value, indices: Value, axis: int, batch_dims: int = 0) -> Value:
    """``params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1:]``."""
    if is_static(params) and is_static(indices):
        return _gather_static(params, indices, axis, batch_dims)
    params, indices = jnp.asarray(params), jnp.asarray(indices)
    function: Callable[..., Value] = functools.partial(_gather_traced, axis=axis - batch_dims)
    for _ in range(batch_dims):
        function = jax.vmap(function)
    return function(params, indices)


def _gather_traced(params: Value, indices: Value, axis: int) -> Value:
    index = (*(slice(None),) * axis, indices)
    return params.at[index].get(mode="fill", fill_value=0, wrap_negative_indices=False)


def _gather_static(params: Any, indices: Any, axis: int, batch_dims: int) -> Any:
    if not batch_dims:
        return np.asarray(np.take(params, indices, axis=axis), params.dtype)
    moved = np.moveaxis(params, axis, batch_dims)
    grid = [
        np.arange(n).reshape([-1 if i == j else 1 for j in range(indices.ndim)])
        for i, n in enumerate(indices.shape[:batch_dims])
    ]
    taken = moved[(*grid, indices)]
    middle = range(indices.ndim, indices.ndim + axis - batch_dims)
    return np.moveaxis(taken, tuple(middle), tuple(range(batch_dims, axis)))


@GATHER.op("Gather")
def gather_v1(node: NodeView) -> Kernel:
    def kernel(params: Value, indices: Value) -> Value:
        check_indices(node, indices, params.shape[0])
        return gather(params, indices, 0)

    return kernel


@GATHER.op("GatherV2")
def gather_v2(node: NodeView) -> Kernel:
    batch_dims = int(node.attr("batch_dims"))

    def kernel(params: Value, indices: Value, axis: Value) -> Value:
        batch = batch_dims + indices.ndim if batch_dims < 0 else batch_dims
        where = static_int(axis, "the axis") % params.ndim
        check_indices(node, indices, params.shape[where])
        return gather(params, indices, where, batch)

    return kernel


def gather_nd(node: NodeView, params: Value, indices: Value, ignore: bool = False) -> Value:
    """Slices of `params` at index vectors in the last axis of `indices`.

    `ignore`: a vector out of range gives zeros instead of an error.
    """
    depth = indices.shape[-1]
    if depth == 0:
        return ns(params).broadcast_to(params, indices.shape[:-1] + params.shape)
    index = tuple(indices[..., i] for i in range(depth))
    if not ignore:
        for i, size in zip(index, params.shape, strict=False):
            check_indices(node, i, size)
        if is_static(params) and is_static(indices):
            return params[(*index, ...)]
    filled = jnp.asarray(params).at[index]
    return filled.get(mode="fill", fill_value=0, wrap_negative_indices=False)


@GATHER.op("GatherNd")
def gather_nd_op(node: NodeView) -> Kernel:
    ignore = node.text("bad_indices_policy") == "IGNORE"
    return lambda params, indices: gather_nd(node, params, indices, ignore)


@GATHER.op("DynamicPartition")
def dynamic_partition(node: NodeView) -> Kernel:
    """The slices of `data` that each partition number selects; the numbers must be static."""
    number = int(node.attr("num_partitions"))

    def kernel(data: Value, partitions: Value) -> tuple[Value, ...]:
        chosen = static(partitions, "the partition of an element")
        check_indices(node, chosen, number)
        rows = data.reshape(chosen.size, *data.shape[chosen.ndim :])
        flat = chosen.reshape(-1)
        return tuple(rows[np.flatnonzero(flat == i)] for i in range(number))

    return kernel


@GATHER.op("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(node: NodeView) -> Kernel:
    """Rows put where static indices say; of several for one place the last wins."""
    count = int(node.attr("N"))

    def kernel(*inputs: Value) -> Value:
        places = [static(i, "a place to stitch to") for i in inputs[:count]]
        data = inputs[count:]
        inner = data[0].shape[places[0].ndim :]
        lib = ns(*data)
        rows = lib.concatenate(
            [lib.reshape(x, (-1, *inner)) if x.size else lib.reshape(x, (0, *inner)) for x in data]
        )
        where = np.concatenate([i.reshape(-1) for i in places])
        size = int(where.max()) + 1 if where.size else 0
        check_indices(node, where, size)
        source = np.full(size, len(where))
        source[where] = np.arange(len(where))
        blank = np.full((1, *inner), b"", object) if rows.dtype == object else None
        blank = np.zeros((1, *inner), rows.dtype) if blank is None else blank

        def stitch(rows: Value) -> Value:
            return lib.concatenate([rows, blank])[source]

        return stitch(rows) if is_static(rows) else _stitched(stitch, where, size, rows)

    return kernel


def _stitched(stitch: Kernel, where: Any, size: int, rows: Value) -> Value:
    """`rows` stitched; of several for one place each has the gradient, as in TensorFlow."""
    traced: Any = jax.custom_jvp(stitch)

    def derivative(primals: tuple[Value], tangents: tuple[Value]) -> tuple[Value, Value]:
        total = jnp.zeros((size, *tangents[0].shape[1:]), tangents[0].dtype)
        return traced(*primals), total.at[where].add(tangents[0])

    traced.defjvp(derivative)
    result: Value = traced(rows)
    return result
