"""Where training of tables that are looked up in is not as it was in Keras 2, or will be there."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from hozon.keras_private.layers import layers_of
from hozon.keras_private.optimizers import wrapped
from hozon.keras_private.rows import steps_rows_lazily

CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def lookups_trained_otherwise(model: keras.Model) -> Iterator[str]:
    """Lines for a compiled model of Keras 2 whose class has a training step of its own.

    Keras 2 keeps the gradient of a table as a row for each lookup and clips these, and its older
    optimizers step these alone. So does Hozon in the steps of `fit` that are Keras' own.
    """
    if type(model).train_step is keras.Model.train_step:
        return
    optimizer = wrapped(model.optimizer)
    clips = [f"{name}={value}" for name in CLIPS if (value := getattr(optimizer, name, None))]
    tables = _tables(model)
    if tables and clips:
        yield (
            f"optimizer: {', '.join(clips)} clips the sum of the gradients of all lookups of an id "
            f"in {tables}, as the class has a train_step of its own; Keras 2 clipped each lookup's"
        )
    if tables and steps_rows_lazily(optimizer):
        yield (
            f"optimizer {type(optimizer).__name__}: it moves all rows of {tables}, as the class "
            "has a train_step of its own; Keras 2 left alone those that a step did not look up"
        )


def lazy_rows_lost(model: keras.Model) -> Iterator[str]:
    """A line for a model whose optimizer is written as one that moves all rows of a table."""
    optimizer, tables = wrapped(model.optimizer), _tables(model)
    newer = type(optimizer).__module__.startswith("keras.")
    if tables and newer and steps_rows_lazily(optimizer):
        yield (
            f"optimizer {type(optimizer).__name__}: in TensorFlow's Keras it moves all rows of "
            f"{tables}; the older generation, which it is of, leaves alone those that a step does "
            "not look up"
        )


def _tables(model: keras.Model) -> str:
    return ", ".join(dict.fromkeys(layer.name for layer in layers_of(model) if _is_table(layer)))


def _is_table(layer: keras.Layer) -> bool:
    """Whether Keras 2 has rows as a layer's gradient; a penalty on the table makes it whole."""
    return (
        isinstance(layer, keras.layers.Embedding)
        and bool(layer.trainable_weights)
        and layer.embeddings_regularizer is None
    )
