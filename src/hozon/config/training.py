"""A training configuration of any age as arguments of Keras 3's ``compile``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config import safety
from hozon.config.dialects.training import (
    CLASSES,
    DEFAULT_NAMES,
    FUNCTIONS,
    RESOLVED_BY_COMPILE,
    SIMILARITY,
    WRAPPERS,
)
from hozon.config.namesakes import taken_twice
from hozon.config.objects import ObjectReader, call_with, from_custom, missing
from hozon.config.optimizers import read_optimizer
from hozon.config.outputs import NONE, Outputs, by_output
from hozon.config.registry import Registry
from hozon.config.tagged import is_serialized, plain
from hozon.config.upgrade import short_name
from hozon.errors import MissingObjectError, UnsafeError, UnsupportedError
from hozon.keras_private.paths import to_snake_case
from hozon.typing import Config, ConfigEntry, CustomObjects

#: Key of a metric's config here: its name is without its output's.
NAMED = "named_without_output"


def compile_arguments(
    training_config: ConfigEntry,
    *,
    custom_objects: CustomObjects | None = None,
    report: list[str] | None = None,
    outputs: Outputs = NONE,
    dialect: str | None = None,
) -> dict[str, Any]:
    """Keyword arguments for ``keras.Model.compile``.

    Args:
        training_config: Keras 1's and 2's ``training_config`` or Keras 3's ``compile_config``:
            ``loss``, ``metrics``, ``weighted_metrics``, ``loss_weights``, ``optimizer_config``
            or ``optimizer``.
        custom_objects: losses, metrics and optimizers by name.
        report: receives a line for each thing translated.
        outputs: of the model. Keras 2 saved metrics of models with several outputs under names
            that begin with the output's, which Keras 3 puts before them again.
        dialect: "keras3" where losses and metrics are told in Keras 3's forms; else those of
            Keras 2 are taken, see `hozon.config.outputs`.

    Raises:
        MissingObjectError: names all losses, metrics and optimizers that must be supplied.
        UnsafeError: the config asks for code to be run.
        UnsupportedError: an argument has no counterpart in Keras 3.
    """
    registry = Registry(custom_objects)
    safety.check(training_config, safety.Policy(frozenset(registry.custom)))
    reader = TrainingReader(registry, [] if report is None else report, outputs, dialect)
    if dialect != "keras3":
        training_config = by_output(training_config, outputs)
    optimizer = training_config.get("optimizer_config") or training_config.get("optimizer")
    arguments: dict[str, Any] = {
        "optimizer": reader.guarded(lambda: reader.optimizer(optimizer)),
        "loss": reader.losses(training_config.get("loss")),
        "metrics": reader.metrics(training_config.get("metrics")),
        "weighted_metrics": reader.metrics(training_config.get("weighted_metrics")),
        "loss_weights": plain(training_config.get("loss_weights")),
        "run_eagerly": training_config.get("run_eagerly") or None,
        "steps_per_execution": training_config.get("steps_per_execution"),
    }
    reader.finish(training_config)
    reader.changes.extend(taken_twice(arguments, custom_objects))
    return {key: value for key, value in arguments.items() if value is not None}


class TrainingReader:
    """Builds losses, metrics and optimizers through one registry; collects missing names."""

    def __init__(
        self,
        registry: Registry,
        changes: list[str],
        outputs: Outputs = NONE,
        dialect: str | None = None,
    ) -> None:
        self.registry = registry
        self.dialect = dialect
        self.objects = ObjectReader(registry, _no_layers)
        self.changes = changes
        self.outputs = outputs.names if len(outputs.names) > 1 else ()
        self.by_key: dict[Any, str] = dict(zip(outputs.keys or (), outputs.names, strict=False))
        self._missing: list[str] = []

    def guarded(self, make: Callable[[], Any]) -> Any:
        """What `make` makes; a missing name is kept for `finish`."""
        try:
            return make()
        except MissingObjectError as error:
            self._missing.extend(error.names)
            return None

    def finish(self, config: ConfigEntry) -> None:
        """Raise for all that was missing; tell what is dropped."""
        if self._missing:
            raise MissingObjectError(
                "the training configuration uses what Keras does not have",
                names=tuple(dict.fromkeys(self._missing)),
            )
        if config.get("sample_weight_mode") is not None:
            self.changes.append("sample_weight_mode is dropped: Keras 3 goes by the weights' shape")

    def optimizer(self, config: Any) -> Any:
        """The optimizer, None if there is none."""
        return None if config is None else read_optimizer(config, self.objects, self.changes)

    def losses(self, value: Any) -> Any:
        """A loss, or lists and dictionaries of losses per output."""
        return self._each("loss", plain(value))

    def metrics(self, value: Any) -> Any:
        """A list of metrics, lists of them per output, or a dictionary by output."""
        value = plain(value)
        if self.outputs and isinstance(value, list) and len(value) == len(self.outputs):
            value = [self._named_for(o, v) for o, v in zip(self.outputs, value, strict=True)]
        elif self.outputs and isinstance(value, Mapping) and not is_serialized(value):
            value = {
                key: self._named_for(self.by_key.get(key, str(key)), v) for key, v in value.items()
            }
        made = self._each("metric", value)
        if isinstance(made, list) and len(made) == 1 and isinstance(made[0], list):
            return made[0]
        return [made] if made is not None and not isinstance(made, (list, dict)) else made

    def _each(self, kind: str, value: Any) -> Any:
        if value is None or is_serialized(value) or isinstance(value, str):
            return self.guarded(lambda: self.one(kind, value))
        if isinstance(value, Mapping):
            return {name: self._each(kind, item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._each(kind, item) for item in value]
        raise UnsupportedError(f"{value!r:.100} is no serialized {kind}")

    def one(self, kind: str, value: Any) -> Any:
        """One loss or metric from a name or a serialized object; None stays None."""
        if value is None:
            return None
        if isinstance(value, str):
            return self._named(kind, value)
        class_name, config = str(value["class_name"]), _config(value)
        if class_name in ("function", "Function"):
            return self._named(kind, str(value.get("config")))
        named = bool(config.pop(NAMED, False))
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
        custom = self.registry.custom_class(class_name, value.get("registered_name"))
        if custom is not None:
            return from_custom(custom, config, class_name)
        if kind == "metric" and config.get("name") and not named:
            config["name"] = self._without_output(str(config["name"]))
        if short_name(class_name) in WRAPPERS:
            return self._wrapped(kind, config)
        return self._instance(kind, class_name, config)

    def _instance(self, kind: str, class_name: str, config: Config) -> Any:
        config.pop("fn", None)
        short = CLASSES.get(short_name(class_name), class_name)
        found = self.registry.find(kind, short)
        if found is None:
            return missing(class_name)
        arguments = {key: self.objects.value(item) for key, item in config.items()}
        if "dtype" in arguments:
            arguments["dtype"] = getattr(arguments["dtype"], "name", arguments["dtype"])
        return call_with(found, arguments, f"{kind} {short_name(class_name)}")

    def _named_for(self, output: str, value: Any) -> Any:
        """Metrics of one output under names without the output's."""
        if isinstance(value, list):
            return [self._named_for(output, item) for item in value]
        config = _config(value) if is_serialized(value) else {}
        name = config.get("name")
        if not isinstance(name, str) or not name.startswith(f"{output}_"):
            return value
        return {**value, "config": {**config, "name": name[len(output) + 1 :], NAMED: True}}

    def _without_output(self, name: str) -> str:
        found = [o for o in self.outputs if name.startswith(f"{o}_")]
        return name[len(max(found, key=len)) + 1 :] if found else name

    def _named(self, kind: str, name: str) -> Any:
        """A function or class by name. Names that ``compile`` resolves itself stay names."""
        custom = self.registry.custom_class(name)
        if custom is not None:
            return custom() if isinstance(custom, type) else custom
        short = short_name(name)
        if kind == "metric" and short in RESOLVED_BY_COMPILE:
            return short
        known = FUNCTIONS.get(short, short)
        if kind == "metric" and known in SIMILARITY:
            return keras.metrics.CosineSimilarity(name=short)
        function = self.registry.function(kind, known)
        if function is not None and kind == "metric" and not _is_metric_of_keras(short):
            return keras.metrics.MeanMetricWrapper(function, name=short)
        if function is not None:  # in Keras 3's logs losses have the names that they were given
            as_given = kind == "metric" or (self.dialect == "keras3" and _is_loss_of_keras(short))
            return short if as_given else known
        return self._of_class(kind, known, name)

    def _of_class(self, kind: str, known: str, name: str) -> Any:
        """A class by name; logs have Keras 3's names of metrics as given, Keras 2's as default."""
        found = self.registry.find(kind, known)
        if found is None:
            return missing(name)
        if kind == "metric" and self.dialect == "keras3" and _is_metric_of_keras(name):
            return name
        named = {"name": DEFAULT_NAMES.get(known, to_snake_case(known))} if kind == "metric" else {}
        return call_with(found, named, name)

    def _wrapped(self, kind: str, config: Config) -> Any:
        """A wrapper around a function: the function decides the meaning, the name is kept."""
        function, name = config.pop("fn", None), config.pop("name", None)
        config.pop("reduction", None)
        if is_serialized(function):
            function = function.get("config")
        if function is None:
            return self._named(kind, str(name))
        if kind == "metric" and FUNCTIONS.get(short_name(str(function)), function) in SIMILARITY:
            axis = {"axis": config["axis"]} if "axis" in config else {}
            return keras.metrics.CosineSimilarity(name=name, **axis)
        found = self._function(kind, str(function))
        config["dtype"] = getattr(config.get("dtype"), "name", config.get("dtype"))
        extra = {key: value for key, value in config.items() if key != "dtype"}
        if kind == "loss":
            return (lambda y, p: found(y, p, **extra)) if extra else found
        return keras.metrics.MeanMetricWrapper(found, name=name, dtype=config["dtype"], **extra)

    def _function(self, kind: str, name: str) -> Callable[..., Any]:
        short = FUNCTIONS.get(short_name(name), short_name(name))
        for candidate in (name, short):
            found = self.registry.function(kind, candidate)
            if found is not None:
                function: Callable[..., Any] = found
                return function
        made: Callable[..., Any] = missing(name)
        return made


def _is_loss_of_keras(name: str) -> bool:
    """Whether Keras 3 takes a name for a loss."""
    try:
        return callable(keras.losses.get(name))
    except ValueError:
        return False


def _is_metric_of_keras(name: str) -> bool:
    """Whether Keras 3 takes a name for a metric, which its logs have then too."""
    try:
        return isinstance(keras.metrics.get(name), keras.metrics.Metric)
    except ValueError:
        return False


def _config(value: Mapping[str, Any]) -> Config:
    config = value.get("config")
    return dict(config) if isinstance(config, Mapping) else {}


def _no_layers(entry: ConfigEntry) -> Any:
    raise UnsafeError(f"a training configuration names a layer, {entry['class_name']}")
