"""Symbolic sizes as nodes.

A size is read in the textual form that JAX gives and takes (`jax.export.symbolic_shape`): sums and
products of names and integers, ``floordiv``, ``mod``, ``max`` and ``min``.
"""

from __future__ import annotations

import ast
from typing import Any, Protocol

import numpy as np

from hozon.graphs.emit.rules import NoRule
from hozon.graphs.emit.values import Tensor

_BINARY = {ast.Add: "AddV2", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}
_INEQUALITIES = {"<=": "LessEqual", ">=": "GreaterEqual"}
_CALLS = {"floordiv": "FloorDiv", "mod": "FloorMod", "max": "Maximum", "min": "Minimum"}


class Nodes(Protocol):
    """What sizes are written with: the nodes of a function."""

    def constant(self, array: Any) -> Tensor:
        """A tensor of this value."""

    def scalar(self, op: str, *inputs: Tensor, dtype: type[np.generic]) -> Tensor:
        """The one output of a node that takes scalars."""

    def symbol(self, name: str) -> Tensor:
        """The value of a name in a size."""


def condition(nodes: Nodes, text: str) -> Tensor:
    """Whether an inequality of two sizes, as in ``"t <= 16"``, holds: a scalar of bool."""
    for sign, op in _INEQUALITIES.items():
        left, found, right = text.partition(sign)
        if found:
            inputs = [computed(nodes, side) for side in (left, right)]
            return nodes.scalar(op, *inputs, dtype=np.bool_)
    raise NoRule(f"condition {text}")


def computed(nodes: Nodes, text: str) -> Tensor:
    """The value of the size `text` as a scalar of int32."""

    def number(op: str, *inputs: ast.AST) -> Tensor:
        return nodes.scalar(op, *map(visit, inputs), dtype=np.int32)

    def visit(node: ast.AST) -> Tensor:
        match node:
            case ast.Name(name):
                return nodes.symbol(name)
            case ast.Constant(int(value)):
                return nodes.constant(np.asarray(value, np.int32))
            case ast.UnaryOp(ast.USub(), operand):
                return number("Neg", operand)
            case ast.BinOp(left, op, right) if type(op) in _BINARY:
                return number(_BINARY[type(op)], left, right)
            case ast.Call(ast.Name(name), arguments) if name in _CALLS:
                return number(_CALLS[name], *arguments)
        raise NoRule(f"size {text}")

    return visit(ast.parse(text.replace("^", "**").strip(), mode="eval").body)
