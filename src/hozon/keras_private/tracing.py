"""Layers traced so that they can be written down."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import dtypes


@contextmanager
def tracing_for_file(text: np.dtype[Any]) -> Iterator[None]:
    """Calls of layers inside are traced to be written down.

    Arrays of the dtype `text` are strings to Keras. Errors stay as they are raised, and Keras does
    not warn that JAX halves the integers of inputs that are declared as int64.
    """
    filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    dtypes.PYTHON_DTYPES_MAP[text] = "string"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Explicitly requested dtype")
            yield
    finally:
        dtypes.PYTHON_DTYPES_MAP.pop(text, None)
        if filtering:
            keras.config.enable_traceback_filtering()


@contextmanager
def symbolic_sizes() -> Iterator[None]:
    """Keras' layers can be traced for sizes that are not numbers.

    On JAX, TimeDistributed runs its layer once for each step in a Python loop; where the number of
    steps is a symbol, batch and steps are one axis instead, as in Keras 2.
    """
    kind = keras.layers.TimeDistributed
    original = kind.call

    def call(layer: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if isinstance(inputs.shape[1], int):
            return original(layer, inputs, training=training, mask=mask)
        return _over_merged_steps(layer.layer, inputs, training, mask)

    kind.call = call
    try:
        yield
    finally:
        kind.call = original


def _over_merged_steps(layer: Any, inputs: Any, training: Any, mask: Any) -> Any:
    batch, steps, *rest = inputs.shape
    given = {}
    if layer._call_has_training_arg:
        given["training"] = training
    if layer._call_has_mask_arg and mask is not None:
        given["mask"] = keras.ops.reshape(mask, (batch * steps, *mask.shape[2:]))
    made = layer.call(keras.ops.reshape(inputs, (batch * steps, *rest)), **given)
    return keras.ops.reshape(made, (batch, steps, *made.shape[1:]))
