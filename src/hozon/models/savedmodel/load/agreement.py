"""Whether a model built from its config computes what its saved function does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from hozon.config.own_graphs import arguments_by_default, defaults_only
from hozon.errors import HozonError, MismatchError
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
    return functional_of(model) is not None and compared(model, call) is True


def require_told(model: keras.Model, call: Callable[[], SavedCall]) -> list[str]:
    """What is lost of a model whose class takes arguments that its config does not tell.

    Nothing where the model computes what the saved one did. `call` makes the saved function, which
    costs time and is seldom needed.

    Raises MismatchError where it computes something else.
    """
    untold = arguments_by_default(model)
    same = compared(model, call()) if untold else True
    if same is False:
        raise MismatchError(
            f"model {model.name!r} does not compute what the file does: give its class a "
            "get_config() and save the model again, make the model by its own code and call "
            "hozon.load_weights, or load the file without the class",
            mismatches=[f"the file does not tell {name}, which is the default" for name in untold],
        )
    return [] if same else defaults_only(model)


def compared(model: keras.Model, call: SavedCall) -> bool | None:
    """Whether a model gives what a saved function gives; None where that cannot be tried."""
    symbols = _inputs(model, call)
    if symbols is None or any(t.dtype == "string" for t in keras.tree.flatten(symbols)):
        return None
    random = np.random.default_rng(0)
    inputs = keras.tree.map_structure(lambda t: _sample(t, random), symbols)
    state = [(variable, variable.value) for variable in model.non_trainable_variables]
    try:
        saved, _ = call((inputs,), {}, training=False)
        live = model(inputs, training=False)
    except (HozonError, ValueError, TypeError):
        return None
    finally:
        for variable, value in state:
            variable.assign(value)
    pairs = list(zip(keras.tree.flatten(live), flatten(saved), strict=False))
    return all(_near(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _inputs(model: keras.Model, call: SavedCall) -> Any:
    """Symbols of what a model takes; None where it takes more than one argument, or nobody says."""
    if not call.exists:
        return None
    functional = functional_of(model)
    if functional is not None:
        return input_structure(functional)
    args, kwargs = call.symbolic_call() or ((), {})
    symbols = keras.tree.flatten((args[:1], args[1:], kwargs))
    rest = keras.tree.flatten((args[1:], kwargs))
    if len(symbols) == len(rest) or any(isinstance(x, keras.KerasTensor) for x in rest):
        return None
    return args[0]


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
