"""Custom gradients that a file does not hold: what runs has its plain derivative, and is told.

Files are saved without them by default (``SaveOptions.experimental_custom_gradients``); the nodes
that had one keep its name, ``CustomGradient-<number>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hozon.containers.savedmodel.read import GRAPH_FILE, SavedModel
from hozon.graph_level.functions import ConcreteFunction
from hozon.raw.stores import is_file, join, open_source

_KIND = re.compile(rb"CustomGradient-\d+")


def plain_derivatives(artifact: SavedModel, functions: Sequence[ConcreteFunction]) -> list[str]:
    """A line for each of some functions, its callees included, that lacks custom gradients."""
    absent = _absent(artifact) if functions else set()
    return list(dict.fromkeys(_lines(functions, absent))) if absent else []


def _absent(artifact: SavedModel) -> set[str]:
    """The names of gradients that the file speaks of and does not hold; no graph is decoded."""
    path = join(artifact.path, GRAPH_FILE)
    if not is_file(path):  # a graph as text
        return set()
    source = open_source(path)
    spoken = {kind.decode() for kind in _KIND.findall(source.view(0, source.size).data)}
    return spoken - set(artifact.meta_graph.graph.library.registered_gradients)


def _lines(functions: Sequence[ConcreteFunction], absent: set[str]) -> Iterator[str]:
    for concrete in functions:
        for function in concrete.library.reachable(concrete.name):
            for node in function.nodes:
                kind = node.attrs.get("_gradient_op_type", b"")
                if isinstance(kind, bytes) and kind.decode(errors="replace") in absent:
                    yield (
                        f"the custom gradient at {node.name!r}: the file does not hold it, so "
                        "training takes the plain derivative there"
                    )
