"""Metrics of values that a model computes in its call.

Keras' JAX trainer keeps the state of metrics away from the model's call. So while a step runs, the
values are collected, and the metrics take them in once the call is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import MethodType
from typing import Any

import keras

from hozon.keras_private.scopes import scope_of_call

#: The method of a trainer on JAX that runs the model's call. Other backends have none: there a call
#: updates metrics where they are.
STEP = "compute_loss_and_updates"
Seen = list[tuple[keras.metrics.Metric, Any, Any]]
_seen: ContextVar[Seen | None] = ContextVar("_seen", default=None)


def follow(metric: keras.metrics.Metric, value: Any, weight: Any = None) -> None:
    """Update a metric with a value of the call that is running, and its weight."""
    scope = scope_of_call()
    if scope is None or scope.get_current_value(metric.variables[0]) is not None:
        metric.update_state(value, weight)
        return
    seen = _seen.get()
    if seen is not None:
        seen.append((metric, value, weight))


def following(compute: Callable[..., Any]) -> Callable[..., Any]:
    """A trainer's ``compute_loss_and_updates`` that updates the metrics of its call."""

    @wraps(compute)
    def computed(
        self: Any, trainable: Any, non_trainable: Any, metrics: Any, *args: Any, **kwargs: Any
    ) -> Any:
        with _collected() as seen:
            loss, (unscaled, y_pred, non_trainable, metrics) = compute(
                self, trainable, non_trainable, metrics, *args, **kwargs
            )
        return loss, (unscaled, y_pred, non_trainable, _updated(self, metrics, seen))

    return computed


def let_follow(model: keras.Model) -> None:
    """Make the steps of one model update the metrics of its call."""
    if hasattr(type(model), STEP):
        setattr(model, STEP, MethodType(following(getattr(type(model), STEP)), model))


@contextmanager
def _collected() -> Iterator[Seen]:
    seen: Seen = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


def _updated(model: keras.Model, values: Any, seen: Seen) -> list[Any]:
    """The state of all metrics after the collected values."""
    own = {id(metric) for metric in model.metrics}
    mapping = list(zip(model.metrics_variables, values, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        for metric, value, weight in seen:
            if id(metric) in own:
                metric.update_state(value, weight)
    return [scope.get_current_value(variable) for variable, _ in mapping]
