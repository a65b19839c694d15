"""Callbacks that come after all others, and know them; epochs that begin in their middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src.callbacks.callback_list import CallbackList

from hozon.keras_private.bends import bend


class ComesLast:
    """A callback that is called after the others of its list, which it has in `beside`."""

    beside: Sequence[Any] = ()


def _with_last(original: Callable[..., None]) -> Callable[..., None]:
    def on_train_begin(callbacks: Any, logs: Any = None) -> None:
        last = [one for one in callbacks.callbacks if isinstance(one, ComesLast)]
        if last:
            others = [one for one in callbacks.callbacks if not isinstance(one, ComesLast)]
            callbacks.callbacks = [*others, *last]
            for one in last:
                one.beside = others
        original(callbacks, logs)

    return on_train_begin


bend(CallbackList, "on_train_begin", _with_last)


def metric_variables(model: keras.Model) -> list[keras.Variable]:
    """The states of all metrics of a model, which an epoch begins anew."""
    return list(model.metrics_variables)


def skip_batches(model: keras.Model, count: int) -> None:
    """Take the first batches of the epoch that begins from its data, and do not train on them.

    What the model's metrics say stands for the logs of these steps.
    """
    step, left = model.train_function, count

    def skipping(state: Any, iterator: Any) -> Any:
        nonlocal left
        if left <= 0:
            model.train_function = step
            return step(state, iterator)
        next(iterator)
        for _ in range(model.steps_per_execution - 1):
            next(iterator, None)  # the last ones may be fewer
        left -= model.steps_per_execution
        return logs, state

    logs = model.get_metrics_result()
    model.train_function = skipping
