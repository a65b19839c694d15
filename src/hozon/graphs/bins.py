"""Numbers of bins that are known before the data is.

Counting into a given number of bins is saved as counting into as many as the data asks for, but no
less than that number and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hozon.formats.protos.tensor import TensorRecord
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graphs.ir import Node, Ref

#: Ops whose second input is the number of bins.
COUNTS = frozenset({"Bincount", "DenseBincount"})


def with_known_bins(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, counting into `a` bins where it was ``minimum(a, maximum(b, x))``, `b >= a`."""
    return [_known(nodes, node) if node.op in COUNTS else node for node in nodes]


def _known(nodes: Sequence[Node], node: Node) -> Node:
    size = node.inputs[1]
    if nodes[size.node].op != "Minimum":
        return node
    first, second = nodes[size.node].inputs
    for most, inner in ((first, second), (second, first)):
        if nodes[inner.node].op == "Maximum" and _leave_no_choice(
            nodes, most, nodes[inner.node].inputs
        ):
            return replace(node, inputs=(node.inputs[0], most, *node.inputs[2:]))
    return node


def _leave_no_choice(nodes: Sequence[Node], most: Ref, least: Sequence[Ref]) -> bool:
    limit = _integer(nodes[most.node])
    bounds = [_integer(nodes[ref.node]) for ref in least]
    return limit is not None and any(b is not None and b >= limit for b in bounds)


def _integer(node: Node) -> int | None:
    """The number that a node is; None for anything but one constant integer."""
    value = node.attrs.get("value") if node.op == "Const" else None
    if not isinstance(value, TensorRecord) or value.shape.dims != ():
        return None
    number = to_numpy(value)
    return int(number) if np.issubdtype(number.dtype, np.integer) else None
