"""Comparisons, logic, selection, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.math import shared
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, ns

COMPARE = OpTable("compare")

COMPARE.kernels(
    {
        "Less": shared("less"),
        "LessEqual": shared("less_equal"),
        "Greater": shared("greater"),
        "GreaterEqual": shared("greater_equal"),
        "LogicalAnd": shared("logical_and"),
        "LogicalOr": shared("logical_or"),
        "LogicalNot": shared("logical_not"),
        "IsNan": shared("isnan"),
        "IsInf": shared("isinf"),
        "IsFinite": shared("isfinite"),
    }
)


def _equality(node: NodeView, name: str, otherwise: bool) -> Kernel:
    """Equality of numbers or strings; shapes that do not match may count as an answer."""
    strict = node.attr("incompatible_shape_error")

    def compare(x: Value, y: Value) -> Value:
        if not strict and not broadcastable(x.shape, y.shape):
            return np.asarray(otherwise)
        return _strings(x, y, name) if is_object(x) else getattr(ns(x, y), name)(x, y)

    return compare


def is_object(x: Value) -> bool:
    """Whether a value holds strings."""
    return is_static(x) and np.asarray(x).dtype == object


def _strings(x: Value, y: Value, name: str) -> Value:
    """The comparison of string tensors; NumPy gives plain objects for scalars."""
    return np.asarray(getattr(np, name)(x, y), bool)


def broadcastable(x: tuple[int, ...], y: tuple[int, ...]) -> bool:
    """Whether two shapes broadcast to one."""
    return all(a == b or 1 in (a, b) for a, b in zip(reversed(x), reversed(y), strict=False))


@COMPARE.op("Equal")
def equal(node: NodeView) -> Kernel:
    return _equality(node, "equal", otherwise=False)


@COMPARE.op("NotEqual")
def not_equal(node: NodeView) -> Kernel:
    return _equality(node, "not_equal", otherwise=True)


@COMPARE.op("ApproximateEqual")
def approximate_equal(node: NodeView) -> Kernel:
    tolerance = float(node.attr("tolerance"))
    return lambda x, y: ns(x, y).abs(x - y) < tolerance


@COMPARE.kernel("Select")
def select(condition: Value, x: Value, y: Value) -> Value:
    """Elements by a condition of the same shape, a scalar one, or one entry for each row."""
    xp = ns(condition, x, y)
    missing = np.ndim(x) - np.ndim(condition)
    if np.ndim(condition) == 1 and missing > 0:
        condition = xp.reshape(condition, condition.shape + (1,) * missing)
    return xp.where(condition, x, y)


COMPARE.kernels({"SelectV2": shared("where")})


@COMPARE.op("Assert", host=False, context=True)
def assert_true(node: NodeView) -> Kernel:
    """A check: it fails only where its condition is known and the graph is sure to ask for it."""
    node.attr("T")

    def check(context: Any, condition: Value, *data: Value) -> tuple[()]:
        if is_static(condition) and not np.all(condition) and not context.speculative:
            told = " ".join(_shown(item) for item in data)
            raise MismatchError(f"the assertion of node {node.name!r} failed: {told}")
        return ()

    return check


def _shown(item: Value) -> str:
    if not is_static(item):
        return "?"
    values = np.asarray(item).reshape(-1)[:3].tolist()
    return " ".join(v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values)


@COMPARE.op("Print", host=False)
def print_values(node: NodeView) -> Kernel:
    """The first input; nothing is printed."""
    node.attr("first_n")
    return lambda value, *data: value


@COMPARE.op("PrintV2", host=False)
def print_string(node: NodeView) -> Kernel:
    node.attr("output_stream")
    node.attr("end")
    return lambda text: ()


@COMPARE.kernel("ToBool")
def to_bool(x: Value) -> Value:
    """Of a scalar whether it is not zero; of another tensor whether it has elements."""
    if np.ndim(x):
        return np.asarray(np.size(x) > 0)
    return np.asarray(bool(x.item())) if is_object(x) else ns(x).not_equal(x, 0)
