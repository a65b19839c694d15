"""A picture of the layers of a model: rows by how far from the inputs, and lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

WIDTH, HEIGHT, GAP_X, GAP_Y = 168, 34, 16, 22
MARGIN = 8
#: Layers up to which a model is drawn.
MOST = 2000
LETTERS = 24


class Drawable(Protocol):
    """A layer that can be drawn."""

    anchor: str
    name: str
    class_name: str
    inputs: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Node:
    """A layer: its corner, what to click for, and its two lines of text."""

    x: int
    y: int
    anchor: str
    name: str
    class_name: str
    title: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes, the lines between them as the path of an SVG, and the size of it all."""

    nodes: list[Node]
    lines: str
    width: int
    height: int


def drawn(layers: Sequence[Drawable]) -> Drawing | None:
    """The picture of some layers; None for too many. Layers without calls follow each other."""
    if len(layers) > MOST:
        return None
    before = _before(layers)
    rows: dict[str, int] = {}
    for layer in layers:  # in an order in which they can run, as configs list them
        rows[layer.name] = 1 + max((rows.get(n, -1) for n in before[layer.name]), default=-1)
    filled: dict[int, int] = {}
    places: dict[str, Node] = {}
    for layer in layers:
        row = rows[layer.name]
        column = filled.get(row, 0)
        filled[row] = column + 1
        x = MARGIN + column * (WIDTH + GAP_X)
        y = MARGIN + row * (HEIGHT + GAP_Y)
        places[layer.name] = Node(
            x, y, layer.anchor, _cut(layer.name), _cut(layer.class_name), layer.name
        )
    lines = "".join(
        _line(places[name], places[layer.name])
        for layer in layers
        for name in before[layer.name]
        if name in places
    )
    width = 2 * MARGIN + max(filled.values()) * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + (max(filled) + 1) * (HEIGHT + GAP_Y) - GAP_Y
    return Drawing(list(places.values()), lines, width, height)


def _before(layers: Sequence[Drawable]) -> dict[str, list[str]]:
    """The layers that each one is called on; in a Sequential model the one before."""
    called = any(layer.inputs for layer in layers)
    found: dict[str, list[str]] = {}
    last: list[str] = []
    for layer in layers:
        found[layer.name] = [name for name, _ in layer.inputs] if called else last
        last = [layer.name]
    return found


def _line(a: Node, b: Node) -> str:
    x1, y1, x2, y2 = a.x + WIDTH // 2, a.y + HEIGHT, b.x + WIDTH // 2, b.y
    middle = (y1 + y2) // 2
    return f"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
