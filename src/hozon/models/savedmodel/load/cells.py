"""Keras variables as the cells of graph functions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hozon.graphs.values import Cell, Value


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
