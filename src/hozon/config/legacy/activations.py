"""Activations whose name means something else in Keras 3, and old names of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="hozon", name="hard_sigmoid_keras2")
def hard_sigmoid(x: Any) -> Any:
    """Keras 2's ``hard_sigmoid``: ``clip(0.2 x + 0.5, 0, 1)``; Keras 3's has slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)




#: Keras 2 activation names to functions with Keras 2's meaning.
LEGACY_ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "hard_sigmoid": hard_sigmoid,
    "swish": keras.activations.silu,
    "softmax_v2": keras.activations.softmax,
    "log_softmax_v2": keras.activations.log_softmax,
    "leaky_relu": keras.activations.leaky_relu,
    "relu_v2": keras.activations.relu,
}
