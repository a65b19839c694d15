"""Whether something is a model, and has the variables that are to be saved or loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.arguments import wrong
from hozon.config.called import CALLED_ON, symbols
from hozon.config.text_layers.host import HostLayer
from hozon.errors import UnsupportedError
from hozon.keras_private.backend import require_own_backend
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import build_as_told, build_by_run, layers_inside
from hozon.models.text.symbols import build_for_shapes


def require_built(model: keras.Model, lacking: str) -> None:
    """Raise UnsupportedError for a model or layer that was never built: what it has none of.

    Layers that are built before any call, as those of text are, have all that they will have.
    """
    inside = layers_inside(model)
    waits = not inside or not all(layer.built for layer in inside)
    if not model.built and not model.weights and waits:
        raise UnsupportedError(
            f"{model.name!r} is not built, so it has no {lacking}",
            instead="call it once on a batch, or call its build() with the input shape",
        )


def build_as_recorded(model: keras.Model, shapes: Mapping[str, Any]) -> None:
    """Build a model of a class of its own, with all layers in it, for the shapes saved with it.

    Keras calls it on symbols for that, and does not note that it is built then; but where the class
    has a ``build``, which may leave layers to the first call, Keras only calls that.
    """
    if functional_of(model) is not None:
        return
    if CALLED_ON in shapes:
        model(**symbols(shapes[CALLED_ON]))
        return
    if any(isinstance(inside, HostLayer) for inside in layers_inside(model)):
        build_for_shapes(model, shapes)
        return
    if not model.built:
        build_as_told(model, shapes)
    inside = layers_inside(model)
    if not all(layer.built for layer in inside):
        build_by_run(model, shapes)
    if inside and all(layer.built for layer in inside):
        model.built = True


def sync_variables(model: keras.Model) -> None:
    """Give a model's variables their present values, which JAX's `fit` keeps to itself."""
    sync = getattr(model, "jax_state_sync", None)
    if callable(sync):
        sync()


def require_model(name: str, value: object) -> None:
    """Raise ArgumentError for anything but a Keras model, UnsupportedError for a foreign one."""
    if not isinstance(value, keras.Model):
        raise wrong(name, value, "a keras.Model")
    require_own_backend(name, value)


def require_layer(name: str, value: object) -> None:
    """Raise ArgumentError for anything but a Keras layer, UnsupportedError for a foreign one."""
    if not isinstance(value, keras.Layer):
        raise wrong(name, value, "a Keras model or layer")
    require_own_backend(name, value)
