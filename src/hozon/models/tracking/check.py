"""Whether everything that a program has would be found again in a file."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from hozon.errors import MismatchError
from hozon.keras_private.layers import direct_layers, layers_inside
from hozon.models.tracking.layers import is_builtin, own_variables
from hozon.models.tracking.leaves import KerasLeaf, TwoLeaves
from hozon.objects.tracking import Leaf, TrackedGraph, TrackedNode


def check_names(graph: TrackedGraph) -> None:
    """Refuse to save a graph in which variables or layers of a user's class have no name.

    Two things that would have the same name leave one of them without; so does a set of layers,
    which has neither order nor names.

    Raises:
        MismatchError: which ones, and in what.
    """
    own = [
        node
        for node in graph.nodes
        if isinstance(node.target, (keras.Layer, keras.Metric)) and not is_builtin(node.target)
    ]
    if not own:
        return
    variables = {id(v) for _, leaf in graph.leaves() for v in _variables(leaf)}
    objects = {id(node.target) for node in graph.nodes}
    problems = [line for node in own for line in _problems(node, variables, objects)]
    if problems:
        raise MismatchError(
            "not everything has a name of its own in the file: two things of one name, or layers "
            "in no attribute, list or dictionary",
            mismatches=problems,
        )


def awaits_build(layer: keras.Layer) -> bool:
    """Whether a layer or model has yet to make its variables.

    One whose constructor made them all may never be built.
    """
    if layer.built:
        return False
    below = layers_inside(layer)
    return not layer.weights or not all(sublayer.built for sublayer in below)


def _problems(node: TrackedNode, variables: set[int], objects: set[int]) -> Iterator[str]:
    layer, path = node.target, node.text or "root"
    for variable in own_variables(layer):
        if id(variable) not in variables:
            yield f"{path}: variable {variable.name!r}"
    for sublayer in direct_layers(layer):
        if id(sublayer) not in objects and sublayer.weights:
            yield f"{path}: layer {sublayer.name!r}"


def _variables(leaf: Leaf) -> list[keras.Variable]:
    if isinstance(leaf, TwoLeaves):
        return [leaf.first.variable, leaf.second.variable]
    return [leaf.variable] if isinstance(leaf, KerasLeaf) else []
