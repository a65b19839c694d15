"""What a model was compiled with, and its compiled steps."""

from __future__ import annotations

from typing import Any

import keras


def compile_config(model: keras.Model) -> dict[str, Any] | None:
    """What a model was compiled with, as live objects; None if it was not."""
    config = getattr(model, "_compile_config", None)
    if not model.compiled or config is None:
        return None
    return {**config.config, "optimizer": model.optimizer}


def forget_compiled_steps(model: keras.Model) -> None:
    """Make Keras trace its steps again, as the model computes something else now."""
    model.train_function = model.test_function = model.predict_function = None


def begin_with(model: keras.Model, epoch: int | None) -> None:
    """Make ``fit``, which is about to begin, start with this epoch; None for what it was told."""
    model._initial_epoch = epoch
