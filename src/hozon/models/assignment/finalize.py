"""What layers and optimizers derive from their variables, made anew once these are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from hozon.keras_private.layers import build_shapes, layers_of
from hozon.models.assignment.momenta import follow_product


def _finalize(layer: keras.layers.Layer) -> None:
    """Keras computes with constants that it makes of the adapted variables, or of what was given.

    Those that it made while a model around was traced do not outlive the trace.
    """
    shapes = build_shapes(layer)
    if layer.input_mean is not None and shapes:
        layer.build(next(iter(shapes.values())))
    layer.finalize_state()


def _bins(layer: keras.layers.Layer) -> None:
    """Boundaries are made of the summary of the data, where there is one."""
    if layer.num_bins is not None and layer.summary is not None and np.size(layer.summary):
        layer.finalize_state()


#: For each class that keeps more than variables: what makes the rest of them.
DERIVED: Mapping[type, Callable[[keras.layers.Layer], None]] = {
    keras.layers.Normalization: _finalize,
    keras.layers.Discretization: _bins,
    keras.optimizers.Nadam: follow_product,
    keras.optimizers.LossScaleOptimizer: follow_product,
}


def is_derived(target: Any) -> bool:
    """Whether an object derives something from its variables."""
    return isinstance(target, tuple(DERIVED))


def finalize_layers(root: Any) -> None:
    """Settle a layer or model and all layers inside of it, at any depth.

    What a model has compiled holds what they derived before, and is made anew.
    """
    for layer in layers_of(root):
        finalize_layer(layer)
    compile_again(root)


def compile_again(model: Any) -> None:
    """Make what a model has compiled anew, where layers in it derive something.

    In place of each function that is there: training may be going on.
    """
    if not isinstance(model, keras.Model) or not any(map(is_derived, layers_of(model))):
        return
    for name in ("train", "test", "predict"):
        if getattr(model, f"{name}_function", None) is not None:
            getattr(model, f"make_{name}_function")(force=True)


def finalize_layer(layer: keras.Layer) -> None:
    """Settle one layer, those inside of it aside."""
    for kind, derive in DERIVED.items():
        if isinstance(layer, kind):
            derive(layer)
