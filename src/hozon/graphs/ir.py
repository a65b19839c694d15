"""The intermediate form between a ``GraphDef`` and everything that runs or reads a graph.

A `Function` is a list of nodes in an order in which they can run. A value is named by a `Ref`:
the position of the node that makes it and the number of that node's output. Arguments are nodes
too (op ``_Arg``, or the fed ``Placeholder`` of a TensorFlow 1 graph), so nothing is special-cased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ARGUMENT_OP = "_Arg"


@dataclass(frozen=True, slots=True)
class Ref:
    """Output number `output` of the node at position `node`."""

    node: int
    output: int


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: what it is, what it reads, and its attributes as plain Python values."""

    name: str
    op: str
    inputs: tuple[Ref, ...]
    controls: tuple[int, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Function:
    """A graph with arguments and results, its nodes in topological order.

    `arguments[i]` is the position of the node that stands for argument `i`; `results` are the
    values returned. Nodes that neither a result nor a side effect needs have been left out.
    """

    name: str
    nodes: tuple[Node, ...]
    arguments: tuple[int, ...]
    results: tuple[Ref, ...]
    argument_names: tuple[str, ...] = ()
    result_names: tuple[str, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
