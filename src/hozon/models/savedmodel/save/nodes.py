"""The live objects of a model as nodes of a SavedModel's object graph.

The tracked graph comes first, under the numbers that the checkpoint uses too; what only a
SavedModel has, functions and lists of variables, follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from hozon.config.entries import name_of
from hozon.config.masks import without_implied_masks
from hozon.config.serialization import serialize
from hozon.formats.protos.object_graph import (
    Payload,
    Resource,
    UserObject,
    Variable,
    Version,
)
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.graph_level.written import DICT, FIRST, LIST, PLAIN, ObjectNodes
from hozon.keras_private.graph import Functional
from hozon.keras_private.layers import metrics_of, states_of
from hozon.keras_private.training import training_metrics
from hozon.models.savedmodel.load.objects import KERAS_API
from hozon.models.savedmodel.save.metadata import identifier
from hozon.models.tracking import Describer
from hozon.models.tracking.layers import is_builtin
from hozon.models.tracking.leaves import KerasLeaf
from hozon.objects.tracking import Leaf, Trackable, TrackedGraph, TrackedNode, Virtual, track

OPTIMIZER = ("experimentalOptimizer", Version(2, 1))
#: Edge of the root to variables that no other edge leads to.
UNTRACKED = "untracked_variables"
NUMBERED = re.compile(r"layer-\d+")


class SavedModelDescriber:
    """What a SavedModel's graph has of each object: more than a checkpoint's.

    Operations of functional models are layers to Keras 2, so they have nodes; the states of seed
    generators and other variables that calls use must have nodes to be captured.
    """

    def __init__(
        self, model: keras.Model, *, optimizer: bool, extra: Sequence[keras.Variable] = ()
    ) -> None:
        self._model = model
        self._describe = Describer(model)
        self._optimizer = optimizer
        self._extra = list(extra)

    def __call__(self, target: Any) -> Trackable:
        """What is known of one object."""
        found = self._describe(target)
        if not isinstance(target, keras.Layer):
            return found
        children = {**_renumbered(found.children, target), **_more(target)}
        if target is self._model and self._extra:
            children[UNTRACKED] = self._extra
        if target is self._model and not self._optimizer:
            children.pop("optimizer", None)
        return Trackable(children, found.leaf, found.aliases, found.slots)


def track_for_savedmodel(
    model: keras.Model, variables: Iterable[keras.Variable], *, optimizer: bool
) -> TrackedGraph:
    """The tracked graph of a model, in which each of `variables` has a node.

    Not those of the metrics of training: TensorFlow would count them among the model's weights.
    """
    tracked = track(model, SavedModelDescriber(model, optimizer=optimizer))
    reached = {id(v) for node in tracked.nodes for v in _variables(node.trackable.leaf)}
    reached.update(id(v) for v in training_metrics(model))
    left = [v for v in variables if id(v) not in reached]
    if left:
        tracked = track(model, SavedModelDescriber(model, optimizer=optimizer, extra=left))
    return tracked


def _more(layer: keras.Layer) -> dict[str, Any]:
    """Edges of a layer that checkpoints do not have."""
    more: dict[str, Any] = {}
    if is_builtin(layer):
        more = {
            name: value
            for name, value in vars(layer).items()
            if isinstance(value, keras.random.SeedGenerator)
        }
    states = states_of(layer)
    if states:  # where Keras 2 keeps them: not among the attributes, which are weights
        more[KERAS_API] = Virtual(layer, KERAS_API, Trackable({"states": states}))
    held = {id(value) for value in vars(layer).values()}
    added = {f"metric_{m.name}": m for m in metrics_of(layer) if is_own(m) and id(m) not in held}
    return {**more, **added}


def _renumbered(children: Mapping[str, Any], layer: keras.Layer) -> dict[str, Any]:
    """The edges of a layer; a functional model's ``layer-N`` are those of the Keras 2 model."""
    if not isinstance(layer, Functional):
        return dict(children)
    kept = {name: child for name, child in children.items() if not NUMBERED.fullmatch(name)}
    masks = _implied_masks(layer)
    steps = [step for step in layer.operations if step.name not in masks]
    for number, step in enumerate(steps):
        own = isinstance(step, keras.Layer)
        kept[f"layer-{number}"] = step if own else Virtual(layer, step.name)
    return kept


def _implied_masks(model: keras.Model) -> set[str]:
    """The operations that only compute masks which Keras 2 carries without them."""
    if not any(type(step).__name__ == "NotEqual" for step in model.operations):
        return set()
    try:
        config = serialize(model)["config"]
        entries = config["layers"]
    except (NotImplementedError, TypeError, ValueError, KeyError):
        return set()  # of a class without a config, or with one that does not list layers
    kept = without_implied_masks(entries, config["output_layers"])
    return {name_of(entry) for entry in entries} - {name_of(entry) for entry in kept}


def _variables(leaf: Leaf | None) -> list[keras.Variable]:
    return [leaf.variable] if isinstance(leaf, KerasLeaf) else []


class Nodes(ObjectNodes):
    """The nodes of a model's object graph under construction."""

    def __init__(self, tracked: TrackedGraph) -> None:
        edges = ({edge.name: edge.node for edge in node.children} for node in tracked.nodes)
        super().__init__(map(_payload, tracked.nodes), edges)
        self.tracked = tracked
        self.positions = {
            id(variable): i
            for i, node in enumerate(tracked.nodes)
            for variable in _variables(node.trackable.leaf)
        }

    def position(self, variable: keras.Variable) -> int:
        """The node of a variable."""
        return self.positions[id(variable)]

    def variables(self, variables: Iterable[keras.Variable]) -> int:
        """Append a list of variables."""
        return self.list_of(self.position(v) for v in variables)


def _payload(node: TrackedNode) -> tuple[str, Payload | None]:
    leaf = node.trackable.leaf
    if leaf is not None:
        return "variable", variable_payload(leaf)
    if node.trackable.table is not None:
        return "resource", Resource("")
    return "user_object", _user_object(node)


def variable_payload(leaf: Leaf) -> Variable:
    """A variable as the object graph describes it."""
    live = leaf.variable if isinstance(leaf, KerasLeaf) else None
    trainable = bool(live.trainable) if live is not None else False
    return Variable(
        TypeNumber(leaf.dtype.number), Shape(leaf.shape), trainable, 0, 0, leaf.name, ""
    )


def _user_object(node: TrackedNode) -> UserObject:
    target = node.target
    if isinstance(target, keras.optimizers.Optimizer):
        name, version = OPTIMIZER
        return UserObject(name, version, "")
    if isinstance(target, keras.Layer) or (isinstance(target, keras.Metric) and is_own(target)):
        return UserObject(identifier(target), FIRST, "")
    if is_operation(target):
        return UserObject("_tf_keras_layer", FIRST, "")
    if isinstance(target, dict):
        return UserObject(DICT, FIRST, "")
    numbered = node.children and all(edge.name.isdigit() for edge in node.children)
    if isinstance(target, (list, tuple)) or (isinstance(target, Virtual) and numbered):
        return UserObject(LIST, FIRST, "")
    return UserObject(PLAIN, FIRST, "")


def is_own(metric: keras.Metric) -> bool:
    """Whether a metric is of one of Keras' own classes, which tf_keras has too."""
    return type(metric).__module__.startswith("keras.")


def is_operation(target: Any) -> bool:
    """Whether a node stands for an operation of a functional model."""
    return (
        isinstance(target, Virtual)
        and isinstance(target.owner, Functional)
        and any(
            step.name == target.name and not isinstance(step, keras.Layer)
            for step in target.owner.operations
        )
    )
