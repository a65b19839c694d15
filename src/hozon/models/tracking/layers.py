"""Models, layers and metrics as trackable objects, under the names of Keras 2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from hozon.keras_private.graph import Functional, filed_layers
from hozon.keras_private.layers import (
    direct_layers,
    layers_in_keras2,
    trainable_of,
    variables_of,
)
from hozon.models.tracking.adapted import has_weights, learned, older_names
from hozon.models.tracking.containers import contains
from hozon.models.tracking.leaves import KerasLeaf
from hozon.models.tracking.names import BOOKKEEPING, RENAMES, STORED_TYPES
from hozon.objects.tracking import Trackable, Virtual
from hozon.stored.dtypes import dtype_of_name

#: Attribute of a layer that stands for an object that was none, a ``tf.Module``: the types in files
#: of variables by name, where they are not their own.
OWN_TYPES = "stored_types"
#: Names that Keras 3 makes up for variables that were given none.
AUTOMATIC = re.compile(r"variable(_\d+)?")


def describe_layer(layer: keras.Layer) -> Trackable:
    """A layer, model or metric: layers of a model by position, weights by name, attributes."""
    renames = _entries(RENAMES, layer)
    types = {**_entries(STORED_TYPES, layer), **getattr(layer, OWN_TYPES, {})}
    children: dict[str, Any] = {}
    if isinstance(layer, (keras.Sequential, Functional)):
        children.update(numbered_layers(layer))
    aliases: dict[str, Any] = {}
    for variable in own_variables(layer):
        target = children if _by_name(layer, variable) else aliases
        stored = types.get(variable.name)
        child = variable if stored is None else retyped(layer, variable, stored)
        target[renames.get(variable.name, variable.name)] = child  # the last of a name has it
    for name, value in attributes(layer):
        edge = renames.get(name, name)
        if edge and not _is_kept(name, value, renames, children):
            stored = types.get(value.name) if isinstance(value, keras.Variable) else None
            children.setdefault(edge, value if stored is None else retyped(layer, value, stored))
    return Trackable(children | learned(layer), aliases=older_names(layer) | aliases)


def numbered_layers(model: keras.Model) -> dict[str, Any]:
    """``layer_with_weights-N`` and ``layer-N`` edges of a Functional or Sequential model.

    Operations that are no layers take numbers too, as Keras 2 makes layers of them. Those with
    weights come first: readers go by the order of edges, and only these numbers never shift.
    """
    edges: dict[str, Any] = {}
    layers = model.layers
    weighted = [layer for layer in layers if has_weights(layer)]
    for number, layer in enumerate(weighted):
        edges[f"layer_with_weights-{number}"] = layer
    steps = layers if isinstance(model, keras.Sequential) else model.operations
    for number, step in enumerate(steps):
        if isinstance(step, keras.Layer):
            edges[f"layer-{number}"] = step
    return edges


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """The variables of a layer or metric itself, without those of its sublayers."""
    return variables_of(layer)


def trainable_order(
    layer: keras.Layer, thawed: bool = False, filed: bool = False
) -> list[keras.Variable]:
    """A layer's trainable variables in the order of Keras 2: a model's own come last.

    With `thawed` also those of frozen layers; with `filed` in the order of the model's file.
    """
    if not (layer.trainable or thawed):
        return []
    inside = _layers_in_keras2(layer, filed)
    below = [v for sublayer in inside for v in trainable_order(sublayer, thawed, filed)]
    own = trainable_of(layer)
    ordered = [*below, *own] if isinstance(layer, keras.Model) else [*own, *below]
    return list({id(v): v for v in ordered if v.trainable or thawed}.values())


def _layers_in_keras2(layer: keras.Layer, filed: bool) -> list[keras.Layer]:
    if not isinstance(layer, (keras.Sequential, Functional)):
        return layers_in_keras2(layer)
    return filed_layers(layer) if filed and isinstance(layer, Functional) else direct_layers(layer)


def attributes(layer: keras.Layer) -> Iterator[tuple[str, Any]]:
    """(name, value) of the attributes that Keras 2 would track, in the order of assignment."""
    for name, value in vars(layer).items():
        if name in BOOKKEEPING or not contains(value):
            continue
        if isinstance(value, keras.random.SeedGenerator) and is_builtin(layer):
            continue  # Keras 2 keeps the generators of its own layers out of checkpoints
        yield name, value


def is_builtin(layer: keras.Layer) -> bool:
    """Whether the class is Keras' own."""
    return type(layer).__module__.startswith("keras.")


def retyped(layer: keras.Layer, variable: keras.Variable, dtype: str) -> Virtual:
    """A variable that is stored in another type."""
    leaf = KerasLeaf(variable, dtype_of_name(dtype))
    return Virtual(layer, variable.name, Trackable(leaf=leaf))


def _entries(table: Mapping[str, Mapping[str, str]], layer: keras.Layer) -> Mapping[str, str]:
    """The row of the nearest class of Keras, or of ours in its place, that a table has."""
    rows = (
        table.get(kind.__name__)
        for kind in type(layer).__mro__
        if kind.__module__.startswith(("keras.", "hozon."))
    )
    return next((row for row in rows if row is not None), {})


def _by_name(layer: keras.Layer, variable: keras.Variable) -> bool:
    """Whether the variable came from `add_weight`, which files name it after.

    One made by the class itself, ``self.v = keras.Variable(...)``, goes by its attribute; those of
    `add_weight` are in the name scope of their layer. So do those of an object that was no layer
    when it was saved.
    """
    if AUTOMATIC.fullmatch(variable.name) or hasattr(layer, OWN_TYPES):
        return False
    if isinstance(layer, keras.Metric):
        return True
    return bool(variable.path.split("/")[-2:-1] == [getattr(layer, "name", None)])


def _is_kept(
    name: str, value: Any, renames: Mapping[str, str], children: Mapping[str, Any]
) -> bool:
    """Whether an attribute holds a variable that has an edge by its own name.

    A class of the user has an edge for the attribute too, as in Keras 2, unless it is private.
    """
    if not isinstance(value, keras.Variable):
        return False
    child = children.get(renames.get(value.name, value.name))
    if isinstance(child, Virtual):
        leaf = child.trackable.leaf
        return isinstance(leaf, KerasLeaf) and leaf.variable is value
    return child is value and name.startswith("_")
