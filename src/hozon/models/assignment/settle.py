"""What layers derive from their variables, made anew once these have their stored values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.keras_private.layers import layers_of

Layer = Any


def _finalize(layer: Layer) -> None:
    """Keras computes with constants that it makes of the adapted variables."""
    layer.finalize_state()


#: For each class of layer that keeps more than variables: what makes the rest of them.
DERIVED: Mapping[type, Callable[[Layer], None]] = {
    keras.layers.Normalization: _finalize,
}


def is_derived(target: Any) -> bool:
    """Whether an object derives something from its variables."""
    return isinstance(target, tuple(DERIVED))


def settle(root: Any) -> None:
    """Settle a layer or model and all layers inside of it, at any depth."""
    for layer in layers_of(root):
        settle_layer(layer)


def settle_layer(layer: Any) -> None:
    """Settle one layer, those inside of it aside."""
    for kind, derive in DERIVED.items():
        if isinstance(layer, kind):
            derive(layer)
