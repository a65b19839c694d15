"""Logs of compiled models with several outputs under the names that Keras 2 gave them.

Keras 2 named each loss and metric after the output's layer, where Keras 3 takes the keys of outputs
that are a dictionary, and it showed the loss of an output also where no other output has one. Lists
of results (`evaluate`, `train_on_batch`) were by outputs, where Keras 3 sorts the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras.src.trainers.compile_utils import CompileMetrics

from hozon.keras_private.bends import bend
from hozon.keras_private.training import enters_model

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


def _listing(original: Callable[..., Any]) -> Callable[..., Any]:
    def listed(model: keras.Model, logs: Mapping[str, Any]) -> Any:
        if not enters_model(model):
            return original(model, logs)
        names = dict.fromkeys([*_names_of_logs(model), *sorted(logs)])
        values = [logs[name] for name in names if name in logs]
        return values[0] if len(values) == 1 else values

    return listed


def _names_of_logs(model: keras.Model) -> Iterator[str]:
    """The total loss, those of outputs, metrics by output, then what the model has of its own."""
    yield "loss"
    loss, metrics = model._compile_loss, model._compile_metrics
    yield from (metric.name for metric in (loss.metrics if loss is not None else ()))
    if metrics is not None and metrics.built:
        yield from _names_by_output(metrics)
    yield from (m.name for m in model.metrics if not isinstance(m, CompileMetrics))


def _names_by_output(metrics: CompileMetrics) -> Iterator[str]:
    """The names that Keras gives metrics, those of an output together and those by weights last."""
    plain, weighted = metrics._flat_metrics, metrics._flat_weighted_metrics
    taken: set[str] = set()
    names = [[_free(name, taken) for name in _names(part, "")] for part in plain]
    others = [
        [_free(again if name in taken else name, taken) for name, again in pairs]
        for pairs in (zip(_names(p, ""), _names(p, "weighted_"), strict=True) for p in weighted)
    ]
    for place in range(max(len(names), len(others))):
        for listed in (names, others):
            yield from listed[place] if place < len(listed) else ()


def _names(part: Any, prefix: str) -> list[str]:
    """The names of one output's metrics."""
    if not part:
        return []
    output = f"{part.output_name}_" if part.output_name else ""
    return [f"{output}{prefix}{metric.name}" for metric in part.metrics]


def _free(name: str, taken: set[str]) -> str:
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


bend(keras.Model, "_flatten_metrics_in_order", _listing)
