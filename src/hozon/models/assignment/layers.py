"""The layers that make up a model as H5 files see it, and their variables in that order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import keras

from hozon.keras_private.graph import Functional, filed_layers
from hozon.keras_private.layers import variables_of
from hozon.models.tracking.layers import is_builtin

Variables = list[keras.Variable]


def top_layers(target: Any) -> list[keras.Layer]:
    """The layers that a file has groups for: a model's, or a layer itself."""
    return list(target.layers) if isinstance(target, keras.Model) else [target]


def weights_of(layer: keras.Layer) -> Variables:
    """A layer's variables as Keras writes them: trainable ones first, no seeds."""
    return unique([*layer.trainable_weights, *layer.non_trainable_weights])


def written_layers(target: Any) -> list[keras.Layer]:
    """`top_layers` in the order of the file that is being written."""
    return filed_layers(target) if isinstance(target, keras.Model) else [target]


def weights_in(
    layer: keras.Layer, thawed: Collection[int] = (), *, keras3: bool = False
) -> Variables:
    """`weights_of` in the order of a Keras' files, which number them; TensorFlow's unless `keras3`.

    Models inside have the order of the file that is being written. `thawed` are variables, by id,
    that stand where they would if they were not frozen.
    """
    order = unique([*_filed_variables(layer, keras3), *layer.weights])
    place = {id(v): i for i, v in enumerate(order)}
    first = {*map(id, layer.trainable_weights), *thawed}
    variables = unique([*layer.trainable_weights, *layer.non_trainable_weights])
    return sorted(variables, key=lambda v: (id(v) not in first, place[id(v)]))


def own_class(layer: keras.Layer) -> bool:
    """Whether a layer or model of the user's class says itself what it computes.

    What only stands for a model's own variables is no layer.
    """
    graph = isinstance(layer, (keras.Sequential, Functional))
    return isinstance(layer, keras.Layer) and not graph and not is_builtin(layer)


def _filed_variables(layer: keras.Layer, keras3: bool) -> Variables:
    graph = isinstance(layer, (keras.Sequential, Functional))
    if not graph and (keras3 or not own_class(layer)):
        return list(layer.weights)
    inside = [v for sublayer in filed_layers(layer) for v in _filed_variables(sublayer, keras3)]
    own = variables_of(layer)
    return [*inside, *own] if isinstance(layer, keras.Model) else [*own, *inside]


def own_weights(model: Any) -> Variables:
    """The variables that a model itself made, without those of its layers."""
    if not isinstance(model, keras.Model):
        return []
    below = {id(v) for layer in model.layers for v in layer.weights}
    kept = {id(v) for v in model.weights} - below
    return [v for v in variables_of(model) if id(v) in kept]


def owners(layer: keras.Layer) -> list[keras.Layer]:
    """The layers with variables in a layer: of a nested model its layers', else itself."""
    if isinstance(layer, keras.Model):
        found = [owner for sublayer in layer.layers for owner in owners(sublayer)]
        return list({id(owner): owner for owner in found}.values())
    inner = getattr(layer, "layer", None)
    if isinstance(layer, keras.layers.Wrapper) and isinstance(inner, keras.Model):
        return owners(inner)
    return [layer] if weights_of(layer) else []


def unique(variables: Iterable[keras.Variable]) -> Variables:
    """Each variable once, where it comes first."""
    return list({id(v): v for v in variables}.values())


def name_of(owner: Any, variable: keras.Variable) -> str:
    """The name of one variable: the path from the layer on that has it."""
    parts = str(variable.path).split("/")
    if owner.name in parts:
        return "/".join(parts[parts.index(owner.name) :])
    return f"{owner.name}/{variable.name}"
