"""The variables of objects that have a class get their stored values, object by object."""

from __future__ import annotations

from typing import Any

import keras

from hozon.errors import MismatchError
from hozon.keras_private.keras2_training import freeze_inside, says_whether_frozen
from hozon.keras_private.layers import keep_states, states_of
from hozon.models.assignment import finalize_layers
from hozon.models.savedmodel.load.objects import KerasNode
from hozon.models.savedmodel.load.own_class import (
    build,
    is_own,
    layers_of_model,
    pair,
    required_arguments,
)
from hozon.models.savedmodel.load.revival import GivenClassError, Revival

#: Attributes by which Keras' wrappers hold layers.
WRAPPED = ("layer", "forward_layer", "backward_layer")


def assign_model(revival: Revival, root: KerasNode, model: keras.Model) -> None:
    """A model, layer by layer."""
    if is_own(model):
        assign_own(revival, root, model)
        return
    revival.add_object(root, model)
    for node, layer in layers_of_model(revival.objects, root.node, model):
        if layer is None:
            revival.report.lost.append(f"{node.path}: no layer {node.name!r} in the model")
            continue
        assign_object(revival, node, layer)


def assign_object(revival: Revival, node: KerasNode, layer: keras.layers.Layer) -> None:
    """The weights of a layer, those of nested models layer by layer."""
    if node.node in revival.layers:
        return
    is_model = isinstance(layer, keras.Model) and node.is_model
    if is_model and any(revival.objects.layers(node.node)):
        assign_model(revival, node, layer)
    elif is_own(layer):
        assign_own(revival, node, layer)
    else:
        _assign_builtin(revival, node, layer)


def _assign_builtin(revival: Revival, node: KerasNode, layer: keras.layers.Layer) -> None:
    build_for(revival, node, layer)
    revival.add_object(node, layer)
    if revival.adapted.restore(node.node, layer):
        revival.taken |= {id(v) for v in layer.weights}
        revival.learned.update(revival.objects.weights(node.node))
    else:
        revival.assigner.assign_layer(node.node, layer, node.path)
        _assign_states(revival, node.node, layer, node.path)
        finalize_layers(layer)


def _assign_states(revival: Revival, at: int, layer: keras.Layer, path: str) -> None:
    """What stateful RNNs had kept from the last call, those inside of wrappers too."""
    for name, child in revival.objects.children(at).items():
        inside = getattr(layer, name, None) if name in WRAPPED else None
        if isinstance(inside, keras.layers.Layer):
            _assign_states(revival, child, inside, f"{path}.{name}")
    for node, state in zip(revival.objects.states(at), states_of(layer), strict=False):
        revival.assigner.assign(node, state, path)
    keep_states(layer)


def assign_own(revival: Revival, node: KerasNode, layer: keras.Layer) -> None:
    """The variables of an object of the caller's class, by the object graph.

    Raises MismatchError where the class has other variables, or another call, than the file.
    """
    if not layer.built:
        revival.adapted.restore_vocabularies(node, layer)
        build(layer, node, revival.saved_call(node), revival.objects.batch_of_states)
    found = pair(revival.objects, node, layer)
    for saved, live in found.layers:
        set_trainable(saved, live)
    freeze_inside(layer)
    for saved, live in found.layers:
        if not is_own(live):
            assign_object(revival, saved, live)
        elif saved.node not in revival.layers:
            revival.add_object(saved, live)
    for at, variable in found.variables:
        if at not in revival.assigner.variables:
            revival.assigner.assign(at, variable, node.path)
    _require_own(revival, node, layer)


def _require_own(revival: Revival, node: KerasNode, layer: keras.Layer) -> None:
    """Every variable of a class of the caller's has its value, every stored one its place."""
    left = [
        f"stored {saved.name} {saved.shape.dims} has no place in it"
        for at in revival.objects.weights(node.node)
        if at not in revival.assigner.variables
        and at not in revival.learned
        and (saved := revival.objects.variable(at))
    ]
    left += without_value(revival, layer)
    if left:
        reason = MismatchError(
            f"{node.path}: the class {type(layer).__name__} does not fit what is stored of "
            f"{node.class_name}",
            file=str(revival.artifact.path),
            mismatches=left,
        )
        raise GivenClassError(reason) if revival.is_given(node.class_name) else reason


def without_value(revival: Revival, layer: keras.Layer) -> list[str]:
    """The weights of a layer or model that were given none, a line each."""
    given = {id(v) for v in revival.assigner.variables.values()} | revival.taken
    return [
        f"nothing is stored for its {v.path} {tuple(v.shape)}"
        for v in layer.weights
        if id(v) not in given
    ]


def set_trainable(node: KerasNode, layer: keras.layers.Layer) -> None:
    """Freeze or thaw a layer as it was; one that holds others hands it on to them."""
    trainable = node.metadata.get("trainable")
    if isinstance(trainable, bool):
        says_whether_frozen(layer)
        if layer.trainable is not trainable:
            layer.trainable = trainable


def build_for(revival: Revival, node: KerasNode, layer: keras.layers.Layer) -> None:
    """Build a layer for the input shape that was saved with it; where it has none, or asks for the
    shapes of several arguments, for what it was called on.
    """
    shape = node.metadata.get("build_input_shape")
    if layer.built:
        return
    if shape is not None and len(required_arguments(layer.build)) == 1:
        found = _shape(shape)
        if isinstance(found, list) and isinstance(layer, keras.layers.RNN):
            found = found[0]  # the others are of the states that it begins with
        layer.build(found)
    elif revival.objects.weights(node.node):
        build(layer, node, revival.saved_call(node), revival.objects.batch_of_states)


def _shape(value: Any) -> Any:
    """A saved input shape: a list of sizes, or a structure of such lists."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        return [_shape(item) for item in value]
    return tuple(value)
