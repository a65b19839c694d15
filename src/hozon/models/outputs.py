"""The outputs of models whose class does not say them: what their call gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.outputs import NONE, Outputs, outputs_of
from hozon.graphs.emit.trace import ArgumentSpec
from hozon.keras_private.compiled import name_outputs, name_outputs_once_called
from hozon.keras_private.layers import layers_of, losses_kept
from hozon.models.savedmodel.save.specs import CallSpec, layer_spec


def compiled_outputs(model: keras.Model, *, of_keras3: bool = False) -> Outputs:
    """The outputs that a training configuration of Keras 2 is told by.

    Those of a subclassed model are known from a trace of its call, by the names that Keras 2 gave
    them, ``output_1`` and so on, which its logs have then, unless it is a model `of_keras3` in
    Keras 2's dialect; none where the call cannot be traced, or where it has yet to be built.
    """
    known = outputs_of(model)
    if known.names:
        return known
    spec = layer_spec(model) if model.built else None
    found = NONE if spec is None else _called(model, spec)
    if of_keras3:
        return found
    if not found.names:
        name_outputs_once_called(model)
    elif len(found.names) > 1:
        name_outputs(model, found.names)
    return found


def _called(model: keras.Model, spec: CallSpec) -> Outputs:
    def symbol(leaf: Any) -> Any:
        if not isinstance(leaf, ArgumentSpec):
            return leaf
        shape = tuple(size if isinstance(size, int) else None for size in leaf.shape)
        return keras.KerasTensor(shape, leaf.dtype, name=leaf.name)

    arguments, keywords = keras.tree.map_structure(symbol, (spec.arguments, dict(spec.keywords)))
    try:
        with losses_kept(layers_of(model)):
            given = model.compute_output_spec(*arguments, **keywords)
    except (TypeError, ValueError, NotImplementedError):
        return NONE  # it trains eagerly, or not at all
    if isinstance(given, keras.KerasTensor):
        return Outputs(("output_1",))
    if not isinstance(given, (Mapping, list, tuple)):
        return NONE
    values = list(given.values()) if isinstance(given, Mapping) else given
    if not all(isinstance(value, keras.KerasTensor) for value in values):
        return NONE
    if isinstance(given, Mapping):
        keys = tuple(sorted(given))
        return Outputs(keys, keys)
    return Outputs(tuple(f"output_{i + 1}" for i in range(len(given))))
