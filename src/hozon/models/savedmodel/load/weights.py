"""Stored variables to live ones, by the object graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from hozon.errors import MismatchError
from hozon.keras_private.values import give_value
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.objects import KerasObjects


class Assigner:
    """Pairs variable nodes of the object graph with Keras variables and copies values.

    `variables` maps nodes to the live variables they became.
    """

    def __init__(self, objects: KerasObjects, report: LoadReport) -> None:
        self.objects = objects
        self.report = report
        self.variables: dict[int, keras.Variable] = {}

    def assign_layer(self, node_id: int, layer: keras.layers.Layer, path: str) -> None:
        """Give a layer's variables their stored values.

        The saved order of ``layer.weights`` and Keras 3's agree for nearly every layer; where
        names say otherwise, names win.
        """
        nodes = self.objects.weights(node_id)
        live = [v for v in layer.weights if not _is_seed(v)]
        for node, variable in self._pairs(nodes, live, path):
            self.assign(node, variable, path)

    def _pairs(
        self, nodes: Sequence[int], live: Sequence[keras.Variable], path: str
    ) -> Iterable[tuple[int, keras.Variable]]:
        nodes = [n for n in nodes if self._stored_dtype(n) is not None]
        if len(nodes) != len(live):
            self.report.mismatched.append(
                f"{path}: {len(nodes)} stored variables, {len(live)} in the layer"
            )
        waiting = list(live)
        for node in nodes:
            variable = self._choose(node, waiting)
            if variable is None:
                self.report.unexpected.append(f"{path}/{self._name(node)}")
                continue
            waiting.remove(variable)
            yield node, variable
        self.report.missing.extend(v.path for v in waiting)

    def _choose(self, node: int, waiting: Sequence[keras.Variable]) -> keras.Variable | None:
        """The first variable of the same name and shape, else the first of the same shape."""
        name, shape = self._name(node).rsplit("/", 1)[-1], self._shape(node)
        fitting = [v for v in waiting if tuple(v.shape) == shape]
        same = [v for v in fitting if v.name == name]
        if same and (not fitting or fitting[0].name != name):
            return same[0]
        return fitting[0] if fitting else None

    def _name(self, node: int) -> str:
        saved = self.objects.variable(node)
        return "" if saved is None else saved.name.split(":")[0]

    def _shape(self, node: int) -> tuple[int | None, ...] | None:
        saved = self.objects.variable(node)
        return None if saved is None else saved.shape.dims

    def _stored_dtype(self, node: int) -> Any:
        return self.objects.variable(node)

    def assign(self, node: int, variable: keras.Variable, path: str) -> None:
        """Copy one stored value; declared and stored shape must be the variable's."""
        saved = self.objects.variable(node)
        if saved is None:
            return
        stored = self.objects.artifact.variable_value(node, saved)
        self.variables[node] = variable
        name = f"{path}/{variable.name}"
        if stored is None:
            self.report.missing.append(name)
            return
        if tuple(stored.shape) != tuple(variable.shape):
            raise MismatchError(
                f"{name} has shape {tuple(variable.shape)}, the file holds {tuple(stored.shape)} "
                f"({saved.name})"
            )
        give_value(variable, stored.read())
        self.report.matched.append(name)


def _is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a Keras 3 seed generator, which Keras 2 has not."""
    return bool(variable.name == "seed_generator_state")
