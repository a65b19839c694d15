"""Reductions over axes and running sums along one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.math import div_no_nan, truncate_div
from hozon.graphs.slopes import differentiated
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns, static_int, static_ints

REDUCE = OpTable("reduce")

#: Dtypes whose sums NumPy would round at every step.
NARROW = frozenset({"float16", "bfloat16"})
Axes = tuple[int, ...]
Reducer = Callable[[Value, Axes, bool], Value]


def module(x: Value) -> Any:
    """NumPy for a static value that it sums precisely, else ``jax.numpy``."""
    return np if is_static(x) and x.dtype.name not in NARROW else jnp


def axis_of(axis: int, rank: int, what: str) -> int:
    """`axis` counted from the front, or `MismatchError` when a tensor of `rank` has none such."""
    if not -rank <= axis < rank:
        raise MismatchError(f"{what}: axis {axis} of a tensor with {rank} axes")
    return axis % rank


def lowest(dtype: Any) -> Any:
    """The smallest value of a dtype: minus infinity, or the least integer."""
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(-np.inf if floating else np.iinfo(dtype).min, dtype)


def highest(dtype: Any) -> Any:
    """The largest value of a dtype: infinity, or the greatest integer."""
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(np.inf if floating else np.iinfo(dtype).max, dtype)


def _sum(x: Value, axes: Axes, keep: bool) -> Value:
    return module(x).sum(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _prod(x: Value, axes: Axes, keep: bool) -> Value:
    return module(x).prod(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _mean(x: Value, axes: Axes, keep: bool) -> Value:
    """The mean; of integers, rounded toward zero."""
    if module(x) is jnp and jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.mean(x, axis=axes, keepdims=keep, dtype=x.dtype)
    total = _sum(x, axes, keep)
    count = np.asarray(math.prod(x.shape[a] for a in axes), x.dtype)
    return total if not count and x.dtype.kind in "iu" else truncate_div(total, count)


def _max(x: Value, axes: Axes, keep: bool) -> Value:
    return ns(x).max(x, axis=axes, keepdims=keep, **_start(x, axes, lowest))


def _min(x: Value, axes: Axes, keep: bool) -> Value:
    return ns(x).min(x, axis=axes, keepdims=keep, **_start(x, axes, highest))


def _start(x: Value, axes: Axes, value: Callable[[Any], Any]) -> dict[str, Any]:
    """What an extreme over no elements is; left out otherwise, for the sake of the gradient."""
    return {"initial": value(x.dtype)} if 0 in [x.shape[a] for a in axes] else {}


def _euclidean_norm(x: Value, axes: Axes, keep: bool) -> Value:
    squares = _sum(ns(x).abs(x) ** 2 if x.dtype.kind == "c" else x * x, axes, keep)
    return ns(x).sqrt(squares).astype(x.dtype)


REDUCERS: dict[str, Reducer] = {
    "Sum": _sum,
    "Prod": _prod,
    "Mean": _mean,
    "Max": _max,
    "Min": _min,
    "All": lambda x, axes, keep: ns(x).all(x, axis=axes, keepdims=keep),
    "Any": lambda x, axes, keep: ns(x).any(x, axis=axes, keepdims=keep),
    "EuclideanNorm": _euclidean_norm,
}


@REDUCE.op(*REDUCERS)
def reduction(node: NodeView) -> Kernel:
    keep = bool(node.attr("keep_dims"))
    compute = REDUCERS[node.op]

    def reduce(x: Value, axes: Value) -> Value:
        wanted = static_ints(axes, "the axes of a reduction")
        axes = tuple(axis_of(a, np.ndim(x), node.name) for a in wanted)
        if len(set(axes)) != len(axes):
            raise MismatchError(f"{node.name}: an axis is reduced twice: {wanted}")
        return compute(x, axes, keep)

    return reduce


@REDUCE.op("ArgMax", "ArgMin")
def arg_extreme(node: NodeView) -> Kernel:
    """The place of the first extreme; unlike in NumPy, NaN never wins."""
    output = node.dtype("output_type").numpy
    name, last = node.op.lower(), lowest if node.op == "ArgMax" else highest

    def find(x: Value, axis: Value) -> Value:
        where = axis_of(static_int(axis, "the axis"), np.ndim(x), node.name)
        if jnp.issubdtype(x.dtype, jnp.floating):
            x = ns(x).where(ns(x).isnan(x), last(x.dtype), x)
        if is_static(x):
            return getattr(np, name)(x, axis=where).astype(output)
        # A place in 64 bits could not be compiled where a caller's program has none.
        return getattr(jax.lax, name)(x, where, np.int32).astype(output)

    return find


# Running sums


def _cumulative(node: NodeView, identity: Any, compute: Callable[[Value, int], Value]) -> Kernel:
    """Running totals; exclusive ones leave out the element itself, reversed ones go backward."""
    exclusive, backward = bool(node.attr("exclusive")), bool(node.attr("reverse"))

    def run(x: Value, axis: Value) -> Value:
        where = axis_of(static_int(axis, "the axis"), np.ndim(x), node.name)
        xp = ns(x)
        x = xp.flip(x, where) if backward else x
        if exclusive:
            x = _shifted(x, where, identity(x.dtype))
        total = compute(x, where)
        return xp.flip(total, where) if backward else total

    return run


def _shifted(x: Value, axis: int, first: Any) -> Value:
    """`x` moved by one along `axis`, `first` coming in."""
    count = x.shape[axis]
    if not count:
        return x
    xp = ns(x)
    kept = x[(slice(None),) * axis + (slice(0, count - 1),)]
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return xp.concatenate([xp.full(shape, first, x.dtype), kept], axis=axis)


@REDUCE.op("Cumsum")
def cumsum(node: NodeView) -> Kernel:
    return _cumulative(
        node, lambda dtype: 0, lambda x, axis: module(x).cumsum(x, axis=axis, dtype=x.dtype)
    )


@REDUCE.op("Cumprod")
def cumprod(node: NodeView) -> Kernel:
    """Running products, whose derivative along a zero is taken for zero, as in TensorFlow."""
    multiply = _cumulative(
        node, lambda dtype: 1, lambda x, axis: module(x).cumprod(x, axis=axis, dtype=x.dtype)
    )
    total = cumsum(node)

    def run(x: Value, axis: Value) -> Value:
        slope = lambda g, x, y: y * total(div_no_nan(g, x), axis)
        return differentiated(lambda x: multiply(x, axis), slope)(x)

    return run


@REDUCE.op("CumulativeLogsumexp")
def cumulative_logsumexp(node: NodeView) -> Kernel:
    return _cumulative(
        node,
        lowest,
        lambda x, axis: jax.lax.cumlogsumexp(jnp.asarray(x), axis),
    )
