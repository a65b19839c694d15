"""Layers that are as those of Keras 2, where Keras 3's own of the same class are otherwise."""

from __future__ import annotations

from typing import Any

import keras

import hozon.keras_private.slopes  # noqa: F401 - its bends
from hozon.keras_private.assigned import keep_assignments, keeps_assignments
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import layers_inside, layers_of
from hozon.keras_private.lengths import keep_tiny, keeps_tiny
from hozon.keras_private.recurrent import prefer_own_states, prefers_own_states
from hozon.keras_private.resizing import resize_floats, resizes_floats
from hozon.keras_private.training import compile_config, enter_models, enters_model
from hozon.keras_private.variance import keep_unbiased_variance, keeps_unbiased_variance

#: Attribute of layers of which their file says whether they are frozen.
_SAYS = "file_says_whether_frozen"


def train_as_keras2(layer: keras.Layer) -> None:
    """Make a layer or model, and those in it, train as in Keras 2."""
    mark_as_keras2(layer)
    freeze_inside(layer)


def mark_as_keras2(layer: keras.Layer) -> None:
    """Mark a layer or model, and those in it, to train as in Keras 2; `freeze_inside` is for when
    they are built.
    """
    keep_assignments(layer)
    keep_unbiased_variance(layer)
    resize_floats(layer)
    prefer_own_states(layer)
    keep_tiny(layer)
    enter_models(layer)


def compares_otherwise(model: keras.Model) -> bool:
    """Whether a loss or metric that a model was compiled with is Keras 2's: of logits or angles."""
    given = compile_config(model) or {}
    found = [given.get(name) for name in ("loss", "metrics", "weighted_metrics")]
    names = [_name(item).lower().replace("_", "") for item in keras.tree.flatten(found)]
    return any(part in name for name in names for part in ("crossentropy", "bce", "cosine"))


def _name(objective: Any) -> str:
    """A loss's or metric's short name: of a string, a function or an object."""
    if isinstance(objective, str):
        return objective
    function = getattr(objective, "fn", objective)  # of a wrapper around one
    return str(getattr(function, "__name__", type(function).__name__))


def freeze_inside(layer: keras.Layer) -> None:
    """Freeze what frozen layers hold, variables and layers, as in Keras 2.

    In Keras 3 that happens where `trainable` is set, and not where a constructor takes it. What
    models of a graph hold says itself whether it is frozen. Where the file says that a layer inside
    is not, its variables alone are: a BatchNormalization goes on to learn what it is called on.
    """
    for outer in layers_of(layer):
        graph = isinstance(outer, keras.Sequential) or functional_of(outer) is not None
        # A class that never calls Keras' constructor, as one of the guide's, has no state to ask.
        if getattr(outer, "trainable", True) or graph:
            continue
        inside = [held for held in layers_inside(outer) if held.built and _SAYS in vars(held)]
        said = [(held, held.trainable) for held in inside]
        outer.trainable = False
        for held, trainable in said:
            held._trainable = trainable


def says_whether_frozen(layer: keras.Layer) -> None:
    """Note that the file says of this layer itself whether it is frozen, wherever it is held."""
    object.__setattr__(layer, _SAYS, True)


def trains_as_keras2(layer: keras.Layer) -> bool:
    """Whether this layer, those in it left aside, is marked so."""
    marks = (keeps_assignments, keeps_unbiased_variance, resizes_floats, enters_model)
    more = (prefers_own_states, keeps_tiny, freezes_variables_alone)
    return any(marked(layer) for marked in (*marks, *more))


def freezes_variables_alone(layer: keras.Layer) -> bool:
    """Whether what this layer holds is frozen, though it says itself that it trains."""
    return not getattr(layer, "trainable", True) and any(
        inside.trainable and not variable.trainable
        for inside in layers_inside(layer)
        for variable in inside._trainable_variables
    )
