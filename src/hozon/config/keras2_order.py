"""The order in which TensorFlow's Keras holds the layers of a functional model.

It is that of the model's graph, seen from the outputs, and files number weights by it. tf_keras
sorts layers by their depth, then as a walk from the outputs meets them, which goes through a call's
first argument and then through the named ones as they are written; within an argument, as among the
outputs, dictionaries are taken in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from hozon.config.entries import counts_from_one, name_of
from hozon.config.nodes import CONSTANT, Key, keys_in
from hozon.keras_private.graph import functional_of
from hozon.typing import Config, ConfigEntry

Node = tuple[str, int]


def layer_orders(model: keras.Model, written: ConfigEntry) -> dict[int, list[str]]:
    """The names of layers in a written config, for each model, by identity, in a live one."""
    return {
        id(live): list(map(name_of, config["layers"])) for live, config in _models(model, written)
    }


def _models(model: Any, written: ConfigEntry) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Live functional models, those inside of others too, with their written configs."""
    config = written.get("config")
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        return
    if not isinstance(model, keras.Model):
        return
    if functional_of(model) is not None and "output_layers" in config:
        yield model, config
    live = {layer.name: layer for layer in model.layers}
    for entry in config["layers"]:
        yield from _models(live.get(name_of(entry)), entry)


def order_of_layers(config: ConfigEntry) -> list[str]:
    """The names of a functional model's layers, from its config in Keras 2's dialect, in order."""
    walk = _Walk(config["layers"])
    for key in keys_in(_by_keys(config["output_layers"])):
        walk.visit(key)
    depths: dict[Node, int] = {}
    layers: dict[str, int] = {}
    for node in reversed(walk.nodes):
        depth = max(depths.get(node, 0), layers.get(node[0], 0))
        layers[node[0]] = depths[node] = depth
        for parent in walk.parents(node):
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    return sorted(layers, key=lambda name: (-layers[name], walk.met[name]))


def in_order(config: Config) -> dict[str, Any]:
    """A functional model's config in Keras 2's dialect, its layers as tf_keras would hold them."""
    places = {name: i for i, name in enumerate(order_of_layers(config))}

    def place(entry: Mapping[str, Any]) -> int:
        """What no output needs, for losses that were added, is last; inputs are first."""
        rest = -1 if entry.get("class_name") == "InputLayer" else len(places)
        return places.get(name_of(entry), rest)

    return {**config, "layers": sorted(config["layers"], key=place)}


class _Walk:
    """The calls that lead to a model's outputs, each after those that it reads from."""

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self.nodes: list[Node] = []
        self.met: dict[str, int] = {}
        self._seen: set[Node] = set()
        self._calls = {
            (name_of(entry), number + (counts_from_one(entry) if "layers" in config else 0)): call
            for entry in entries
            for config in [entry.get("config") or {}]
            for number, call in enumerate(entry.get("inbound_nodes") or [])
        }

    def parents(self, node: Node) -> list[Node]:
        """The calls that one reads from, in the order of its arguments."""
        return [(name, number) for name, number, _ in _ordered(self._calls.get(node))]

    def visit(self, key: Key) -> None:
        """Walk back from a tensor; without recursion, as graphs are deep."""
        stack: list[tuple[Node, Iterator[Node]]] = []
        self._enter(key[:2], stack)
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                self.nodes.append(node)
                stack.pop()
            else:
                self._enter(following, stack)

    def _enter(self, node: Node, stack: list[tuple[Node, Iterator[Node]]]) -> None:
        if node not in self._seen:
            self._seen.add(node)
            self.met.setdefault(node[0], len(self.met))
            stack.append((node, iter(self.parents(node))))


def _ordered(call: Any) -> list[Key]:
    """The tensors of a written call: of the first argument, then of the named ones.

    Each tensor of the first argument has the named ones beside it, which count once.
    """
    first, named = _split(call)
    arguments = named.values() if isinstance(named, Mapping) else ()
    return [*first, *(key for value in arguments for key in keys_in(_by_keys(value)))]


def _by_keys(value: Any) -> Any:
    """A structure with its dictionaries in the order of their keys, as tf_keras flattens it."""
    if isinstance(value, Mapping):
        return {name: _by_keys(value[name]) for name in sorted(value)}
    return [_by_keys(item) for item in value] if isinstance(value, (list, tuple)) else value


def _split(call: Any) -> tuple[list[Key], Any]:
    """The tensors of a call's first argument, and its named arguments."""
    if isinstance(call, Mapping):
        parts = [_split(call[name]) for name in sorted(call)]
    elif isinstance(call, (list, tuple)) and call and isinstance(call[0], str):
        own = [] if call[0] == CONSTANT else [(call[0], call[1], call[2])]
        return own, call[3] if len(call) > 3 else None
    elif isinstance(call, (list, tuple)):
        parts = [_split(item) for item in call]
    else:
        return [], None
    named = next((named for _, named in parts if named), None)
    return [key for keys, _ in parts for key in keys], named
