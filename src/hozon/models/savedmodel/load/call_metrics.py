"""Metrics that saved functions update in a call: they come back as metrics of the revived object.

A saved function adds to the metric's variables. Here these start at zero in each call, and what
the call leaves in them goes to a live Keras metric.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import keras

from hozon.config.followed import follow
from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.graphs.values import Cell, Value
from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.stored.dtypes import dtype_of_number

#: The one metric that ``add_metric`` of a tensor makes, and its variables.
MEAN = ("_tf_keras_metric", "Mean")
TOTAL, COUNT = "total", "count"


class CallCell(Cell):
    """A variable whose value lives for one call and starts at zero."""

    def __init__(self, saved: SavedVariable) -> None:
        self.name = saved.name
        self.shape = ()
        self.dtype = dtype_of_number(int(saved.dtype)).numpy
        self._value: Value | None = None

    def read(self) -> Value:
        """The value so far."""
        return jnp.zeros((), self.dtype) if self._value is None else self._value

    def assign(self, value: Value) -> None:
        """Replace the value."""
        self._value = value

    def take(self) -> Value | None:
        """What the call left, None where it left nothing; the next call starts anew."""
        value, self._value = self._value, None
        return value


@dataclass(frozen=True, slots=True)
class CallMetric:
    """A live mean and the variables through which saved functions update it."""

    metric: keras.metrics.Mean
    total: CallCell
    count: CallCell

    def update(self) -> None:
        """Give the metric what the last call left."""
        total, count = self.total.take(), self.count.take()
        if total is not None and count is not None:
            follow(self.metric, keras.ops.divide_no_nan(total, count), count)


class CallMetrics:
    """All means of a file: the function of a model updates those of its layers too."""

    def __init__(self, objects: KerasObjects) -> None:
        self.cells: dict[int, CallCell] = {}
        self._objects = objects
        self._means: list[CallMetric] = []

    def of(self, node_id: int) -> dict[str, keras.metrics.Metric]:
        """Live means for those that an object's own call updates, by name."""
        api = self._objects.children(node_id).get("keras_api")
        listed = None if api is None else self._objects.children(api).get("layer_metrics")
        found = {} if listed is None else self._objects.children(listed)
        made = {name: self._mean(name, child) for name, child in found.items()}
        return {name: mean.metric for name, mean in made.items() if mean is not None}

    def update(self) -> None:
        """Give the metrics what a call left."""
        for mean in self._means:
            mean.update()

    def _mean(self, name: str, node_id: int) -> CallMetric | None:
        node = self._objects.nodes.get(node_id)
        if node is None or (node.identifier, node.class_name) != MEAN:
            return None
        edges = self._objects.children(node_id)
        nodes = [edges[key] for key in (TOTAL, COUNT) if key in edges]
        saved = [v for v in map(self._objects.variable, nodes) if v is not None]
        if len(saved) != len((TOTAL, COUNT)):
            return None
        total, count = map(CallCell, saved)
        self.cells.update(zip(nodes, (total, count), strict=True))
        self._means.append(CallMetric(keras.metrics.Mean(name=name), total, count))
        return self._means[-1]
