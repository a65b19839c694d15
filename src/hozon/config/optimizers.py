"""Optimizer configs of Keras 1 and 2 as Keras 3 optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.objects import ObjectReader, call_with, is_serialized
from hozon.config.registry import missing
from hozon.errors import UnsupportedError

#: Keys that Keras 3 does not take and that change no number.
DROPPED = ("jit_compile", "is_legacy_optimizer", "schedule_decay", "sparse", "registered_name",
           "epsilon_hat")  # fmt: skip
RENAMED = {"lr": "learning_rate"}
LOSS_SCALES = frozenset({"LossScaleOptimizer", "LossScaleOptimizerV1", "LossScaleOptimizerV3"})


def read_optimizer(entry: Mapping[str, Any], objects: ObjectReader, changes: list[str]) -> Any:
    """The optimizer of ``{"class_name": ..., "config": ...}``.

    Raises MissingObjectError for an unknown class, UnsupportedError for an argument that Keras 3
    has no counterpart for.
    """
    class_name = str(entry["class_name"])
    config = dict(entry.get("config") or {})
    short = class_name.rsplit(">", 1)[-1]
    if short in LOSS_SCALES:
        return _loss_scale(config, objects, changes)
    found = objects.registry.find("optimizer", class_name)
    if found is None:
        raise missing(class_name)
    if objects.registry.is_custom(class_name):
        return found.from_config(config)
    arguments = {RENAMED.get(k, k): v for k, v in config.items() if k not in DROPPED}
    decay = arguments.pop("decay", None)
    arguments["learning_rate"] = _rate(arguments.get("learning_rate"), decay, objects, changes)
    if arguments["learning_rate"] is None:
        del arguments["learning_rate"]
    if not arguments.get("name"):
        arguments.pop("name", None)
    return call_with(found, arguments, f"optimizer {short}")


def _rate(rate: Any, decay: Any, objects: ObjectReader, changes: list[str]) -> Any:
    """A learning rate, a schedule, or Keras 2's ``decay`` as the schedule that it was."""
    if is_serialized(rate):
        return objects.read("schedule", rate)
    if decay:
        changes.append(f"decay={decay} became an InverseTimeDecay schedule")
        return keras.optimizers.schedules.InverseTimeDecay(float(rate), 1, float(decay))
    return rate


def _loss_scale(config: dict[str, Any], objects: ObjectReader, changes: list[str]) -> Any:
    """Keras 2 wrote the inner optimizer and the scale in two ways, before and after 2.4."""
    inner = config.get("inner_optimizer") or config.get("optimizer")
    if not is_serialized(inner):
        raise UnsupportedError("a LossScaleOptimizer without an inner optimizer")
    scale = config.get("loss_scale") or {}
    scale = scale.get("config", {}) if isinstance(scale, Mapping) else {}
    if config.get("dynamic") is False:
        raise UnsupportedError("Keras 3 has no fixed loss scale")
    initial = config.get("initial_scale") or scale.get("initial_loss_scale") or 2**15
    steps = config.get("dynamic_growth_steps") or scale.get("increment_period") or 2000
    return keras.optimizers.LossScaleOptimizer(
        read_optimizer(inner, objects, changes),
        initial_scale=float(initial),
        dynamic_growth_steps=int(steps),
    )
