"""Vocabularies that pass from one layer to another."""

from __future__ import annotations

import keras

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import TextVectorization
from hozon.keras_private.paths import saveables


def lend_vocabularies(layer: keras.Layer, again: keras.Layer) -> None:
    """Give text layers the vocabularies of their counterparts in the layer they are made after."""
    by_path = dict(saveables(again))
    for path, known in saveables(layer):
        found = by_path.get(path)
        text = isinstance(known, (IndexLookup, TextVectorization))
        if text and found is not None and type(found) is type(known):
            found.set_vocabulary(known.get_vocabulary(include_special_tokens=False))
