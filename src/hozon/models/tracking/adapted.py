"""Layers whose state is what `adapt` learned: tables of tokens, bins, weights of tokens.

Keras 2 keeps counts of tokens in checkpoints, empty but while `adapt` runs, and no vocabulary that
a layer learned (tf_keras/src/layers/preprocessing/index_lookup.py); TensorFlow 2.3 to 2.5 kept the
vocabulary, as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import TextVectorization, lookup_of
from hozon.keras_private.layers import layers_of
from hozon.models.tracking.leaves import ComputedLeaf
from hozon.objects.tracking import Table, Trackable, Virtual
from hozon.stored.dtypes import FLOAT32, INT64, DType, dtype_of_name

#: Edges to the table of a vocabulary in older files.
VOCABULARIES = ("_table", "_static_table")


def learned(layer: keras.Layer) -> dict[str, Any]:
    """What Keras 2 saves of a layer of this kind besides variables; of others nothing."""
    if isinstance(layer, IndexLookup):
        return _counts(layer) | _weights(layer)
    if isinstance(layer, keras.layers.Discretization) and layer.summary is not None:
        return {"summary": Virtual(layer, "summary", Trackable(leaf=SummaryLeaf(layer)))}
    return {}


def older_names(layer: keras.Layer) -> dict[str, Any]:
    """Where older files have the vocabulary of a lookup layer, or the lookup of a text layer."""
    if isinstance(layer, TextVectorization):
        return {"_index_lookup_layer": lookup_of(layer)}
    if not isinstance(layer, IndexLookup):
        return {}
    table = _table(layer, layer.load_table)
    return {name: Virtual(layer, name, table) for name in VOCABULARIES}


def has_weights(layer: keras.Layer) -> bool:
    """Whether Keras 2 would count a layer among those with weights."""
    return bool(layer.weights) or any(map(learned, layers_of(layer)))


def _counts(layer: IndexLookup) -> dict[str, Any]:
    if layer.has_input_vocabulary:
        return {}
    found: dict[str, Any] = {"token_counts": _no_counts(layer, "token_counts")}
    if layer.output_mode == "tf_idf":
        found["token_document_counts"] = _no_counts(layer, "token_document_counts")
        documents = ComputedLeaf("num_documents", INT64, (), _zero)
        found["num_documents"] = Virtual(layer, "num_documents", Trackable(leaf=documents))
    return found


def _weights(layer: IndexLookup) -> dict[str, Any]:
    if layer.output_mode != "tf_idf":
        return {}
    return {"idf_weights": Virtual(layer, "idf_weights", Trackable(leaf=IdfLeaf(layer)))}


def _no_counts(layer: IndexLookup, name: str) -> Virtual:
    return Virtual(layer, name, _table(layer, _forget))


def _table(layer: IndexLookup, assign: Callable[[Any, Any], None]) -> Trackable:
    keys = dtype_of_name(layer.key_dtype)
    return Trackable(table=Table(keys, INT64, lambda: _nothing(keys), assign))


def _nothing(keys: DType) -> tuple[Any, Any]:
    return np.empty(0, keys.numpy), np.empty(0, np.int64)


def _forget(keys: Any, values: Any) -> None:
    """Counts of tokens are of use to an `adapt` that goes on, which is not done here."""


def _zero() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class IdfLeaf:
    """The weights of a lookup layer's "tf_idf" mode."""

    layer: IndexLookup
    dtype: DType = FLOAT32

    @property
    def name(self) -> str:
        """As in Keras 2."""
        return f"{self.layer.name}/idf_weights"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """One weight for each index; any shape while there is no vocabulary."""
        return (self.layer.depth or 0,) if self.layer.tokens else None

    def read(self) -> Any:
        """The weights; zeros for the special tokens while there are none."""
        idf = self.layer.idf
        return np.zeros(self.layer.token_start, np.float32) if idf is None else np.float32(idf)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Take weights."""
        self.layer.load_idf(value)


@dataclass(frozen=True, slots=True)
class SummaryLeaf:
    """The summary of the data from which a Discretization layer makes its boundaries."""

    layer: Any
    dtype: DType = FLOAT32
    shape: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """As in Keras 2."""
        return f"{self.layer.name}/summary"

    def read(self) -> Any:
        """Shape (2, samples): values and their weights."""
        return np.asarray(self.layer.summary, np.float32)

    def assign(self, value: np.ndarray[Any, Any]) -> None:
        """Take a summary and make boundaries of it."""
        self.layer.summary = np.array(value)
        if value.size:
            self.layer.finalize_state()
