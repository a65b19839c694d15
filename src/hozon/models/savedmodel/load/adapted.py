"""What `adapt` learned, of layers whose state is no plain list of weights.

Vocabularies live in tables of the saved graph, bin boundaries in a summary of the data, mean and
variance in variables of which Keras 3 keeps a second form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import TextVectorization
from hozon.errors import UnsupportedError
from hozon.graph_level.loader import ObjectGraphLoader
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects
from hozon.models.savedmodel.load.own_class import pair

#: Edges from a layer to its table, the newest first (tf_keras ``index_lookup``, ``Table`` in
#: ``string_lookup`` and ``index_lookup`` of TensorFlow 2.3 to 2.6).
TABLES = ("lookup_table", "_table", "_static_table")
#: Edges from a text layer to the lookup layer in it.
LOOKUPS = ("_lookup_layer", "_index_lookup_layer")
IDF = ("idf_weights", "tf_idf_weights")


class AdaptedState:
    """Gives layers built from their configs what the saved ones had learned."""

    def __init__(self, objects: KerasObjects, loader: Callable[[], ObjectGraphLoader]) -> None:
        self.objects = objects
        self._loader = loader

    def restore(self, node_id: int, layer: keras.layers.Layer) -> bool:
        """Restore the layer at a node; False for one whose state is its weights.

        Raises UnsupportedError when a vocabulary is missing from the file.
        """
        if isinstance(layer, (IndexLookup, TextVectorization)):
            self._vocabulary(node_id, layer)
        elif isinstance(layer, keras.layers.Discretization):
            self._boundaries(node_id, layer)
        else:
            return bool(getattr(layer, "host", False))
        return True

    def restore_vocabularies(self, node: KerasNode, layer: keras.Layer) -> None:
        """Give what a layer of the caller's holds the vocabularies that are stored for it.

        Calls that build the rest may ask for them.
        """
        for saved, live in pair(self.objects, node, layer).layers:
            if isinstance(live, (IndexLookup, TextVectorization)):
                self._vocabulary(saved.node, live, required=False)

    def _vocabulary(
        self, node_id: int, layer: keras.layers.Layer, *, required: bool = True
    ) -> None:
        owner = self._first(node_id, LOOKUPS)
        owner = node_id if owner is None else owner
        table = self._table_of(owner)
        if required and table is None and layer.vocabulary_size() == 0:
            raise UnsupportedError(f"layer {layer.name!r} was saved without its vocabulary")
        if table is not None:
            layer.load_table(*(entries.tolist() for entries in table.export()))
        weights = self._first(owner, IDF)
        stored = None if weights is None else self._value(weights)
        if stored is not None and layer.output_mode == "tf_idf":
            layer.load_idf(stored)

    def _table_of(self, owner: int) -> Any:
        node = self._first(owner, TABLES)
        while node is not None and "_create_resource" not in self.objects.children(node):
            node = self._first(node, TABLES)
        return None if node is None else self._loader().captured(node)

    def _boundaries(self, node_id: int, layer: keras.layers.Layer) -> None:
        """Keras 2 keeps the summary of which boundaries are made, Keras 3 computes it anew."""
        summary = self._first(node_id, ("summary",))
        stored = None if summary is None else self._value(summary)
        if stored is not None and layer.num_bins is not None:
            layer.summary = stored
            layer.finalize_state()

    def _first(self, node_id: int, names: tuple[str, ...]) -> int | None:
        children: Mapping[str, int] = self.objects.children(node_id)
        return next((children[name] for name in names if name in children), None)

    def _value(self, node_id: int) -> Any:
        saved = self.objects.variable(node_id)
        stored = None if saved is None else self.objects.artifact.variable_value(node_id, saved)
        return None if stored is None else stored.read()
