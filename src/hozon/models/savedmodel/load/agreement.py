"""Whether a model built from its config computes what its saved function does."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hozon.errors import HozonError
from hozon.graph_level.structures import flatten
from hozon.keras_private.graph import functional_of, input_structure
from hozon.models.savedmodel.load.graph_layers import SavedCall
from hozon.stored.dtypes import dtype_of_name

#: Sizes that are free: of the batch, and of other axes.
BATCH, FREE = 2, 8
#: The largest difference, as a part of the largest value, of models of 32 bits and of 16.
NEAR, HALF = 1e-3, 5e-2


def agrees(model: keras.Model, call: SavedCall) -> bool:
    """Whether a built functional model gives what its saved function gives, on made up numbers.

    False as well where that cannot be tried: for text, or sizes that do not go together.
    """
    functional = functional_of(model)
    if functional is None or not call.exists:
        return False
    if any(tensor.dtype == "string" for tensor in functional.inputs):
        return False
    random = np.random.default_rng(0)
    inputs = keras.tree.map_structure(lambda t: _sample(t, random), input_structure(functional))
    try:
        saved, _ = call((inputs,), {}, training=False)
        live = model(inputs, training=False)
    except (HozonError, ValueError, TypeError):
        return False
    pairs = list(zip(keras.tree.flatten(live), flatten(saved), strict=False))
    return all(_near(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _sample(tensor: keras.KerasTensor, random: np.random.Generator) -> Any:
    first, *rest = tensor.shape or (None,)
    shape = (first or BATCH, *(size or FREE for size in rest)) if tensor.shape else ()
    kind = dtype_of_name(tensor.dtype).numpy
    if kind.kind in "iub":
        return random.integers(0, 2, shape).astype(kind)
    return random.normal(size=shape).astype(kind)


def _near(live: np.ndarray[Any, Any], saved: np.ndarray[Any, Any]) -> bool:
    if live.shape != saved.shape:
        return False
    if live.dtype.kind in "biuSU":
        return bool((live == saved).all())
    a, b = live.astype("float64"), saved.astype("float64")
    part = NEAR if live.dtype.itemsize >= 4 else HALF
    return bool(np.allclose(a, b, rtol=0, atol=part * max(1.0, float(np.abs(b).max(initial=0)))))
