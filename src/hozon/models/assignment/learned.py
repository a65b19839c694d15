"""What `adapt` learned, of layers that Keras 2 keeps it as a weight of and Keras 3 does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import TextVectorization, lookup_of
from hozon.keras_private.layers import layers_of
from hozon.stored.dtypes import FLOAT32, DType

#: The name of these weights in Keras 2, which gave them none but the last.
IDF, SUMMARY = "Variable", "summary"
INSTEAD = "give it to the layer when it is made, or save the whole model"


def learned_name(layer: keras.Layer) -> str:
    """The name of the weight in which Keras 2 keeps what a layer learned; "" for other layers."""
    if isinstance(layer, (IndexLookup, TextVectorization)):
        return IDF if layer.output_mode == "tf_idf" else ""
    if isinstance(layer, keras.layers.Discretization):
        return SUMMARY if layer.num_bins is not None else ""
    return ""


def learned_value(layer: keras.Layer) -> np.ndarray[Any, Any] | None:
    """What the layer learned, float32: a weight for each token, or (2, n) values and counts."""
    if not learned_name(layer):
        return None
    lookup = lookup_of(layer)
    value = layer.summary if learned_name(layer) == SUMMARY else lookup.idf
    return None if value is None else np.asarray(value, np.float32)


def not_in_weights(model: keras.Model, *, summaries: bool) -> list[str]:
    """What `adapt` learned and a form of weights does not hold: vocabularies, and bins.

    `summaries`: whether the form has the summary of the data that boundaries are made of.
    """
    layers = layers_of(model)
    lines = [
        f"layer {name!r}: its vocabulary, which load_weights() does not bring back; {INSTEAD}"
        for name in unsaved_vocabularies(layers)
    ]
    for layer in layers:
        if isinstance(layer, keras.layers.Discretization) and layer.num_bins is not None:
            held = summaries and np.size(layer.summary if layer.summary is not None else ())
            if layer.bin_boundaries is not None and not held:
                lines.append(
                    f"layer {layer.name!r}: its bins, which load_weights() does not bring back; "
                    f"{INSTEAD}"
                )
    return lines


def unsaved_vocabularies(layers: Sequence[keras.Layer]) -> list[str]:
    """The names of layers that learned a vocabulary."""
    lookups = {id(layer): layer for layer in layers if isinstance(layer, IndexLookup)}
    names = {
        id(lookup_of(layer)): layer.name for layer in layers if isinstance(layer, TextVectorization)
    }
    return [
        str(names.get(key, layer.name))
        for key, layer in lookups.items()
        if layer.tokens and not layer.has_input_vocabulary
    ]


def learn(layer: keras.Layer, value: np.ndarray[Any, Any]) -> None:
    """Give a layer what was learned."""
    if learned_name(layer) == IDF:
        layer.load_idf(value)
    elif value.size:
        layer.summary = value
        layer.finalize_state()


@dataclass(frozen=True, slots=True)
class LearnedLeaf:
    """What a layer learned, as a value that a file holds."""

    layer: Any
    dtype: DType = FLOAT32
    shape: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """As in Keras 2."""
        return f"{self.layer.name}/{learned_name(self.layer)}"

    def read(self) -> Any:
        """What the layer learned."""
        return learned_value(self.layer)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Give the layer what was learned."""
        learn(self.layer, value)
