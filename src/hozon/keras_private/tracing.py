"""Layers traced so that they can be written down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import keras
import numpy as np
from keras.src.backend.common import dtypes

from hozon.keras_private.assigned import may_keep_assignments
from hozon.keras_private.bends import asked, bend

#: The dtype of arrays that are strings to Keras while this thread traces for a file.
_TEXT: ContextVar[np.dtype[Any] | None] = ContextVar("dtype of traced text", default=None)
#: Whether this thread traces for sizes that are symbols.
_SYMBOLIC: ContextVar[bool] = ContextVar("symbolic sizes", default=False)
_WIDE = frozenset({"int64", "uint64", "float64", "complex128"})


class _DtypeNames(dict[Any, str]):
    """Keras' names of dtypes, which it asks for each array."""

    def get(self, key: Any, default: Any = None) -> Any:
        text = _TEXT.get()
        if text is not None:
            if key == text:
                return "string"
            if isinstance(key, str) and key in _WIDE:
                return jax.dtypes.canonicalize_dtype(key).name
        return super().get(key, default)


dtypes.PYTHON_DTYPES_MAP = _DtypeNames(dtypes.PYTHON_DTYPES_MAP)


@contextmanager
def tracing_for_file(text: np.dtype[Any]) -> Iterator[None]:
    """Calls of layers that this thread makes inside are traced to be written down.

    Arrays of the dtype `text` are strings to Keras. Errors stay as they are raised. Inputs that are
    declared as int64 are asked for as what JAX makes of them, so that it does not warn of it.
    """
    filtering = keras.config.is_traceback_filtering_enabled()  # of this thread
    keras.config.disable_traceback_filtering()
    try:
        with asked(_TEXT, text):
            yield
    finally:
        if filtering:
            keras.config.enable_traceback_filtering()


def traces_for_file() -> bool:
    """Whether this thread traces layers to write them down."""
    return _TEXT.get() is not None


class _AttentionAttempts(logging.Filter):
    """Drops what Keras logs of a way to attend that does not take symbols, before the next one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged: all are, unless this thread traces for a file."""
        return _TEXT.get() is None or "dot_product_attention" not in record.getMessage()


logging.getLogger("absl").addFilter(_AttentionAttempts())


@contextmanager
def symbolic_sizes() -> Iterator[None]:
    """Keras' layers can be traced by this thread for sizes that are not numbers.

    On JAX, TimeDistributed runs its layer once for each step in a Python loop; where the number of
    steps is a symbol, batch and steps are one axis instead, as in Keras 2.
    """
    with asked(_SYMBOLIC, True):
        yield


def _merging(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(layer: keras.Layer, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        symbolic = _SYMBOLIC.get() and not isinstance(inputs.shape[1], int)
        if symbolic or may_keep_assignments(layer.layer):  # once a batch, not once a step
            return over_merged_steps(layer.layer, inputs, training, mask)
        return original(layer, inputs, training=training, mask=mask)

    return call


bend(keras.layers.TimeDistributed, "call", _merging)


def over_each_step(layer: keras.Layer, inputs: Any, training: Any, mask: Any) -> Any:
    """A layer's call on (batch, steps, ...), step by step; what it assigns lasts for the next.

    Keras 2 calls it on the first step twice: once to see what it gives.
    """
    given = {"training": training} if layer._call_has_training_arg else {}
    masked = layer._call_has_mask_arg and mask is not None
    made = [
        layer.call(inputs[:, i], **given, **({"mask": mask[:, i]} if masked else {}))
        for i in (0, *range(inputs.shape[1]))
    ]
    return keras.ops.stack(made[1:], axis=1)


def over_merged_steps(
    layer: keras.Layer, inputs: Any, training: Any, mask: Any, *, losses: bool = False
) -> Any:
    """A layer's call on (batch, steps, ...) with batch and steps as one axis.

    With `losses`, those of what the layer gives count too.
    """
    batch, steps, *rest = inputs.shape
    given = {}
    if layer._call_has_training_arg:
        given["training"] = training
    if layer._call_has_mask_arg and mask is not None:
        given["mask"] = keras.ops.reshape(mask, (batch * steps, *mask.shape[2:]))
    call = layer if losses else layer.call
    made = call(keras.ops.reshape(inputs, (batch * steps, *rest)), **given)
    return keras.ops.reshape(made, (batch, steps, *made.shape[1:]))
