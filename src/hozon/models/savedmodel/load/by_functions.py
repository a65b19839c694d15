"""The third rung: a layer or model of a class made on the fly that runs its saved functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from hozon.config.overwritten import ENDS
from hozon.config.upgrade import output_names, short_name
from hozon.errors import MissingObjectError, UnsupportedError
from hozon.keras_private.compiled import name_outputs
from hozon.keras_private.keras2_training import freeze_inside
from hozon.keras_private.layers import layers_of, take_anything
from hozon.keras_private.values import deferred_initializers
from hozon.models.savedmodel.load.assigning import set_trainable
from hozon.models.savedmodel.load.composites import with_composites
from hozon.models.savedmodel.load.graph_layers import (
    GraphLayer,
    GraphModel,
    SavedActivityLoss,
    SavedPenalty,
    graph_class,
)
from hozon.models.savedmodel.load.masks import passes_mask
from hozon.models.savedmodel.load.objects import KerasNode
from hozon.models.savedmodel.load.revival import Revival
from hozon.models.savedmodel.load.signature_model import signature_model

#: Makes a live layer of a saved one by whichever rung holds; None for one that does nothing.
Sublayer = Callable[[KerasNode], keras.Layer | None]


def model_by_functions(revival: Revival, root: KerasNode, sublayer: Sublayer) -> keras.Model:
    """The root from its saved functions, or where it has none from its signatures.

    Raises MissingObjectError or UnsupportedError where the file has neither.
    """
    call = revival.saved_call(root)
    if not call.exists:
        _require_signature(revival, root)
        return signature_model(revival.artifact, root.name, revival.report)
    return with_composites(graph_object(revival, root, sublayer), call.input_specs())


def _require_signature(revival: Revival, root: KerasNode) -> None:
    """A model without functions and classes is only its signatures, where it has some."""
    artifact, init = revival.artifact, "__saved_model_init_op"
    if any(name != init for name in artifact.meta_graph.signatures):
        return
    if revival.needed is not None:
        raise MissingObjectError(
            f"{artifact.path} was saved without the functions of its model, so it needs "
            "the classes",
            names=revival.needed.names,
        )
    raise UnsupportedError(
        f"{artifact.path} was saved without the functions of its model, and its class "
        f"{root.class_name!r} has no config to build it from; make the model by its own code "
        "and load the weights"
    )


def does_nothing(revival: Revival, node: KerasNode) -> bool:
    """Whether an object has neither functions nor variables."""
    return not revival.saved_call(node).exists and not revival.objects.weights(node.node)


def graph_object(revival: Revival, node: KerasNode, sublayer: Sublayer) -> keras.Layer:
    """A layer or model that runs its saved functions and owns its variables."""
    base = GraphModel if node.is_model else GraphLayer
    made = graph_class(base, node.class_name)(name=_valid_name(node.name))
    made.saved_call = revival.saved_call(node)
    made.call_metrics = revival.metrics
    made.saved_config = node.config
    if made.saved_call.of_outputs is not None:
        made.activity_regularizer = SavedActivityLoss(made.saved_call.of_outputs)
    ends = output_names(node.config or {}) if node.is_model else []
    if len(ends) > 1:
        name_outputs(made, ends)
    made.supports_masking = True
    made.passes_mask = passes_mask(
        revival.objects, node, lambda other: revival.saved_call(other).takes_mask
    )
    if made.saved_call.takes_strings:
        take_anything(made)
    revival.layers[node.node] = made
    revival.report.add_object(node.path, node.class_name, "saved functions")
    _add_sublayers(revival, node, made, sublayer)
    _add_variables(revival, node, made)
    added = [n.node for n in revival.objects.layers(node.node) if short_name(n.class_name) in ENDS]
    for at in (node.node, *added):  # the metrics that its call updates
        for name, metric in revival.metrics.of(at).items():
            _set_attribute(made, f"metric_{name}", metric)
    _add_penalties(revival, node)
    _tell_constraints(revival, node)
    _freeze(revival, made)
    made.built = True
    return made


def _freeze(revival: Revival, made: keras.Layer) -> None:
    """Freeze a layer and those in it as they were, outer ones first."""
    below = {id(layer): node for node, layer in revival.layers.items()}
    for layer in layers_of(made):
        node = revival.objects.nodes.get(below.get(id(layer), -1))
        if node is not None:
            set_trainable(node, layer)
    freeze_inside(made)


def _add_sublayers(
    revival: Revival, node: KerasNode, made: keras.Layer, sublayer: Sublayer
) -> None:
    for name, child in revival.objects.attributes(node.node).items():
        value = _attribute(revival, child, sublayer)
        if value is not None:
            _set_attribute(made, name, value)
    for inner in revival.objects.layers(node.node):  # those of a graph
        if inner.is_input or short_name(inner.class_name) in ENDS:
            continue
        layer = revival.layers.get(inner.node) or sublayer(inner)
        if layer is not None:
            _set_attribute(made, f"layer_{inner.name}", layer)


def _attribute(revival: Revival, at: int, sublayer: Sublayer) -> Any:
    """A sublayer, or a list or dictionary of them, as a live attribute; None for the rest."""
    objects = revival.objects
    node = objects.nodes.get(at)
    if node is not None and node.is_layer:
        return revival.layers.get(at) or sublayer(node)
    if node is None and objects.is_list(at):
        items = [_attribute(revival, item, sublayer) for item in objects.items(at)]
        return items if any(item is not None for item in items) else None
    if node is None and objects.is_dictionary(at):
        held = {
            key: _attribute(revival, item, sublayer) for key, item in objects.children(at).items()
        }
        return {key: item for key, item in held.items() if item is not None} or None
    return None


def _add_variables(revival: Revival, node: KerasNode, made: keras.Layer) -> None:
    """Keras variables for the saved ones that no sublayer has taken."""
    frozen = revival.objects.frozen(node.node)
    for at in revival.objects.weights(node.node):
        if at not in revival.assigner.variables:
            _new_variable(revival, at, made, node.path)
        if at in frozen and at in revival.assigner.variables:
            revival.assigner.variables[at].trainable = False


def _new_variable(revival: Revival, at: int, owner: Any, path: str) -> None:
    saved = revival.objects.variable(at)
    stored = None if saved is None else revival.artifact.variable_value(at, saved)
    if saved is None or stored is None:
        return
    with deferred_initializers():
        variable = owner.add_weight(
            shape=stored.shape,
            dtype=stored.dtype.name,
            initializer="zeros",
            trainable=saved.trainable,
            name=_last(saved.name),
            autocast=False,
        )
    revival.assigner.assign(at, variable, path)


def _add_penalties(revival: Revival, node: KerasNode) -> None:
    """The penalties of a layer's own weights, which no config makes."""
    for variable, function in revival.objects.penalties(node.node):
        live = revival.assigner.variables.get(variable)
        if live is not None and live.regularizer is None:
            live.regularizer = SavedPenalty(revival.loader.object(function))


def _tell_constraints(revival: Revival, node: KerasNode) -> None:
    """A constraint is in no saved function: without its class it is lost."""
    for key, value in (node.config or {}).items():
        if key.endswith("_constraint") and value is not None:
            revival.report.lost.append(f"{node.path}: {key} is not applied without its class")


def _set_attribute(target: Any, name: str, value: Any) -> None:
    """Set an attribute under its saved name, unless Keras uses that name itself."""
    if not name.isidentifier() or hasattr(type(target), name):
        name = f"saved_{name}"
    if name.isidentifier():
        setattr(target, name, value)


def _valid_name(name: str) -> str | None:
    return name.replace("/", "_") or None


def _last(name: str) -> str:
    return name.split(":")[0].rsplit("/", 1)[-1] or "variable"
