"""Activations whose name means something else in Keras 3."""

from __future__ import annotations

from typing import Any

import keras


def hard_sigmoid(x: Any) -> Any:
    """Keras 1's and 2's hard_sigmoid, ``clip(0.2 x + 0.5, 0, 1)``; Keras 3's has slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


keras.saving.register_keras_serializable(package="hozon", name="hard_sigmoid")(hard_sigmoid)
