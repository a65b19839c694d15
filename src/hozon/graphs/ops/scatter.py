"""Scattering by index: into new tensors, copies of tensors, and variables.

An index out of range is an error where indices are static; a compiled program drops the update.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from hozon.graphs.ops.gather import check_indices
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, static_shape

SCATTER = OpTable("scatter")
Index = tuple[Value, ...]

#: What one update does in NumPy; ``set`` and ``divide`` are treated apart.
IN_PLACE = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def scatter(x: Value, index: Index, updates: Value, how: str) -> Value:
    """`x` with `updates` combined into the rows at `index`, also where rows repeat."""
    if how == "divide":
        return _divide(x, index, updates)
    if all(map(is_static, (x, updates, *index))):
        changed = np.array(x)
        if how == "set":
            changed[index] = updates
        else:
            IN_PLACE[how].at(changed, index, updates)
        return changed
    if how == "add" and x.dtype == bool:
        how = "max"  # which JAX, unlike NumPy, has no sum for
    rows = jnp.asarray(x).at[index]
    return getattr(rows, how)(updates, mode="drop", wrap_negative_indices=False)


def _divide(x: Value, index: Index, updates: Value) -> Value:
    """Repeated division is one by the product; integers round towards zero."""
    divisor = scatter(np.ones(x.shape, x.dtype), index, updates, "multiply")
    if np.issubdtype(x.dtype, np.integer):
        x = jnp.asarray(x)
        quotient = abs(x) // abs(divisor)
        return quotient * (jnp.sign(x) * jnp.sign(divisor))
    return x / divisor


def rows(node: NodeView, x: Value, indices: Value) -> Index:
    """An index of whole rows of the first axis."""
    check_indices(node, indices, x.shape[0])
    return (indices,)


def vectors(node: NodeView, x: Value, indices: Value, checked: bool = True) -> Index:
    """An index from index vectors in the last axis."""
    index = tuple(indices[..., i] for i in range(indices.shape[-1]))
    if checked:
        for i, size in zip(index, x.shape, strict=False):
            check_indices(node, i, size)
    return index


def _scatter_vectors(node: NodeView, x: Value, indices: Value, updates: Value, how: str) -> Value:
    checked = node.text("bad_indices_policy") != "IGNORE"
    if indices.shape[-1] == 0:
        return _scatter_whole(x, updates, how)
    if not checked:
        x = jnp.asarray(x)
    return scatter(x, vectors(node, x, indices, checked), updates, how)


def _scatter_whole(x: Value, updates: Value, how: str) -> Value:
    """Empty index vectors: every update is of the shape of `x` as a whole."""
    for update in updates.reshape(-1, *x.shape):
        x = scatter(x, (...,), update, how)
    return x


@SCATTER.op("ScatterNd")
def scatter_nd(node: NodeView) -> Kernel:
    node.attr("bad_indices_policy")

    def kernel(indices: Value, updates: Value, shape: Value) -> Value:
        dims = static_shape(shape, "the shape")
        if updates.dtype == object:
            blank: Any = np.full(dims, b"", object)
            return _scatter_vectors(node, blank, indices, updates, "set")
        return _scatter_vectors(node, np.zeros(dims, updates.dtype), indices, updates, "add")

    return kernel


TENSOR_OPS = {
    "ScatterNdNonAliasingAdd": "add",
    "TensorScatterUpdate": "set",
    "TensorScatterAdd": "add",
    "TensorScatterSub": "subtract",
    "TensorScatterMax": "max",
    "TensorScatterMin": "min",
}


@SCATTER.op(*TENSOR_OPS)
def tensor_scatter(node: NodeView) -> Kernel:
    how = TENSOR_OPS[node.op]
    node.attr("bad_indices_policy")
    return lambda x, indices, updates: _scatter_vectors(node, x, indices, updates, how)


HOW = {
    "Update": "set",
    "Add": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Div": "divide",
    "Max": "max",
    "Min": "min",
}
ROW_OPS = {f"{kind}Scatter{name}": how for kind in ("Resource", "") for name, how in HOW.items()}
VECTOR_OPS = {
    f"{kind}ScatterNd{name}": HOW[name]
    for kind in ("Resource", "")
    for name in ("Update", "Add", "Sub", "Max", "Min")
}


@SCATTER.op(*ROW_OPS, context=True)
def variable_scatter(node: NodeView) -> Kernel:
    """Rows of a variable; a scalar update is for every row."""
    how = ROW_OPS[node.op]

    def kernel(context: Any, cell: Any, indices: Value, updates: Value) -> Value:
        x = context.read(cell)
        value = scatter(x, rows(node, x, indices), updates, how)
        value = context.assign(cell, value)
        return () if node.op.startswith("Resource") else value

    return kernel


@SCATTER.op(*VECTOR_OPS, context=True)
def variable_scatter_nd(node: NodeView) -> Kernel:
    how = VECTOR_OPS[node.op]
    node.attr("bad_indices_policy")

    def kernel(context: Any, cell: Any, indices: Value, updates: Value) -> Value:
        value = _scatter_vectors(node, context.read(cell), indices, updates, how)
        value = context.assign(cell, value)
        return () if node.op.startswith("Resource") else value

    return kernel
