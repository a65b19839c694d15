"""A functional model in two parts: up to where its strings became numbers, and the rest.

Strings cannot enter a compiled program. The first part, which has no weights, runs on the host
for each batch; what it hands over is numbers, and the rest trains and predicts as compiled
programs like any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from hozon.keras_private.graph import (
    Functional,
    GraphNode,
    functional_of,
    graph_nodes,
    run_nodes,
    standardized,
)

#: The one key of what is handed over, in the place of the model's inputs.
NUMBERS = "hozon numbers"


class Split:
    """The two parts of a model; see the module."""

    def __init__(
        self,
        functional: Functional,
        before: Sequence[GraphNode],
        after: Sequence[GraphNode],
        border: Sequence[keras.KerasTensor],
    ) -> None:
        self._functional = functional
        self._before, self._after, self._border = before, after, border

    @staticmethod
    def of(model: keras.Model) -> Split | None:
        """The parts of a model, None where strings do not end before the first weight."""
        functional = functional_of(model)
        if functional is None:
            return None
        nodes = graph_nodes(functional)
        before = _with_sources([n for n in nodes if _reads_strings(n)], nodes)
        after = [node for node in nodes if node not in before]
        needed = [t for node in after for t in node.inputs] + list(functional.outputs)
        made = {id(t) for node in after for t in node.outputs}
        border = list({id(t): t for t in needed if id(t) not in made}.values())
        if any(n.operation.weights for n in before if isinstance(n.operation, keras.Layer)):
            return None
        if any(tensor.dtype == "string" for tensor in border):
            return None
        return Split(functional, before, after, border)

    def numbers(self, inputs: Any) -> dict[str, list[Any]]:
        """What the first part makes of a batch."""
        flat = standardized(self._functional, inputs)
        made = {id(t): x for t, x in zip(self._functional.inputs, flat, strict=True)}
        run_nodes(self._before, made)
        return {NUMBERS: [made[id(tensor)] for tensor in self._border]}

    def outputs(self, numbers: Mapping[str, Any], training: bool | None) -> Any:
        """The model's outputs for what `numbers` made."""
        made = {id(t): x for t, x in zip(self._border, numbers[NUMBERS], strict=True)}
        run_nodes(self._after, made, training)
        found = [made[id(tensor)] for tensor in self._functional.outputs]
        return keras.tree.pack_sequence_as(self._functional.output, found)


def _reads_strings(node: GraphNode) -> bool:
    return any(t.dtype == "string" for t in (*node.inputs, *node.outputs))


def _with_sources(chosen: Sequence[GraphNode], nodes: Sequence[GraphNode]) -> list[GraphNode]:
    """The chosen nodes and all that they depend on, in the order of `nodes`."""
    wanted: set[int] = set()
    kept = []
    for node in reversed(nodes):
        if node in chosen or any(id(t) in wanted for t in node.outputs):
            wanted.update(id(t) for t in node.inputs)
            kept.append(node)
    return kept[::-1]


def is_numbers(value: Any) -> bool:
    """Whether a value is what `Split.numbers` makes."""
    return isinstance(value, Mapping) and set(value) == {NUMBERS}
