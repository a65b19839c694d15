"""Keras 3 compile configs as Keras 2 training configs.

Keras 2 wrote ``{"loss", "metrics", "weighted_metrics", "loss_weights", "optimizer_config"}`` into
H5 files and SavedModels (tf_keras/src/saving/legacy/saving_utils.py), and a compile config like
Keras 3's, with tagged objects, into ``.keras`` archives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.dialects.rules import Config
from hozon.config.dialects.training import (
    COUNTING,
    NEW_FUNCTIONS,
    NEW_LOSSES,
    NEW_METRICS,
    OBJECTIVE_NEWER,
    OLD_OPTIMIZERS,
    OPTIMIZER_NEWER,
    OPTIMIZERS_WRITTEN,
    REDUCTIONS_WRITTEN,
    RESOLVED_BY_COMPILE,
    SCHEDULES_WRITTEN,
)
from hozon.config.outputs import (
    METRICS,
    NONE,
    Outputs,
    by_key,
    chosen_by_loss,
    named_for_outputs,
    nested_metrics,
)
from hozon.config.tagged import is_serialized
from hozon.config.to_keras2_objects import FUNCTIONS, Form, ObjectWriter
from hozon.errors import FormatError, UnsupportedError
from hozon.typing import ConfigEntry

LOSS_SCALE = "LossScaleOptimizer"
NEW: Mapping[str, frozenset[str]] = {"loss": NEW_LOSSES, "metric": NEW_METRICS}
HOMES: Mapping[str, str] = {"loss": "keras.losses", "metric": "keras.metrics"}
OLD = frozenset(OLD_OPTIMIZERS.values())
PARTS: Mapping[str, str] = {"loss": "loss", "metrics": "metric", "weighted_metrics": "metric"}
#: Keys of a compile config that only say how to run.
RUNNING = ("run_eagerly", "steps_per_execution", "jit_compile")


def training_to_keras2(
    compile_config: ConfigEntry,
    *,
    report: list[str] | None = None,
    outputs: Outputs = NONE,
    final: bool = True,
) -> Config:
    """The training config of H5 files and SavedModels for a Keras 3 compile config.

    Args:
        compile_config: ``{"optimizer", "loss", "metrics", ...}`` as Keras 3 serializes it.
        report: receives a line for each thing that Keras 2 says less of.
        outputs: of the model.
        final: whether metrics have the names of tf_keras' logs, the outputs' included; Keras 3
            puts these before them again.

    Raises:
        UnsupportedError: a loss, metric or optimizer that Keras 2 does not have.
    """
    writer = TrainingWriter(Form(tags=False), report)
    made = writer.parts(compile_config, outputs)
    made |= {key: chosen_by_loss(made[key], made["loss"]) for key in METRICS}
    if final:
        made |= named_for_outputs(made, outputs)
    made["loss_weights"] = writer.objects.plain(compile_config.get("loss_weights"))
    return {**made, "optimizer_config": writer.optimizer(compile_config.get("optimizer"))}


def compile_to_keras2(
    compile_config: ConfigEntry,
    *,
    report: list[str] | None = None,
    outputs: Outputs = NONE,
) -> Config:
    """The compile config of a Keras 2 ``.keras`` archive; see `training_to_keras2`."""
    writer = TrainingWriter(Form(tags=True), report)
    made = writer.parts(compile_config, outputs)
    running = {key: compile_config[key] for key in RUNNING if key in compile_config}
    return {
        "optimizer": writer.optimizer(compile_config.get("optimizer")),
        **made,
        "loss_weights": writer.objects.plain(compile_config.get("loss_weights")),
        **running,
        "jit_compile": None,
    }


def optimizer_to_keras2(
    config: ConfigEntry, *, tags: bool = False, report: list[str] | None = None
) -> Config:
    """A Keras 3 optimizer or learning-rate schedule in Keras 2's dialect."""
    writer = TrainingWriter(Form(tags), report)
    made: Config = writer.optimizer(config)
    return made


def objective_to_keras2(
    kind: str, config: Any, *, tags: bool = False, report: list[str] | None = None
) -> Any:
    """A Keras 3 loss or metric (`kind`) in Keras 2's dialect."""
    return TrainingWriter(Form(tags), report).objective(kind, config)


def newer_arguments(optimizer: Any) -> list[str]:
    """Arguments of a serialized optimizer that Keras 2 has not, or of one that it wraps."""
    config = optimizer.get("config") if isinstance(optimizer, Mapping) else None
    if not isinstance(config, Mapping):
        return []
    own = [key for key in OPTIMIZER_NEWER if config.get(key) is not None]
    return [*own, *newer_arguments(config.get("inner_optimizer"))]


#: State of optimizers that Keras 2 keeps in no file.
UNKEPT: Mapping[str, str] = {
    "Nadam": "tf_keras starts the product of its momenta anew, as in its own files",
}


#: Optimizers that Keras 2 does not find by their names within a LossScaleOptimizer.
FOUND_BY_REGISTRATION = frozenset({"Lion", "Adafactor"})


class TrainingWriter:
    """Writes optimizers, losses and metrics in one form."""

    def __init__(self, form: Form, report: list[str] | None) -> None:
        self.form = form
        self.changes: list[str] = [] if report is None else report
        self.objects = ObjectWriter(form, _no_layer, self.changes)

    # Optimizers

    def optimizer(self, value: Any) -> Any:
        """An optimizer; None stays None."""
        if value is None or isinstance(value, str):
            return value
        if not is_serialized(value) or not isinstance(value.get("config"), Mapping):
            raise FormatError(f"{value!r:.100} is no serialized optimizer")
        name, config = str(value["class_name"]).rsplit(">", 1)[-1], dict(value["config"])
        if value.get("registered_name") in OLD or value["class_name"] in OLD:
            return self._old(name, config)
        if name == LOSS_SCALE:
            return self._loss_scale(config)
        if name in SCHEDULES_WRITTEN:
            return self.schedule(value)
        if not _is_keras(value, "keras.optimizers"):
            made = {key: self._rate(item) for key, item in config.items()}
            return self.form.custom(value, made)
        if name not in OPTIMIZERS_WRITTEN:
            raise UnsupportedError(f"Keras 2 has no optimizer {name}", feature=name)
        if name in UNKEPT:
            self.changes.append(f"optimizer {name}: {UNKEPT[name]}")
        return self._entry(
            name,
            {**self._arguments(name, config), "jit_compile": False, "is_legacy_optimizer": False},
        )

    def _entry(self, name: str, config: Config) -> Config:
        """An optimizer of Keras 2's newer generation, which it registered as ``Custom>...``."""
        written = name if self.form.tags else f"Custom>{name}"
        return self.form.entry("keras.optimizers", written, config)

    def _arguments(self, name: str, config: Config) -> Config:
        for key, lost in OPTIMIZER_NEWER.items():
            given = config.pop(key, None)
            if given is not None:
                self.changes.append(f"optimizer {name}: {key}={given!r} is dropped: {lost}")
        return {key: self._rate(item) for key, item in config.items()}

    def _rate(self, value: Any) -> Any:
        return self.schedule(value) if is_serialized(value) else self.objects.plain(value)

    def schedule(self, value: Mapping[str, Any]) -> Any:
        """A learning-rate schedule."""
        name, config = str(value["class_name"]), value.get("config")
        if not isinstance(config, Mapping):
            return self.objects.plain(value)
        made = self.objects.value(dict(config))
        if name in SCHEDULES_WRITTEN and _is_keras(value, "keras.optimizers"):
            return self.form.entry("keras.optimizers.schedules", name, made)
        return self.form.custom(value, made)

    def _old(self, name: str, config: Config) -> Config:
        """Hozon's optimizers with the steps of Keras 2's older generation."""
        taken = {
            key: item for key, item in self._arguments(name, config).items() if key in OLD_KEYS
        }
        decay = (
            {"schedule_decay": config.get("schedule_decay", 0.004)}
            if name == "Nadam"
            else _decay(taken)
        )
        if self.form.tags:
            self.changes.append(
                f"optimizer {name}: tf_keras takes up no state of its legacy optimizers from "
                "such files; there it begins anew"
            )
        # Nothing is said of the generation, which none of its classes takes an argument for.
        return self.form.entry("keras.optimizers.legacy", name, taken | decay)

    def _loss_scale(self, config: Config) -> Config:
        inner = config.get("inner_optimizer", config.get("optimizer"))
        steps = config.get("dynamic_growth_steps")
        made = {
            "inner_optimizer": self._registered(self.optimizer(inner)),
            "dynamic": True,
            "initial_scale": config.get("initial_scale", 2.0**15),
            "dynamic_growth_steps": 2000 if steps is None else steps,
        }
        return self.form.entry("keras.mixed_precision", "LossScaleOptimizerV3", made)

    def _registered(self, inner: Any) -> Any:
        """An optimizer within another, by the name under which TensorFlow's Keras registered it.

        By their modules it finds those of Keras 3 in their place.
        """
        if self.form.tags and inner["class_name"] in FOUND_BY_REGISTRATION:
            return {**inner, "registered_name": f"Custom>{inner['class_name']}"}
        return inner

    # Losses and metrics

    def parts(self, compile_config: ConfigEntry, outputs: Outputs) -> Config:
        """Loss and metrics of a compile config."""
        told = {key: compile_config.get(key) for key in PARTS}
        told["loss"] = by_key(told["loss"], outputs)
        for key in METRICS:
            told[key] = nested_metrics(told[key], outputs)
        return {key: self.objectives(kind, told[key]) for key, kind in PARTS.items()}

    def objectives(self, kind: str, value: Any) -> Any:
        """Losses or metrics in whatever structure they were given to ``compile``."""
        if is_serialized(value) or value is None or isinstance(value, str):
            return self.objective(kind, value)
        if isinstance(value, Mapping):
            return {key: self.objectives(kind, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.objectives(kind, item) for item in value]
        raise FormatError(f"{value!r:.100} is no serialized {kind}")

    def objective(self, kind: str, value: Any) -> Any:
        """One loss or metric: a name, a function, an object."""
        if value is None:
            return None
        if isinstance(value, str):
            value = value if kind == "loss" else metric_of_name(value)
        if isinstance(value, str):
            return self._name(kind, value)
        if value["class_name"] in FUNCTIONS:
            return self._function(kind, value)
        config = value.get("config")
        if not isinstance(config, Mapping):
            return self.objects.plain(value)
        made = {key: self._argument(kind, item) for key, item in config.items()}
        if not _is_keras(value, HOMES[kind]):
            return self.form.custom(value, made)
        return self._instance(kind, str(value["class_name"]), made)

    def _instance(self, kind: str, name: str, config: Config) -> Config:
        if name in NEW[kind]:
            raise UnsupportedError(f"Keras 2 has no {kind} {name}", feature=name)
        for key, neutral in OBJECTIVE_NEWER.get(name, {}).items():
            given = config.get(key)
            if kind == "loss" or key != "axis":
                config.pop(key, None)
                if given not in neutral:
                    raise UnsupportedError(
                        f"{name} has no {key}={given!r} in Keras 2", feature=f"{name}({key})"
                    )
        if kind == "metric" and name in COUNTING and str(config.get("dtype")).startswith("int"):
            del config["dtype"]
        if kind == "loss":
            config.pop("dtype", None)
            config["reduction"] = _reduction(name, config.get("reduction"))
        return self.form.entry(HOMES[kind], name, config)

    def _argument(self, kind: str, value: Any) -> Any:
        if is_serialized(value):
            if value["class_name"] in FUNCTIONS:
                return self._function(kind, value)
            if str(value["class_name"]).endswith(("Policy", "DTypePolicy")):
                return (value.get("config") or {}).get("name")
        return self.objects.plain(value)

    def _function(self, kind: str, value: Mapping[str, Any]) -> Any:
        name, registered = value.get("config"), value.get("registered_name")
        if isinstance(registered, str) and ">" in registered:
            return self.form.function(registered, value.get("module"))
        if not isinstance(name, str):
            raise FormatError(f"a {kind} function has no name: {value!r:.100}")
        module = str(value.get("module"))
        if module.startswith("keras."):
            return self._name(kind, name)
        return self.form.function(name, value.get("module"))

    def _name(self, kind: str, name: str) -> str:
        if name in NEW_FUNCTIONS:
            raise UnsupportedError(f"Keras 2 has no {kind} {name!r}", feature=name)
        return name


def metric_of_name(name: str) -> Any:
    """The metric that Keras 3 takes a name for, which its logs have; Keras 2's have its own name.

    A function's name means the same to both, and so does what `compile` resolves itself.
    """
    if name in RESOLVED_BY_COMPILE:
        return name
    try:
        found = keras.metrics.get(name)
    except ValueError:
        return name
    if not isinstance(found, keras.metrics.Metric):
        return name
    entry = keras.saving.serialize_keras_object(found)
    return {**entry, "config": {**entry["config"], "name": name}}


#: What the older generation of optimizers took.
OLD_KEYS = frozenset(
    {
        "name",
        "learning_rate",
        "rho",
        "momentum",
        "epsilon",
        "centered",
        "beta_1",
        "beta_2",
        "initial_accumulator_value",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
    }
)


def _decay(taken: Config) -> Config:
    """The older generation's decay, which here is a schedule, and the rate that it begins with."""
    rate = taken.get("learning_rate")
    if not isinstance(rate, Mapping) or rate.get("class_name") != "InverseTimeDecay":
        return {"decay": 0.0}
    schedule = rate["config"]
    if schedule.get("decay_steps") != 1 or schedule.get("staircase"):
        return {"decay": 0.0}
    return {"learning_rate": schedule["initial_learning_rate"], "decay": schedule["decay_rate"]}


def _reduction(name: str, reduction: Any) -> str:
    if reduction not in REDUCTIONS_WRITTEN:
        raise UnsupportedError(
            f"loss {name} has reduction={reduction!r}, which Keras 2 does not have",
            feature=f"reduction={reduction!r}",
        )
    return REDUCTIONS_WRITTEN[reduction]


def _is_keras(value: Mapping[str, Any], home: str) -> bool:
    module, registered = value.get("module"), value.get("registered_name")
    if isinstance(module, str):
        return module.startswith("keras.")
    return ">" not in str(value["class_name"]) and registered in (None, value["class_name"])


def _no_layer(entry: ConfigEntry) -> Config:
    raise FormatError(f"a training config holds a layer, {entry['class_name']}")
