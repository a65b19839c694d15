"""The one place in this room that touches parts of Keras which are not public.

Functional models of Keras 3 hold operations (``x + y``, ``keras.ops.max(x)``) as nodes beside
layers. Their classes have no public names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras.src.backend.common import global_state, stateless_scope
from keras.src.models import Functional as Functional
from keras.src.ops import core, image, linalg, math, nn, numpy
from keras.src.ops.function import map_graph
from keras.src.utils.tracking import DotNotTrackScope

#: Operations whose construction takes functions or modules.
NOT_BUILT = frozenset(
    {
        "Map",
        "Scan",
        "AssociativeScan",
        "WhileLoop",
        "ForiLoop",
        "Cond",
        "Switch",
        "Vectorize",
        "CustomGradient",
    }
)

#: Classes of Keras' operations by name.
OPERATIONS: Mapping[str, type] = {
    name: value
    for module in (core, image, linalg, math, nn, numpy)
    for name, value in vars(module).items()
    if isinstance(value, type)
    and issubclass(value, keras.Operation)
    and value is not keras.Operation
    and name not in NOT_BUILT
}


def scoped_objects() -> dict[str, Any]:
    """Objects of the ``custom_object_scope`` that this thread is in, by name."""
    return dict(global_state.get_global_attribute("custom_objects_scope_dict", {}) or {})


def scope_of_call() -> Any:
    """The `keras.StatelessScope` that this thread is in; None outside of any."""
    return stateless_scope.get_stateless_scope() if stateless_scope.in_stateless_scope() else None


def forgotten_arguments(obj: Any) -> dict[str, Any]:
    """Arguments of a loss or metric that its own config leaves out (Huber's ``delta``, say)."""
    if not isinstance(obj, (keras.losses.Loss, keras.metrics.Metric)):
        return {}
    config = obj.get_config()
    given: dict[str, Any] = getattr(obj, "_fn_kwargs", None) or {}
    return {
        key: value
        for key, value in given.items()
        if key not in config and isinstance(value, (bool, int, float, str))
    }


def complete(obj: Any) -> None:
    """Give a layer whose class never called ``super().__init__()`` what serializing asks for."""
    if isinstance(obj, keras.Layer) and "_build_shapes_dict" not in vars(obj):
        object.__setattr__(obj, "_build_shapes_dict", None)


def compute_also(model: Any, ends: Sequence[keras.KerasTensor]) -> None:
    """Make a functional model compute `ends` in each call, besides its outputs and nothing else.

    Raises ValueError when one of them does not come from the model's inputs.
    """
    nodes, nodes_by_depth, operations, by_depth = map_graph(model.inputs, [*model.outputs, *ends])
    given = {id(tensor) for tensor in model.inputs}
    for layer in operations:
        if isinstance(layer, keras.layers.InputLayer) and id(layer.output) not in given:
            raise ValueError(f"it is computed from {layer.name!r}, which is no input of the model")
    before = model.layers
    with DotNotTrackScope():
        model._nodes, model._nodes_by_depth = nodes, nodes_by_depth
        model._operations, model._operations_by_depth = operations, by_depth
    now = {id(layer) for layer in model.layers}
    for layer in before:
        if id(layer) not in now:
            model._tracker.untrack(layer)
    for layer in model.layers:
        model._tracker.track(layer)


def operations_of_outputs(model: Any) -> list[Any]:
    """The operations and layers of a functional model that its outputs need."""
    found: list[Any] = map_graph(model.inputs, model.outputs)[2]
    return found


def forget_compiled_steps(model: keras.Model) -> None:
    """Make Keras trace its steps again, as the model computes something else now."""
    model.train_function = model.test_function = model.predict_function = None


def layers_of(model: keras.Model) -> list[Any]:
    """A model and all layers inside of it."""
    found: list[Any] = model._flatten_layers()
    return found
