"""Stored variables of a SavedModel that Keras 2 wrote to live ones, by the object graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from hozon.keras_private.layers import layers_of
from hozon.models.assignment import Assignment, apply
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.models.tracking import Describer
from hozon.models.tracking.leaves import KerasLeaf
from hozon.objects.tracking import Virtual, identity


class Assigner:
    """Pairs variable nodes of the object graph with Keras variables and gives these their values.

    `variables` maps nodes to the live variables they became.
    """

    def __init__(self, objects: KerasObjects, report: LoadReport) -> None:
        self.objects = objects
        self.report = report
        self.variables: dict[int, keras.Variable] = {}

    def assign_layer(self, node_id: int, layer: keras.layers.Layer, path: str) -> None:
        """Give a layer's variables their stored values.

        They are found by the edges of the object graph, and where the file has other edges, by
        their names. What neither tells is reported as not fitting: shapes and places would be a
        guess, and saved functions run such a layer as it was.
        """
        nodes = [n for n in self.objects.weights(node_id) if self.objects.variable(n) is not None]
        live = [v for v in layer.weights if not _is_seed(v)]
        found = by_edges(self.objects, node_id, layer, nodes)
        rest = [n for n in nodes if n not in found]
        waiting = [v for v in live if all(v is not taken for taken in found.values())]
        found |= self._by_names(rest, waiting)
        rest = [n for n in nodes if n not in found]
        waiting = [v for v in live if all(v is not taken for taken in found.values())]
        if rest:
            self.report.mismatched.append(
                f"{path}: {len(nodes)} stored variables, {len(live)} in the layer"
            )
        self.report.unexpected.extend(f"{path}/{self._name(node)}" for node in rest)
        self.report.missing.extend(v.path for v in waiting if not is_state(layer, v))
        for node in nodes:
            if node in found:
                self.assign(node, found[node], path)

    def _by_names(
        self, nodes: Sequence[int], live: Sequence[keras.Variable]
    ) -> dict[int, keras.Variable]:
        """Variables of which the names, or their ends, tell all apart."""
        for length in (1, 2, 3, 4):
            stored = {_end(self._name(node), length): node for node in nodes}
            ends = {_end(str(v.path), length): v for v in live}
            if (
                len(stored) == len(nodes)
                and len(ends) == len(live)
                and stored.keys() == ends.keys()
            ):
                return {node: ends[end] for end, node in stored.items()}
        return {}

    def _name(self, node: int) -> str:
        saved = self.objects.variable(node)
        return "" if saved is None else saved.name.split(":")[0]

    def assign(self, node: int, variable: keras.Variable, path: str) -> None:
        """Give one variable its stored value.

        Raises MismatchError where the stored shape is not the variable's.
        """
        saved = self.objects.variable(node)
        if saved is None:
            return
        self.variables[node] = variable
        name = f"{path}/{variable.name}"
        stored = self.objects.artifact.variable_value(node, saved)
        if stored is None:
            self.report.missing.append(name)
            return
        assignment = Assignment(report=self.report)
        assignment.pair(KerasLeaf(variable), stored, name)
        apply(assignment, str(self.objects.artifact.path))


def by_edges(
    objects: KerasObjects, node_id: int, layer: keras.Layer, wanted: Iterable[int]
) -> dict[int, keras.Variable]:
    """The variables of a layer that the same edges lead to as to stored ones."""
    describe, nodes = Describer(layer), set(wanted)
    found: dict[int, keras.Variable] = {}
    waiting: list[tuple[Any, int]] = [(layer, node_id)]
    seen: set[Any] = set()
    while waiting:
        target, node = waiting.pop()
        if (identity(target), node) in seen:
            continue
        seen.add((identity(target), node))
        known = describe(target)
        leaf = known.leaf
        if node in nodes and isinstance(leaf, KerasLeaf):
            found.setdefault(node, leaf.variable)
            continue
        for name, child in objects.children(node).items():
            live = known.child(name)
            if isinstance(live, (keras.Variable, keras.Layer, Virtual, list, tuple, dict)):
                waiting.append((live, child))
    return found


def _end(name: str, length: int) -> tuple[str, ...]:
    return tuple(name.split("/")[-length:])


def _is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a Keras 3 seed generator, which Keras 2 does not have."""
    return bool(variable.name == "seed_generator_state")


def is_state(layer: keras.Layer, variable: keras.Variable) -> bool:
    """Whether a variable is what a stateful RNN carries between calls; files may not hold it."""
    states = [
        state
        for inner in layers_of(layer)
        if isinstance(inner, keras.layers.RNN)
        for state in keras.tree.flatten(inner.states or ())
    ]
    return any(variable is state for state in states)
