"""Which backend Keras runs on, and which one a model's values are of."""

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


#: Libraries whose tensors hold variables' values, by the backend that makes them.
TENSORS = {"jax": "jax", "jaxlib": "jax", "torch": "torch", "tensorflow": "tensorflow"}


def require_own_backend(name: str, layer: keras.Layer) -> None:
    """Raise UnsupportedError for a model or layer whose values are those of another backend.

    Such a model was made before Keras' backend was changed, or given tensors from outside.
    """
    present = keras.config.backend()
    for variable in layer.variables:
        library = type(variable._value).__module__.partition(".")[0]
        owner = TENSORS.get(library, present)
        if owner != present:
            raise UnsupportedError(
                f"{name}: variable {variable.path!r} holds a tensor of {owner}, and Keras runs on "
                f"{present!r}",
                feature=f"a model of Keras' {owner} backend",
                instead=f"make the model on this backend, or set KERAS_BACKEND={owner} before "
                "Keras is imported",
            )
