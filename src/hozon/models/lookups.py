"""What a loaded model's training does otherwise with tables that are looked up in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from hozon.keras_private.layers import layers_of
from hozon.keras_private.optimizers import wrapped

CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def clipped_lookups(model: Any) -> Iterator[str]:
    """A line for a compiled model of Keras 2 whose gradients of embeddings are clipped.

    Keras 2 keeps the gradient of a table as a row for each lookup and clips these; Keras 3 on JAX
    clips the gradient of the whole table, where the rows of one id are summed already.
    """
    optimizer = wrapped(model.optimizer)
    clips = [f"{name}={value}" for name in CLIPS if (value := getattr(optimizer, name, None))]
    tables = [layer.name for layer in layers_of(model) if _is_table(layer)]
    if clips and tables:
        yield (
            f"optimizer: {', '.join(clips)} clips the sum of the gradients of all lookups of an id "
            f"in {', '.join(dict.fromkeys(tables))}; Keras 2 clipped each lookup's. Steps differ "
            "where a batch has an id more than once"
        )


def _is_table(layer: Any) -> bool:
    """Whether Keras 2 has rows as a layer's gradient; a penalty on the table makes it whole."""
    return (
        isinstance(layer, keras.layers.Embedding)
        and bool(layer.trainable_weights)
        and layer.embeddings_regularizer is None
    )
