"""Symbolic sizes as nodes.

A size is read in the textual form that JAX gives and takes (`jax.export.symbolic_shape`): sums and
products of names and integers, ``floordiv``, ``mod``, ``max`` and ``min``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hozon.graphs.emit.rules import NoRule
from hozon.graphs.emit.values import Tensor

if TYPE_CHECKING:
    from hozon.graphs.emit.body import Body

_BINARY = {ast.Add: "AddV2", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}
_INEQUALITIES = {"<=": "LessEqual", ">=": "GreaterEqual"}
_CALLS = {"floordiv": "FloorDiv", "mod": "FloorMod", "max": "Maximum", "min": "Minimum"}


def condition(body: Body, text: str) -> Tensor:
    """Whether an inequality of two sizes, as in ``"t <= 16"``, holds: a scalar of bool."""
    for sign, op in _INEQUALITIES.items():
        left, found, right = text.partition(sign)
        if found:
            inputs = [computed(body, side, body.symbol) for side in (left, right)]
            return body.add(op, inputs, shape=(), dtype=np.bool_)
    raise NoRule(f"condition {text}")


def computed(body: Body, text: str, symbol: Callable[[str], Tensor]) -> Tensor:
    """The value of the size `text` as a scalar of int32; `symbol` gives that of a name."""

    def visit(node: ast.AST) -> Tensor:
        if isinstance(node, ast.Name):
            return symbol(node.id)
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return body.constant(np.asarray(node.value, np.int32))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _scalar(body, "Neg", visit(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return _scalar(body, _BINARY[type(node.op)], visit(node.left), visit(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return _scalar(body, _CALLS[node.func.id], *map(visit, node.args))
        raise NoRule(f"size {text}")

    return visit(ast.parse(text.replace("^", "**").strip(), mode="eval").body)


def _scalar(body: Body, op: str, *inputs: Tensor) -> Tensor:
    return body.add(op, list(inputs), shape=(), dtype=np.int32)
