"""Weights in memory: their size, and from one layer or model to another, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import keras
import numpy as np

from hozon.errors import MismatchError
from hozon.keras_private.values import give_value
from hozon.models.built import require_built


def set_weights(layer: keras.Layer, weights: Sequence[keras.Variable]) -> None:
    """Give a layer's or model's variables the values of a list, as `get_weights` returned it.

    Args:
        layer: built; its ``weights`` say the order.
        weights: an array for each variable, of its shape.

    Raises:
        MismatchError: number or shapes differ: which variable wants what. Nothing has changed.
        UnsupportedError: the layer is not built.
        TypeError: a value is no numbers. Nothing has changed.
    """
    values = list(weights)
    if values:
        require_built(layer, "variables to set")
    lines = [
        line
        for variable, value in zip_longest(layer.weights, values)
        if (line := _disagreement(variable, value)) is not None
    ]
    if lines:
        raise MismatchError(
            f"set_weights() of {layer.name!r}: {len(values)} values for {len(layer.weights)} "
            "variables",
            mismatches=lines,
        )
    arrays = [
        keras.ops.convert_to_tensor(value, dtype=variable.dtype)
        for variable, value in zip(layer.weights, values, strict=True)
    ]
    for variable, array in zip(layer.weights, arrays, strict=True):
        give_value(variable, array)


def _disagreement(variable: Any, value: Any) -> str | None:
    if variable is None:
        return f"no variable for a value of shape {np.shape(value)}"
    wanted = tuple(variable.shape)
    if value is None:
        return f"no value for {variable.path}, shape {wanted}"
    if np.shape(value) != wanted:
        return f"{variable.path} has shape {wanted}, its value {np.shape(value)}"
    return None


def size_of(model: keras.Model) -> int:
    """Bytes of a model's variables, those of its optimizer included."""
    optimizer = getattr(model, "optimizer", None)
    found = [*model.weights, *(() if optimizer is None else optimizer.variables)]
    return sum(int(variable.value.nbytes) for variable in found)
