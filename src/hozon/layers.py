"""Keras' text and lookup layers without TensorFlow, which Keras' own need.

They are made, adapted, saved and loaded like any layer. A model that holds them takes strings:
NumPy arrays or lists, ``keras.Input(shape, dtype="string")``. Under ``from hozon import keras``
they stand at their usual place, ``keras.layers``.

Example:
    >>> from hozon.layers import TextVectorization
    >>> vectorize = TextVectorization(max_tokens=1000, output_sequence_length=8)
    >>> vectorize.adapt(["the cat sat", "the dog ran"])
    >>> vectorize(["the cat"]).shape
    (1, 8)
"""

from __future__ import annotations

from hozon.config.text_layers import (
    HashedCrossing,
    Hashing,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from hozon.models.text import made as made  # lets models take strings

__all__ = ["HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"]
