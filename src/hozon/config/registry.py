"""What a config may name: an allow-list of classes and functions, one object per load.

It holds Keras' public layers, initializers, regularizers, constraints, activations, losses,
metrics, optimizers and schedules, what users registered with Keras, and the caller's custom
objects. Nothing is ever imported because a file names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import keras

from hozon.config.legacy.activations import LEGACY_ACTIVATIONS
from hozon.config.names import ALIASES
from hozon.errors import MissingObjectError

#: Public classes that run code or open files that a config names.
UNSAFE = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})

KINDS: Mapping[str, tuple[ModuleType, type]] = {
    "layer": (keras.layers, keras.layers.Layer),
    "initializer": (keras.initializers, keras.initializers.Initializer),
    "regularizer": (keras.regularizers, keras.regularizers.Regularizer),
    "constraint": (keras.constraints, keras.constraints.Constraint),
    "loss": (keras.losses, keras.losses.Loss),
    "metric": (keras.metrics, keras.metrics.Metric),
    "optimizer": (keras.optimizers, keras.optimizers.Optimizer),
    "schedule": (
        keras.optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule,
    ),
}  # fmt: skip


class Registry:
    """Classes and functions by kind and name. Custom objects win over built-in ones."""

    def __init__(self, custom_objects: Mapping[str, Any] | None = None) -> None:
        self.custom: dict[str, Any] = {
            **{name.rsplit(">", 1)[-1]: value for name, value in _registered()},
            **dict(_registered()),
            **(custom_objects or {}),
        }

    def find(self, kind: str, class_name: str) -> Any:
        """The class of a kind and name, None if there is none."""
        short = class_name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]
        for name in (class_name, short):
            if name in self.custom:
                return self.custom[name]
        return builtin(kind, ALIASES.get(short, short))

    def is_custom(self, class_name: str) -> bool:
        """Whether a name is the caller's, not Keras' own."""
        return class_name in self.custom or class_name.rsplit(">", 1)[-1] in self.custom

    def function(self, kind: str, name: str) -> Any:
        """A function of a kind ("activation", "loss", "metric") by name, None if unknown."""
        if name in self.custom:
            return self.custom[name]
        if kind == "activation" and name in LEGACY_ACTIVATIONS:
            return LEGACY_ACTIVATIONS[name]
        module = {"activation": keras.activations, "loss": keras.losses, "metric": keras.metrics}
        found = vars(module[kind]).get(name)
        return found if callable(found) and not isinstance(found, type) else None


def missing(*names: str) -> MissingObjectError:
    """The error for classes or functions that neither Keras nor the caller has."""
    listed = ", ".join(sorted(set(names)))
    given = {name.rsplit(">", 1)[-1]: name.rsplit(">", 1)[-1] for name in sorted(set(names))}
    return MissingObjectError(
        f"the model needs objects that Keras does not have: {listed}",
        names=sorted(set(names)), custom_objects=given,
    )  # fmt: skip


def builtin(kind: str, name: str) -> type | None:
    """A public Keras class of a kind."""
    module, base = KINDS[kind]
    found = vars(module).get(name)
    if isinstance(found, type) and issubclass(found, base) and name not in UNSAFE:
        return found
    return None


def _registered() -> Iterator[tuple[str, Any]]:
    """What users registered with ``keras.saving.register_keras_serializable``."""
    yield from keras.saving.get_custom_objects().items()
