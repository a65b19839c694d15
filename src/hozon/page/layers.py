"""The layers of a model as blocks, each with the layers in it and the tensors that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hozon.alignment import placed
from hozon.config.upgrade import short_name
from hozon.containers.agreement import called_layers, entry_name, layers_of
from hozon.record import ModelRecord
from hozon.stored.lazy import LazyTensor

#: Layers that a page has at most.
MOST_LAYERS = 5000
NOT_SHOWN = frozenset({"layers", "input_layers", "output_layers", "name"})
LONGEST = 300


@dataclass(slots=True)
class Block:
    """A layer, and the layers in it.

    Attributes:
        anchor: what links to it.
        path: the names of the layers around it and its own, the model's left out.
        name: its name.
        class_name: its class.
        inputs: the layers that it is called on, with their anchors.
        arguments: its arguments, a line for each.
        tensors: its own tensors: shape and type.
        parameters: how many numbers it holds, with those of the layers in it.
        inside: the layers in it.
    """

    anchor: str
    path: str
    name: str
    class_name: str
    inputs: list[tuple[str, str]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    parameters: int = 0
    inside: list[Block] = field(default_factory=list)

    def walk(self) -> Iterator[Block]:
        """The layers in it, and those in them, in order."""
        for block in self.inside:
            yield block
            yield from block.walk()


def tree(
    record: ModelRecord, named: Mapping[str, LazyTensor], prefix: str = "layer"
) -> Block | None:
    """The blocks of a model; None of what holds no architecture."""
    return Tree(record, named, prefix).model() if record.config else None


class Tree:
    """Makes the blocks of a model."""

    def __init__(
        self, record: ModelRecord, named: Mapping[str, LazyTensor], prefix: str = "layer"
    ) -> None:
        self._record = record
        self._prefix = prefix
        self._count = 0
        self._owned: dict[str, list[LazyTensor]] = {}
        names = {entry_name(entry) for entry in all_entries(record.config or {})}
        for item in placed(record, named):
            owner = next((p for p in reversed(item.owner.split("/")) if p in names), None)
            if owner is not None and not item.beside:
                self._owned.setdefault(owner, []).append(item.tensor)

    def model(self) -> Block:
        """The block of the whole model."""
        return self._block(self._record.config or {}, "", {})

    def _block(self, entry: Mapping[str, Any], path: str, anchors: Mapping[str, str]) -> Block:
        self._count += 1
        name, entries = entry_name(entry), layers_of(entry)
        kind = short_name(str(entry.get("class_name", "")))
        made = Block(f"{self._prefix}-{self._count}", path, name, kind)
        called = dict.fromkeys(called_layers(entry.get("inbound_nodes")))
        made.inputs = [(n, anchors.get(n, "")) for n in called]
        made.arguments = _arguments(entry.get("config"))
        inner: dict[str, str] = {}
        for layer in entries:
            if self._count >= MOST_LAYERS:
                made.arguments.append(f"... {len(entries) - len(made.inside)} more")
                break
            named = entry_name(layer)
            block = self._block(layer, f"{path}/{named}" if path else named, inner)
            inner[block.name] = block.anchor
            made.inside.append(block)
        tensors = [] if entries else self._owned.get(name, [])
        made.tensors = [f"{t.dtype.name}[{', '.join(map(str, t.shape))}]" for t in tensors]
        made.parameters = sum(t.size for t in tensors) + sum(b.parameters for b in made.inside)
        return made


def all_entries(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The config of a model and of every layer in it."""
    yield entry
    for layer in layers_of(entry):
        yield from all_entries(layer)


def _arguments(config: Any) -> list[str]:
    if not isinstance(config, Mapping):
        return []
    shown = ((key, value) for key, value in config.items() if key not in NOT_SHOWN)
    return [f"{key} = {_short(value)}" for key, value in shown if value is not None]


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "class_name" in value:
        inner = value.get("config")
        given = inner.items() if isinstance(inner, Mapping) else ()
        told = ", ".join(f"{name}={item!r}" for name, item in given)
        text = f"{value['class_name']}({told or inner or ''})"
    else:
        text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
