"""TensorFlow 1 control flow (Switch, Merge, Enter, Exit, NextIteration) as structured ops.

A frame becomes one ``While`` node, the Merges of a conditional one ``If`` node; the functions that
these call are in their attributes. The dataflow rules are those of TensorFlow's executor
(core/common_runtime/executor.cc; "Implementation of Control Flow in TensorFlow", 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

from hozon.graphs.frames.conditionals import structure_conditionals
from hozon.graphs.frames.cut import CONTROL_FLOW
from hozon.graphs.frames.loops import structure_loops
from hozon.graphs.ir import Node, Ref


def structure_frames(
    nodes: Sequence[Node], needed: set[int], results: Sequence[Ref], roots: Sequence[int]
) -> tuple[Sequence[Node], Sequence[Ref], Sequence[int]]:
    """Replace frames and switches among the `needed` nodes; a graph without any is unchanged.

    Positions stay valid: nodes are replaced in place, and new ones come last. A frame that no
    loop of TensorFlow could have made is a `FormatError`.
    """
    if not any(nodes[i].op in CONTROL_FLOW for i in needed):
        return nodes, results, roots
    changed = list(nodes)
    wanted = [*(ref.node for ref in results), *roots]
    structure_loops(changed, needed, wanted)
    structure_conditionals(changed, wanted)
    return changed, results, roots
