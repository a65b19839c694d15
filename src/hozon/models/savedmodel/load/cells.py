"""Keras variables as the cells of graph functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from hozon.graphs.resources import Variable as GraphVariable
from hozon.graphs.values import Cell, Value, is_traced
from hozon.keras_private.rows import look_up
from hozon.models.savedmodel.load.call_metrics import CallCell, CallMetrics
from hozon.models.savedmodel.load.weights import Assigner


class KerasCell(Cell):
    """A Keras variable seen by a graph: reads and assignments go to the variable.

    So saved functions take part in Keras' training: inside a stateless scope the variable gives
    its traced value and takes updates.
    """

    trainable = True

    def __init__(self, variable: keras.Variable, dtype: np.dtype[Any]) -> None:
        self.variable = variable
        self.name = variable.path
        self.shape = tuple(variable.shape)
        self.dtype = dtype

    def read(self) -> Value:
        """The current value in the dtype that the graph declares."""
        value = self.variable.value
        return value if value.dtype == self.dtype else value.astype(self.dtype)

    peek = read

    def assign(self, value: Value) -> None:
        """Replace the value."""
        self.variable.assign(value)

    def look_up(self, value: Value, take: Callable[[Value, Value], Value], ids: Value) -> Value:
        """Rows of the variable, whose gradients are its own."""
        return look_up(self.variable, value, take, ids)


class LateCell(Cell):
    """A variable node of the graph, bound to its Keras variable when first used."""

    trainable = True

    def __init__(
        self, node: int, variable: GraphVariable, assigner: Assigner, metrics: CallMetrics
    ) -> None:
        self._node = node
        self._variable = variable
        self._assigner = assigner
        self._metrics = metrics
        self.name = variable.name
        self.shape = variable.shape
        self.dtype = variable.dtype

    @property
    def _target(self) -> Any:
        live = self._assigner.variables.get(self._node)
        if live is not None:
            return KerasCell(live, self.dtype)
        return self._metrics.cells.get(self._node, self._variable)

    @property
    def initialized(self) -> bool:
        """Whether there is a value to read."""
        return bool(getattr(self._target, "initialized", True))

    def read(self) -> Any:
        """The current value."""
        return self._target.read()

    def peek(self) -> Any:
        """The current value if a Keras variable holds it, so that it may be traced."""
        target = self._target
        return target.read() if isinstance(target, (KerasCell, CallCell)) else None

    def look_up(self, value: Value, take: Callable[[Value, Value], Value], ids: Value) -> Value:
        """Rows of the variable, whose gradients are its own."""
        return self._target.look_up(value, take, ids)

    def assign(self, value: Any) -> None:
        """Replace the value; a variable that no Keras object has does not take traced ones."""
        target = self._target
        if isinstance(target, (KerasCell, CallCell)) or not is_traced(value):
            target.assign(value)
