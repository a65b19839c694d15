"""The graph of a functional model: its operations, their calls, what it computes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
from keras.src import backend
from keras.src.models import Functional as Functional
from keras.src.models.functional import operation_fn
from keras.src.ops import core, image, linalg, math, nn, numpy
from keras.src.ops.function import map_graph
from keras.src.utils.tracking import DotNotTrackScope

from hozon.keras_private.bends import asked
from hozon.keras_private.fixed import keeping
from hozon.keras_private.layers import layers_in_keras2

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


def layer_of(tensor: keras.KerasTensor) -> Any:
    """The layer or operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def symbolic_arguments(layer: keras.Layer) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments of a layer's first call in a functional model; None without one."""
    nodes = getattr(layer, "_inbound_nodes", None)
    if not nodes or nodes[0].is_input:
        return None
    return tuple(nodes[0].arguments.args), dict(nodes[0].arguments.kwargs)


@dataclass(frozen=True, eq=False, slots=True)
class GraphNode:
    """One call of an operation in a functional model, with its symbolic tensors.

    `runs` is the operation as this call runs it.
    """

    operation: keras.Operation
    runs: Any
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    arguments: Any


def functional_of(model: keras.Model) -> Any:
    """A functional model itself, what is behind a built Sequential one, None for others."""
    inner = getattr(model, "_functional", None) or model
    return inner if isinstance(inner, Functional) else None


def input_structure(functional: Functional) -> Any:
    """The symbolic inputs of a functional model, in the structure in which it takes them."""
    return functional._inputs_struct


def graph_nodes(functional: Functional) -> list[GraphNode]:
    """The calls of a functional model in an order in which they can run, inputs left out."""
    by_depth = functional._nodes_by_depth
    ordered = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [
        GraphNode(
            n.operation,
            keeping(n, n.operation),
            tuple(n.input_tensors),
            tuple(n.outputs),
            n.arguments,
        )
        for n in ordered
        if n.operation and not n.is_input
    ]


def run_nodes(
    nodes: Iterable[GraphNode], values: dict[int, Any], training: bool | None = None
) -> None:
    """Run calls; `values` holds what is known by the tensors' ids and takes the results."""
    for node in nodes:
        args, kwargs = node.arguments.fill_in(values)
        results = operation_fn(node.runs, training=training)(*args, **kwargs)
        for tensor, value in zip(node.outputs, keras.tree.flatten(results), strict=True):
            values[id(tensor)] = value


def standardized(functional: Functional, inputs: Any) -> list[Any]:
    """Inputs as a functional model takes them: flat, in its order, of its ranks and dtypes."""
    flat: list[Any] = functional._standardize_inputs(inputs)
    return flat


def compute_also(model: keras.Model, ends: Sequence[keras.KerasTensor]) -> None:
    """Make a functional model compute `ends` in each call, besides its outputs and nothing else.

    Layers that no output needs come last, as in Keras 2: checkpoints number them so.

    Raises ValueError when one of them does not come from the model's inputs.
    """
    nodes, nodes_by_depth, operations, by_depth = map_graph(model.inputs, [*model.outputs, *ends])
    given = {id(tensor) for tensor in model.inputs}
    for layer in operations:
        if isinstance(layer, keras.layers.InputLayer) and id(layer.output) not in given:
            raise ValueError(f"it is computed from {layer.name!r}, which is no input of the model")
    before = model.layers
    parts = [
        map_graph(model.inputs, tensors)[2] for tensors in (model.outputs, *([e] for e in ends))
    ]
    ordered = {id(operation): operation for part in parts for operation in part}
    with DotNotTrackScope():
        model._nodes, model._nodes_by_depth = nodes, nodes_by_depth
        model._operations, model._operations_by_depth = list(ordered.values()), by_depth
    now = {id(layer) for layer in model.layers}
    for layer in before:
        if id(layer) not in now:
            model._tracker.untrack(layer)
    for layer in model.layers:
        model._tracker.track(layer)


#: Attribute of a functional model: the names of its layers in the order of its file.
_FILED = "hozon_filed_layers"


def note_order(model: keras.Model, names: Iterable[str]) -> None:
    """Keep the order of a functional model's layers in its file, which may number weights by it."""
    object.__setattr__(model, _FILED, {name: i for i, name in enumerate(names)})


#: For models by identity, the names of their layers in the order of a file that is being written.
_WRITTEN: ContextVar[Mapping[int, Sequence[str]] | None] = ContextVar(
    "order of written layers", default=None
)


@contextmanager
def writing_in_order(orders: Mapping[int, Sequence[str]]) -> Iterator[None]:
    """While it lasts, `filed_layers` are in the order of the file that is being written."""
    with asked(_WRITTEN, orders):
        yield


def filed_layers(model: keras.Layer) -> list[keras.Layer]:
    """The layers of a model in the order of its file; in its own where it has none.

    Those of a class of the user's are in the order in which tf_keras would have them.
    """
    if not isinstance(model, (keras.Sequential, Functional)):
        return layers_in_keras2(model)
    written = _WRITTEN.get()
    if written is None:
        order = getattr(model, _FILED, {})
    else:
        order = {name: i for i, name in enumerate(written.get(id(model), ()))}
    return sorted(model.layers, key=lambda layer: order.get(layer.name, len(order)))


def give_own_names(ends: Iterable[keras.KerasTensor], layers: Collection[Any]) -> None:
    """Rename operations that lead to `ends` where a layer of the model has their name.

    Keras makes operations for masks, and names them as if the model's layers were not there.
    """
    own, taken = {id(layer) for layer in layers}, {layer.name for layer in layers}
    for operation in _leading_to(ends):
        if id(operation) in own:
            continue
        name, number = operation.name, 0
        while operation.name in taken:
            number += 1
            operation.name = f"{name}_op_{number}"
        taken.add(operation.name)


def _leading_to(ends: Iterable[keras.KerasTensor]) -> list[keras.Operation]:
    """The operations that tensors are computed by, each once."""
    left, found, seen = list(ends), dict[int, Any](), set[int]()
    while left:
        operation, number, _ = left.pop()._keras_history
        node = None if operation is None else operation._inbound_nodes[number]
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            found[id(operation)] = operation
            left += node.input_tensors
    return list(found.values())


def operations_of_outputs(model: keras.Model) -> list[keras.Operation]:
    """The operations and layers of a functional model that its outputs need."""
    found: list[keras.Operation] = map_graph(model.inputs, model.outputs)[2]
    return found


def build_inside(model: keras.Model) -> None:
    """Build what layers of users' classes hold, in a functional model, as their calls do.

    Keras 3 does not run the call of a layer that says its output's shape; Keras 2 always did.
    """
    functional = functional_of(model)
    if functional is None:
        return
    for node in graph_nodes(functional):
        _build_held(node.operation, node.arguments.args, node.arguments.kwargs)


def _build_held(layer: Any, args: Any, kwargs: Any) -> None:
    if not isinstance(layer, keras.Layer) or type(layer).__module__.startswith("keras."):
        return
    if not all(inner.built for inner in layer._flatten_layers(include_self=False)):
        backend.compute_output_spec(layer.call, *args, **kwargs)


def call_alike(layer: keras.Layer, other: keras.Layer) -> None:
    """Call a layer as another was called first in its model, on symbols that are of no model."""
    args, kwargs = keras.tree.map_structure(_of_no_model, symbolic_arguments(other) or ((), {}))
    layer(*args, **kwargs)
    _build_held(layer, args, kwargs)


def _of_no_model(value: Any) -> Any:
    if not isinstance(value, keras.KerasTensor):
        return value
    return keras.Input(batch_shape=value.shape, dtype=value.dtype, sparse=value.sparse)


def plain_twin(functional: Functional) -> Any:
    """A model of Keras' own class over the same graph and layers."""
    return keras.Model(functional._inputs_struct, functional._outputs_struct, name=functional.name)
