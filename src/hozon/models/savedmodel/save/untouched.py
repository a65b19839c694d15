"""Tracing calls without leaving a trace in the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import keras

from hozon.errors import UnsupportedError
from hozon.keras_private.layers import layers_of, losses_kept


@contextmanager
def untouched(model: keras.Model) -> Iterator[None]:
    """Afterwards all attributes of a model and its layers are what they were.

    Raises UnsupportedError when a call keeps what it computes in a plain attribute: such state is
    no Keras variable, so no saved function could keep it.
    """
    layers = layers_of(model)
    before = [(layer, dict(vars(layer))) for layer in layers]
    kept: list[str] = []
    with losses_kept(layers):
        try:
            yield
        finally:
            for layer, attributes in before:
                kept += _restore(layer, attributes)
    if kept:
        raise UnsupportedError(
            f"a call keeps state outside of Keras variables: {', '.join(kept)}",
            feature="state in plain attributes",
            instead="add_weight(...) in the layer, and assign() to it",
        )


def _restore(layer: keras.Layer, attributes: dict[str, Any]) -> Iterator[str]:
    """Put back what has changed; names what had become a value under trace."""
    now = vars(layer)
    for name in [n for n in now if now[n] is not attributes.get(n, now)]:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(now[name])):
            yield f"{type(layer).__name__}.{name} of {layer.name!r}"
        if name in attributes:
            now[name] = attributes[name]
        else:
            del now[name]
    now.update({n: v for n, v in attributes.items() if n not in now})
