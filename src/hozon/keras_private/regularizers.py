"""Regularizers of absolute values at exactly 0: their slope is 0 in TensorFlow, and 1 in JAX."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras

from hozon.keras_private.bends import bend

#: Whether this thread runs a model whose regularizers are flat at 0.
FLAT: ContextVar[bool] = ContextVar("regularizers are flat at zero", default=False)


def _calling(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(regularizer: Any, x: Any) -> Any:
        if FLAT.get():
            x = keras.ops.convert_to_tensor(x)
            x = keras.ops.where(x == 0, keras.ops.stop_gradient(x), x)
        return original(regularizer, x)

    return call


for _kind in (keras.regularizers.L1, keras.regularizers.L1L2):
    bend(_kind, "__call__", _calling)
