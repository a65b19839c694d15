"""Optimizers that a class of the user's holds under names of its own, beside the compiled one.

They exist once the class's own ``compile`` was called; until then their state waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import keras

from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import MismatchError
from hozon.formats.protos.object_graph import UserObject
from hozon.models.assignment import Assignment
from hozon.models.assignment.optimizer import pair_state
from hozon.models.assignment.owners import is_yet_to_come
from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.models.savedmodel.load.optimizers import SavedOptimizer
from hozon.models.savedmodel.load.weights import Assigner
from hozon.models.tracking import Describer
from hozon.models.waiting import Waiting, wait, wait_for_build
from hozon.objects.tracking import TrackedGraph, track

OPTIMIZERS = ("experimentalOptimizer", "optimizer")
OWN = "optimizer"


def saved_optimizers(artifact: SavedModel, node: int) -> Iterator[tuple[str, int]]:
    """The optimizers that a saved object holds, the compiled one aside: name and node."""
    graph = artifact.meta_graph.object_graph
    for edge in graph.nodes[node].children if graph else ():
        payload = graph.nodes[edge.node].payload if graph else None
        if isinstance(payload, UserObject) and payload.identifier in OPTIMIZERS:
            if edge.name.lstrip("_") != OWN:
                yield edge.name, edge.node


# By the object graph of Keras 2


def pair_own(
    objects: KerasObjects,
    layers: Iterable[tuple[int, Any]],
    assigner: Assigner,
    assignment: Assignment,
) -> None:
    """Optimizers of live objects, `layers` by node, with their state or to wait for it."""
    for at, layer in layers:
        states = {
            name: _by_graph(SavedOptimizer(objects, node, assigner.variables), name)
            for name, node in saved_optimizers(objects.artifact, at)
        }
        _give(layer, states, assignment, str(objects.artifact.path))


def _by_graph(saved: SavedOptimizer, name: str) -> Waiting:
    def match(optimizer: keras.optimizers.Optimizer, assignment: Assignment) -> None:
        pair_state(optimizer, saved.state(optimizer), assignment, name)

    return Waiting(name, match, tuple(saved.keys()))


# By the keys that tracking gives again


def wait_for_own(
    artifact: SavedModel, tracked: TrackedGraph, stored: list[str], assignment: Assignment
) -> None:
    """Let what a file of Hozon's holds of optimizers that do not exist yet wait for them."""
    for node in tracked.nodes:
        if not isinstance(node.target, keras.Model):
            continue
        at = _node_of(artifact, node.path)
        if at is None:
            continue
        states = {}
        for name, _ in saved_optimizers(artifact, at):
            place = f"{node.text}/{name}/".lstrip("/")
            keys = [key for key in stored if key.startswith(place)]
            if is_yet_to_come(node.target, name) and keys:
                match = partial(_match_keys, artifact, node.target, place, keys)
                states[name] = Waiting(place.rstrip("/"), match, tuple(keys))
        if states:
            wait(node.target, states, assignment, str(artifact.path))


def is_optimizer_of_root(artifact: SavedModel, path: tuple[str, ...]) -> bool:
    """Whether the object that a path of edges leads to was compiled with the root's optimizer."""
    found = [_node_of(artifact, (*start, OWN)) for start in ((), path)]
    return found[0] is not None and found[0] == found[1]


def _node_of(artifact: SavedModel, path: tuple[str, ...]) -> int | None:
    """The saved object that a path of edges leads to."""
    graph, at = artifact.meta_graph.object_graph, 0
    for name in path:
        edges = {edge.name: edge.node for edge in graph.nodes[at].children} if graph else {}
        if name not in edges:
            return None
        at = edges[name]
    return at


def _match_keys(
    artifact: SavedModel,
    model: keras.Model,
    place: str,
    keys: list[str],
    optimizer: keras.optimizers.Optimizer,
    assignment: Assignment,
) -> None:
    bundle: Any = artifact.bundle
    live = {place + key: leaf for key, leaf in _tracked(model, optimizer).leaves()}
    if live.keys() != set(keys):
        raise MismatchError(
            "the file holds the state of another optimizer",
            mismatches=[
                *(f"no stored value for {key}" for key in live if key not in keys),
                *(f"no variable for the stored {key}" for key in keys if key not in live),
            ],
            file=str(artifact.path),
        )
    for key, leaf in live.items():
        assignment.pair(leaf, bundle[key], key)


def _tracked(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> TrackedGraph:
    return track(optimizer, Describer(model))


def _give(
    layer: keras.Layer, states: dict[str, Waiting], assignment: Assignment, file: str
) -> None:
    """Pair the state of optimizers that are there; let the rest wait."""
    waiting = {}
    for name, state in states.items():
        live = getattr(layer, name, None)
        if is_yet_to_come(layer, name):
            waiting[name] = state
        elif not isinstance(live, keras.optimizers.Optimizer):
            assignment.leave(f"{name}: the model has no such optimizer", *state.names)
        elif live.built:
            state.match(live, assignment)
        else:
            wait_for_build(live, state, assignment, file)
    if waiting:
        wait(layer, waiting, assignment, file)
