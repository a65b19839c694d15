"""A Keras 2 training configuration as arguments of Keras 3's ``compile``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.objects import ObjectReader, is_serialized
from hozon.config.optimizers import read_optimizer
from hozon.config.registry import Registry, missing

#: Names that ``compile`` itself understands as a metric.
COMPILE_METRICS = frozenset({"accuracy", "acc", "crossentropy", "ce"})
WRAPPERS = frozenset({"LossFunctionWrapper", "MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"})


def compile_arguments(
    training_config: Mapping[str, Any],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    report: list[str] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for ``keras.Model.compile``.

    Args:
        training_config: Keras 2's: ``loss``, ``metrics``, ``weighted_metrics``,
            ``loss_weights``, ``optimizer_config``.
        custom_objects: losses, metrics and optimizers by name.
        report: receives a line for each thing translated.

    Raises:
        MissingObjectError: a loss, metric or optimizer must be supplied.
    """
    reader = TrainingReader(Registry(custom_objects), [] if report is None else report)
    arguments: dict[str, Any] = {
        "optimizer": reader.optimizer(training_config.get("optimizer_config")),
        "loss": reader.each("loss", training_config.get("loss")),
        "metrics": unwrapped(reader.each("metric", training_config.get("metrics"))),
        "weighted_metrics": unwrapped(
            reader.each("metric", training_config.get("weighted_metrics"))
        ),
        "loss_weights": training_config.get("loss_weights"),
    }
    return {key: value for key, value in arguments.items() if value is not None}


class TrainingReader:
    """Builds losses, metrics and optimizers through one registry."""

    def __init__(self, registry: Registry, changes: list[str]) -> None:
        self.registry = registry
        self.objects = ObjectReader(registry)
        self.changes = changes

    def optimizer(self, config: Mapping[str, Any] | None) -> Any:
        """The optimizer, None if there is none."""
        return None if config is None else read_optimizer(config, self.objects, self.changes)

    def each(self, kind: str, value: Any) -> Any:
        """A loss or metric, or a list or dictionary of them per output."""
        if value is None or is_serialized(value) or isinstance(value, str):
            return self.one(kind, value)
        if isinstance(value, Mapping):
            return {name: self.each(kind, item) for name, item in value.items()}
        return [self.each(kind, item) for item in value]

    def one(self, kind: str, value: Any) -> Any:
        """One loss or metric."""
        if value is None:
            return None
        if isinstance(value, str):
            return self._named(kind, value)
        class_name, config = str(value["class_name"]), dict(value.get("config") or {})
        if class_name in ("function", "Function"):
            return self._named(kind, str(value["config"]))
        if class_name in WRAPPERS:
            return self._wrapped(kind, config)
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
        return self.objects.read(kind, {"class_name": class_name, "config": config})

    def _named(self, kind: str, name: str) -> Any:
        """A function or class by name; what Keras knows may stay a name."""
        short = name.rsplit(">", 1)[-1]
        if short in self.registry.custom:
            return self.registry.custom[short]
        if kind == "metric" and short in COMPILE_METRICS:
            return short
        module = keras.losses if kind == "loss" else keras.metrics
        try:
            module.get(short)
        except ValueError:
            raise missing(name) from None
        return short

    def _wrapped(self, kind: str, config: dict[str, Any]) -> Any:
        """A wrapper around a function: the function decides the meaning, the name is kept."""
        function = config.get("fn")
        if is_serialized(function):
            function = function["config"]
        name = config.get("name")
        if kind == "metric" and name in COMPILE_METRICS and function is not None:
            found = self._function(str(function))
            return keras.metrics.MeanMetricWrapper(found, name=name)
        if function is None:
            return self._named(kind, str(name))
        found = self._function(str(function))
        if kind == "metric":
            return keras.metrics.MeanMetricWrapper(found, name=name)
        return found

    def _function(self, name: str) -> Any:
        short = name.rsplit(">", 1)[-1]
        if short in self.registry.custom:
            return self.registry.custom[short]
        for module in (keras.metrics, keras.losses):
            found = vars(module).get(short)
            if callable(found) and not isinstance(found, type):
                return found
        raise missing(name)


def unwrapped(metrics: Any) -> Any:
    """Metrics of the only output without the list around them."""
    if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list):
        return metrics[0]
    return metrics


