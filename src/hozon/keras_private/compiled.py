"""Logs of compiled models with several outputs under the names that Keras 2 gave them.

Keras 2 named each loss and metric after the output's layer, where Keras 3 takes the keys of outputs
that are a dictionary, and it showed the loss of an output also where no other output has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

_MARK = "hozon_names_outputs"
_LATER = "hozon_names_outputs_later"


def name_outputs(model: keras.Model, names: Sequence[str]) -> None:
    """Give a functional model's outputs names that logs of its training are to have."""
    model.output_names = list(names)
    object.__setattr__(model, _MARK, True)


def name_outputs_once_called(model: keras.Model) -> None:
    """Name a subclassed model's outputs as Keras 2 did, when its first step shows how many."""
    object.__setattr__(model, _LATER, True)


def are_outputs_named(model: keras.Model) -> bool:
    """Whether `name_outputs` named them."""
    return bool(getattr(model, _MARK, False))


def names_outputs_once_called(model: keras.Layer) -> bool:
    """Whether `name_outputs_once_called` marked it."""
    return bool(getattr(model, _LATER, False))


def name_logs(model: keras.Model) -> None:
    """Make a model that was just compiled show its losses and metrics by its outputs' names."""
    later = names_outputs_once_called(model)
    names = list(model.output_names) if are_outputs_named(model) else []
    structure = getattr(model, "output", None)
    keys = sorted(structure) if isinstance(structure, dict) else list(range(len(names)))
    if not later and (len(names) < 2 or len(keys) != len(names)):
        return

    def by_key(outputs: Any) -> dict[Any, str]:
        return _of_keras2(outputs) if later else dict(zip(keys, names, strict=True))

    loss, metrics = model._compile_loss, model._compile_metrics
    if loss is not None:
        loss.build = _then(loss.build, lambda made: _name_losses(loss, by_key(made)))
    if metrics is not None:
        metrics.build = _then(
            metrics.build,
            lambda made: _name_metrics(metrics, list(by_key(made).values()), named=later),
        )


def _of_keras2(outputs: Any) -> dict[Any, str]:
    """The names of what a subclassed model gives, by its keys; none of a single output."""
    if isinstance(outputs, dict):
        return {key: key for key in sorted(outputs)}
    if not isinstance(outputs, (list, tuple)) or len(outputs) < 2:
        return {}
    return {i: f"output_{i + 1}" for i in range(len(outputs))}


def _then(build: Callable[..., None], name: Callable[[Any], None]) -> Callable[..., None]:
    def built(y_true: Any, y_pred: Any) -> None:
        build(y_true, y_pred)
        name(y_pred)

    return built


def _name_losses(loss: Any, by_key: dict[Any, str]) -> None:
    if len(by_key) < 2:
        return
    if not loss.metrics and len(loss._flat_losses) == 1:
        loss._tracker.add_to_store("metrics", keras.metrics.Mean(name="loss"))
    if len(loss.metrics) != len(loss._flat_losses):
        return
    for metric, part in zip(loss.metrics, loss._flat_losses, strict=True):
        if len(part.path) == 1 and part.path[0] in (*by_key, *by_key.values()):
            metric.name = f"{by_key.get(part.path[0], part.path[0])}_loss"


def _name_metrics(metrics: Any, names: Sequence[str], *, named: bool) -> None:
    """Name the outputs of metrics; `named`: whether Keras 2 may have put that in their own names.

    It does so to those that were in use. Where a config is told by outputs it is no part of it.
    """
    for listed in (metrics._flat_metrics, metrics._flat_weighted_metrics):
        if len(listed) == len(names):
            for item, name in zip(listed, names, strict=True):
                if item is not None:
                    item.output_name = name
                    for metric in item.metrics if named else ():
                        metric.name = metric.name.removeprefix(f"{name}_")
