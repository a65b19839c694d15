"""Calls of models and layers as pure functions of their variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

import hozon.keras_private.drawn  # noqa: F401 - bends layers that draw while they are traced
from hozon.config.text_layers.traced import tracing
from hozon.graphs.emit.trace import Capture
from hozon.graphs.emit.values import TRACED_TEXT
from hozon.keras_private.assigned import may_keep_assignments
from hozon.keras_private.bends import asked
from hozon.keras_private.tracing import tracing_for_file
from hozon.keras_private.training import LEAVES

#: ``(values of variables, *arguments, **keywords) -> (outputs, updates)``, as `emit` takes it.
PureCall = Callable[..., tuple[Any, Mapping[int, Any]]]

#: What Keras calls the state of a seed generator.
SEED_STATE = "seed_generator_state"


def captures(variables: Sequence[keras.Variable]) -> list[Capture]:
    """Variables as functions capture them."""
    return [Capture(v.path, tuple(v.shape), v.dtype, v.name == SEED_STATE) for v in variables]


def pure_call(layer: keras.Layer, variables: Sequence[keras.Variable]) -> PureCall:
    """The call of a layer, giving ``(outputs, losses)`` and the variables that it assigns.

    The losses are those that the call adds: of ``add_loss`` and of activities. What depends on
    variables alone, such as the penalties of weights, is not among them.
    """

    def call(values: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        outputs, losses, updates = _run(layer, variables, values, args, kwargs)
        return (outputs, losses), updates

    return call


def pure_function(function: Callable[..., Any], variables: Sequence[keras.Variable]) -> PureCall:
    """A function that may read and assign variables."""

    def call(values: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        outputs, _, updates = _run(function, variables, values, args, kwargs)
        return outputs, updates

    return call


def _run(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    values: Sequence[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[Any, list[Any], dict[int, Any]]:
    """Results, losses, and new values of the variables that were assigned."""
    mapping = list(zip(variables, values, strict=True))
    leaves = isinstance(function, keras.Layer) and may_keep_assignments(function)
    with (
        asked(LEAVES, leaves),
        tracing_for_file(TRACED_TEXT),
        tracing((args, kwargs), TRACED_TEXT),
        keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope,
    ):
        before = dict(scope.state_mapping)
        outputs = function(*args, **kwargs)
    after = scope.state_mapping
    updates = {
        i: after[id(v)] for i, v in enumerate(variables) if after[id(v)] is not before[id(v)]
    }
    return outputs, list(scope.losses), updates


def pure_value(compute: Callable[[], Any], variables: Sequence[keras.Variable]) -> PureCall:
    """A value that depends on variables alone, such as the penalty of a weight."""

    def call(values: Sequence[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return compute(), {}

    return call
