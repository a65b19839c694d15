"""Which layers let masks through, where their class is not there to say so.

Keras 2 does not save whether a layer supports masking. But a layer after it was traced with a
mask only if the mask came through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hozon.models.savedmodel.load.configs import config_of
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects
from hozon.typing import ConfigEntry

Followers = Mapping[str, frozenset[str]]


def passes_mask(
    objects: KerasObjects, node: KerasNode, takes_mask: Callable[[KerasNode], bool]
) -> bool:
    """Whether any layer behind `node` was traced with a mask."""
    root = objects.root
    model = None if root is None or root.config is None else config_of(objects, root)
    behind = {} if model is None else followers(model["config"])
    seen: set[str] = set()
    waiting = list(behind.get(node.name, ()))
    while waiting:
        name = waiting.pop()
        found = objects.by_name.get(name)
        if name in seen or found is None:
            continue
        seen.add(name)
        if takes_mask(objects.nodes[found]):
            return True
        waiting.extend(behind.get(name, ()))
    return False


def followers(config: ConfigEntry) -> Followers:
    """For each layer of a model, the layers that it feeds."""
    entries = [entry for entry in config.get("layers", ()) if isinstance(entry, Mapping)]
    names = [_name(entry) for entry in entries]
    fed: dict[str, set[str]] = {}
    if any("inbound_nodes" in entry for entry in entries):
        for name, entry in zip(names, entries, strict=True):
            for source in _strings(entry.get("inbound_nodes")):
                fed.setdefault(source, set()).add(name)
    else:
        for source, name in zip(names, names[1:], strict=False):
            fed.setdefault(source, set()).add(name)
    return {source: frozenset(found) for source, found in fed.items()}


def _name(entry: ConfigEntry) -> str:
    inner = entry.get("config")
    own = inner.get("name") if isinstance(inner, Mapping) else None
    return str(entry.get("name") or own or "")


def _strings(value: Any) -> Iterator[str]:
    """All strings in nested lists: those of `inbound_nodes` that name layers among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (s for item in value.values() for s in _strings(item))
    elif isinstance(value, (list, tuple)):
        yield from (s for item in value for s in _strings(item))
