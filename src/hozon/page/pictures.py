"""Graphs as data that the page's script lays out, draws, folds and zooms.

A node is ``[name, kind, inputs]``: the kind is a number in a list of all kinds, inputs are places
in the same list of nodes; a fourth item says what else is known of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hozon.record import Graph, GraphNode

#: Nodes of all pictures of a page together.
MOST_NODES = 20_000
#: Ops that give what is no input: what is computed of these alone is left out.
HELD = frozenset(
    {"Const", "NoOp", "ReadVariableOp", "VarHandleOp", "Variable", "VariableV2", "HashTableV2"}
)

Node = list[Any]


class Drawable(Protocol):
    """A layer that can be drawn, and the layers in it."""

    anchor: str
    name: str
    class_name: str
    path: str
    inputs: list[tuple[str, str]]
    parameters: int

    @property
    def inside(self) -> Sequence[Drawable]:
        """The layers in it."""


@dataclass(slots=True)
class Pictures:
    """The pictures of a page.

    Attributes:
        kinds: classes of layers and types of ops.
        pictures: each with ``of`` (layers, a signature, a function), a title and nodes; `scoped`
            where names say by slashes what belongs together.
        functions: the nodes of functions that nodes of pictures call.
    """

    kinds: dict[str, int] = field(default_factory=dict)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    functions: dict[str, list[Node]] = field(default_factory=dict)
    count: int = 0

    def to_dict(self) -> dict[str, Any]:
        """All of it, for the script."""
        return {
            "kinds": list(self.kinds),
            "pictures": self.pictures,
            "functions": self.functions,
        }

    def add_layers(
        self, model: Drawable, title: str, marks: Mapping[str, str] | None = None
    ) -> None:
        """The layers of a model; `marks` says of some, by their paths, how they differ."""
        self._add("layers", title, self._layers(model.inside, marks or {}), scoped=False)

    def add_graph(self, graph: Graph) -> None:
        """What gives the outputs of each signature, and the functions that nothing else calls."""
        outside = graph.bodies.get("", ())
        signatures = {info.name for info in graph.signatures}
        for name, ends in graph.ends.items():
            if name in signatures:
                self._add_body("signature", name, _needed(outside, ends), graph)
        if not signatures and outside:
            self._add_body("graph", "", outside, graph)
        called = {c for name in graph.functions for node in graph.bodies[name] for c in node.calls}
        for name in graph.functions:
            if name not in called and name not in self.functions:
                self._add_body("function", name, graph.bodies[name], graph)

    def _add_body(self, of: str, title: str, body: Sequence[GraphNode], graph: Graph) -> None:
        if self.count + len(body) > MOST_NODES:
            return
        nodes = self._ops(body)
        if len(nodes) > 1 or any(len(node) > 3 for node in nodes):
            self._add(of, title, nodes, scoped=True)
            self._add_called(body, graph)

    def _add_called(self, body: Iterable[GraphNode], graph: Graph) -> None:
        left = deque(name for node in body for name in node.calls)
        while left:
            name = left.popleft()
            inner = graph.bodies.get(name, ())
            if name not in self.functions and self.count + len(inner) <= MOST_NODES:
                self.functions[name] = self._ops(inner)
                left.extend(called for node in inner for called in node.calls)

    def _add(self, of: str, title: str, nodes: list[Node], *, scoped: bool) -> None:
        self.pictures.append({"of": of, "title": title, "scoped": scoped, "nodes": nodes})

    def _kind(self, name: str) -> int:
        return self.kinds.setdefault(name, len(self.kinds))

    def _layers(self, layers: Sequence[Drawable], marks: Mapping[str, str]) -> list[Node]:
        """Layers without calls, as in a Sequential model, follow each other."""
        called = any(layer.inputs for layer in layers)
        places = {layer.name: place for place, layer in enumerate(layers)}
        made: list[Node] = []
        for place, layer in enumerate(layers):
            names = [name for name, _ in layer.inputs if name in places]
            inputs = [places[name] for name in names] if called else [place - 1][: min(place, 1)]
            more: dict[str, Any] = {"anchor": layer.anchor, "parameters": layer.parameters}
            if layer.path in marks:
                more["mark"] = marks[layer.path]
            if layer.inside:
                more["inside"] = self._layers(layer.inside, marks)
            made.append([layer.name, self._kind(layer.class_name), inputs, more])
        self.count += len(made)
        return made

    def _ops(self, body: Sequence[GraphNode]) -> list[Node]:
        kept = _flowing(body)
        places = {(node.name, node.op == "_Retval"): place for place, node in enumerate(kept)}
        made: list[Node] = []
        for node in kept:
            found = (places.get((name, False)) for name in dict.fromkeys(node.inputs))
            inputs = [place for place in found if place is not None]
            more = [{"calls": list(node.calls)}] if node.calls else []
            made.append([node.name, self._kind(node.op), inputs, *more])
        self.count += len(made)
        return made


def _needed(body: Sequence[GraphNode], ends: Collection[str]) -> list[GraphNode]:
    """The nodes that give the values of some, in the order of the graph."""
    by_name = {node.name: node for node in body}
    found: set[str] = set()
    left = [name for name in ends if name in by_name]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [inner for inner in by_name[name].inputs if inner in by_name]
    return [node for node in body if node.name in found]


def _flowing(body: Sequence[GraphNode]) -> list[GraphNode]:
    """The nodes that depend on inputs, or on what is drawn or read; all of a graph without any."""
    users: dict[str, list[GraphNode]] = {}
    for node in body:
        for name in node.inputs:
            users.setdefault(name, []).append(node)
    left = [node for node in body if not node.inputs and node.op not in HELD]
    found: set[int] = set()
    while left:
        node = left.pop()
        if id(node) not in found:
            found.add(id(node))
            left += users.get(node.name, ())
    return [node for node in body if id(node) in found] or [
        node for node in body if node.op != "NoOp"
    ]
