"""Layers that read strings or look values up, on the host; registered as ``hozon>...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hozon.config.text_layers.buckets import HashedCrossing, Hashing
from hozon.config.text_layers.lookup import IntegerLookup, StringLookup
from hozon.config.text_layers.vectorization import TextVectorization

if TYPE_CHECKING:
    import keras

__all__ = [
    "TEXT_LAYERS",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "StringLookup",
    "TextVectorization",
    "reads_text",
]

TEXT_LAYERS: Mapping[str, type] = {
    layer.__name__: layer
    for layer in (HashedCrossing, Hashing, IntegerLookup, StringLookup, TextVectorization)
}


def reads_text(layer: keras.Layer) -> bool:
    """Whether a layer takes strings."""
    return isinstance(layer, TextVectorization) or (
        isinstance(layer, StringLookup) and not layer.invert
    )
