"""Optimizer configs of every age as Keras 3 optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.dialects.training import (
    OLD_GENERATION,
    OLD_OPTIMIZERS,
    OPTIMIZER_DROPPED,
    OPTIMIZER_RENAMED,
    OPTIMIZERS,
)
from hozon.config.objects import ObjectReader, call_with, from_custom, is_of_keras, missing
from hozon.config.tagged import is_serialized
from hozon.config.upgrade import TRAINS_AS, short_name
from hozon.errors import UnsupportedError
from hozon.keras_private.optimizers import keep_averages_apart
from hozon.keras_private.rows import step_rows_lazily
from hozon.typing import Config, ConfigEntry

LOSS_SCALES = frozenset({"LossScaleOptimizer", "LossScaleOptimizerV1", "LossScaleOptimizerV3"})
#: Growth steps that no training reaches: a loss scale that stays.
NEVER = 2**31 - 1


def read_optimizer(entry: Any, objects: ObjectReader, changes: list[str]) -> Any:
    """The optimizer of a name or of ``{"class_name": ..., "config": ...}``.

    Raises MissingObjectError for an unknown class, UnsupportedError for an argument that Keras 3
    has no counterpart for.
    """
    if isinstance(entry, str):
        entry = {"class_name": entry, "config": {}}
    if not is_serialized(entry):
        raise UnsupportedError(f"{entry!r:.100} is no serialized optimizer")
    class_name = str(entry["class_name"])
    config = dict(entry.get("config") or {})
    short = OPTIMIZERS.get(short_name(class_name), short_name(class_name))
    if short in LOSS_SCALES:
        return _loss_scale(config, objects, changes)
    custom = objects.registry.custom_class(class_name, entry.get("registered_name"))
    if custom is not None:
        return from_custom(custom, _for_custom(custom, config, objects, changes), class_name)
    old = bool(OLD_GENERATION & config.keys())
    if old:
        short = OLD_OPTIMIZERS.get(short, short)
    found = objects.registry.find("optimizer", short, entry.get("registered_name"))
    if found is None:
        return missing(class_name)
    if short == "hozon>Nadam" and "decay" in config:
        config.setdefault("schedule_decay", config.pop("decay"))
    dropped = OPTIMIZER_DROPPED - ({"schedule_decay"} if short == "hozon>Nadam" else set())
    config = {key: value for key, value in config.items() if key not in dropped}
    arguments = _arguments(config, objects, changes)
    made = call_with(found, arguments, f"optimizer {short_name(short)}")
    if old or entry.get(TRAINS_AS) == "keras2":
        step_rows_lazily(made)
    if getattr(made, "use_ema", False):
        keep_averages_apart(made)
    return made


def _arguments(config: Config, objects: ObjectReader, changes: list[str]) -> dict[str, Any]:
    given = {OPTIMIZER_RENAMED.get(key, key): value for key, value in config.items()}
    decay = given.pop("decay", None)
    rate = _rate(given.pop("learning_rate", None), decay, objects, changes)
    if rate is not None:
        given["learning_rate"] = rate
    if given.get("epsilon", 0) is None:
        given["epsilon"] = keras.config.epsilon()
    if not given.get("name"):
        given.pop("name", None)
    return {key: objects.value(value) for key, value in given.items()}


def _for_custom(
    custom: Any, config: Config, objects: ObjectReader, changes: list[str]
) -> dict[str, Any]:
    """A config for the caller's class: where Keras makes it, without what Keras 3 has no more."""
    if not isinstance(custom, type) or not is_of_keras(custom, "from_config"):
        return config
    own = inspect.signature(custom).parameters.keys()
    kept = {key: value for key, value in config.items() if key in own}
    foreign = OPTIMIZER_DROPPED | OPTIMIZER_RENAMED.keys() | {"decay"}
    rest = {key: value for key, value in config.items() if key not in own}
    if not foreign & rest.keys():
        return config
    rest |= {key: kept.pop(key) for key in ("learning_rate", "epsilon") if key in kept}
    rest = {key: value for key, value in rest.items() if key not in OPTIMIZER_DROPPED}
    return {**kept, **_arguments(rest, objects, changes)}


def _rate(rate: Any, decay: Any, objects: ObjectReader, changes: list[str]) -> Any:
    """A learning rate, a schedule, or Keras 2's ``decay`` as the schedule that it was."""
    if is_serialized(rate):
        return read_schedule(rate, objects)
    if decay and rate is not None:
        changes.append(f"optimizer: decay={decay} became an InverseTimeDecay schedule")
        return keras.optimizers.schedules.InverseTimeDecay(float(rate), 1, float(decay))
    return rate


def read_schedule(entry: ConfigEntry, objects: ObjectReader) -> Any:
    """A learning rate schedule, which may hold another."""
    config = {
        key: read_schedule(value, objects) if is_serialized(value) else value
        for key, value in (entry.get("config") or {}).items()
        if key != "name" or value
    }
    class_name = str(entry["class_name"])
    custom = objects.registry.custom_class(class_name, entry.get("registered_name"))
    if custom is not None:
        return from_custom(custom, config, class_name)
    found = objects.registry.find("schedule", class_name)
    return missing(class_name) if found is None else call_with(found, config, class_name)


def _loss_scale(config: Config, objects: ObjectReader, changes: list[str]) -> Any:
    """Keras 2 wrote the inner optimizer and the scale in two ways, before and after 2.4."""
    inner = config.get("inner_optimizer") or config.get("optimizer")
    scale = config.get("loss_scale") or {}
    old = scale.get("config", {}) if isinstance(scale, Mapping) else {"initial_loss_scale": scale}
    fixed = config.get("dynamic") is False
    if fixed:
        changes.append("optimizer: a fixed loss scale became a dynamic one that never grows")
    initial = config.get("initial_scale") or old.get("initial_loss_scale") or 2**15
    steps = config.get("dynamic_growth_steps") or old.get("increment_period") or 2000
    return keras.optimizers.LossScaleOptimizer(
        read_optimizer(inner, objects, changes),
        initial_scale=float(initial),
        dynamic_growth_steps=NEVER if fixed else int(steps),
    )
