"""What `adapt` learned, of layers that Keras 2 keeps it as a weight of and Keras 3 does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import TextVectorization
from hozon.stored.dtypes import FLOAT32, DType

#: The name of these weights in Keras 2, which gave them none but the last.
IDF, SUMMARY = "Variable", "summary"


def learned_name(layer: Any) -> str:
    """The name of the weight in which Keras 2 keeps what a layer learned; "" for other layers."""
    if isinstance(layer, (IndexLookup, TextVectorization)):
        return IDF if layer.output_mode == "tf_idf" else ""
    if isinstance(layer, keras.layers.Discretization):
        return SUMMARY if layer.num_bins is not None else ""
    return ""


def learned_value(layer: Any) -> np.ndarray[Any, Any] | None:
    """What the layer learned, float32: a weight for each token, or (2, n) values and counts."""
    if not learned_name(layer):
        return None
    lookup = getattr(layer, "lookup", layer)
    value = layer.summary if learned_name(layer) == SUMMARY else lookup.idf
    return None if value is None else np.asarray(value, np.float32)


def learn(layer: Any, value: np.ndarray[Any, Any]) -> None:
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
