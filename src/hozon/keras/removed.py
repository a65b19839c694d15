"""Names of Keras 2 that Keras 3 removed: asking for one says what to use today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hozon.errors import ArgumentError

#: Methods of models.
METHODS: Mapping[str, str] = {
    "fit_generator": "model.fit, which takes generators",
    "evaluate_generator": "model.evaluate, which takes generators",
    "predict_generator": "model.predict, which takes generators",
    "predict_classes": "model.predict(x).argmax(axis=-1), or model.predict(x) > 0.5",
    "predict_proba": "model.predict",
}
#: Modules and functions below ``keras``.
NAMES: Mapping[str, str] = {
    "layers.experimental": "keras.layers, where Normalization, Rescaling, RandomFlip ... stand",
    "optimizers.experimental": "keras.optimizers",
    "utils.multi_gpu_model": "keras.distribution.DataParallel",
}
#: Arguments of optimizers.
ARGUMENTS: Mapping[str, str] = {
    "lr": "learning_rate",
    "decay": "learning_rate=keras.optimizers.schedules.InverseTimeDecay(...)",
}


class RemovedMethod:
    """What stands for a method that is no more: whoever asks for it is told."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, kind: type | None = None) -> Any:
        """Raise AttributeError, which says what to use."""
        raise AttributeError(_told(self._name, METHODS[self._name]))


def missing(module: str, name: str) -> AttributeError | None:
    """The error for a name that a module of Keras had; None where it had none."""
    path = f"{module.removeprefix('keras.')}.{name}"
    return AttributeError(_told(f"keras.{path}", NAMES[path])) if path in NAMES else None


def todays_arguments(original: Callable[..., Any]) -> Callable[..., Any]:
    """The constructor of optimizers, which says how arguments of Keras 2 are called."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in ARGUMENTS.keys() & kwargs.keys():
            raise ArgumentError(
                f"{type(self).__name__}() takes no argument {name!r} in Keras 3: "
                f"use {ARGUMENTS[name]}",
                argument=name,
                accepted=ARGUMENTS[name],
            )
        original(self, *args, **kwargs)

    return init


def _told(name: str, today: str) -> str:
    return f"{name} is no more in Keras 3: use {today}"
