"""Which backend Keras runs on."""

from __future__ import annotations

import keras

from hozon.errors import UnsupportedError


def require_jax(what: str) -> None:
    """Raise UnsupportedError unless Keras runs on JAX."""
    backend = keras.config.backend()
    if backend != "jax":
        raise UnsupportedError(
            f"{what} needs Keras' JAX backend; Keras runs on {backend!r}. "
            "Set KERAS_BACKEND=jax before Keras is imported"
        )
