"""The neutral record: what every saved form of a Keras model is read into and written from.

Plain data: configs are JSON values as the form has them, tensors are lazy. N forms are N readers
and N writers of this one record; `inspect`, `convert` and the report pages need nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

from hozon.stored.lazy import LazyTensor, copied

__all__ = [
    "Dialect",
    "Graph",
    "GraphNode",
    "Groups",
    "LayerInfo",
    "LazyNames",
    "ModelRecord",
    "Naming",
    "SignatureInfo",
    "StateGroup",
    "TensorSummary",
    "named_tensors",
    "names_of",
]

#: Which Keras the configs speak for.
Dialect = Literal["keras1", "keras2", "keras3"]
#: How groups of tensors find their objects: by the layer's name and the tensors' order (H5 of
#: Keras 1 and 2), by the path of attributes (Keras 3's ``layers/dense/vars``), by the saved object
#: graph (TensorFlow), or by the variables' own paths (``encoder/dense/kernel``, Orbax).
Naming = Literal["layers", "attributes", "objects", "variables"]


#: Attribute of a file in Keras 2's dialect by Hozon, and what it says of the optimizer's steps:
#: those of Keras 3, or others like compiled or eager ones of tf_keras.
TRAINED_BY, KERAS3 = "trained_by", "keras3"
COMPILED, EAGER = "keras2 compiled", "keras2 eager"
#: Who made an optimizer's steps: Keras 3, or tf_keras eagerly, compiled, or in an unknown way.
Steps = Literal["keras3", "eager", "compiled", "unknown"]


def marked(value: Any) -> dict[str, str]:
    """What the attribute says, where it says what is known."""
    return {TRAINED_BY: value} if value in (KERAS3, COMPILED, EAGER) else {}


@dataclass(frozen=True, slots=True)
class StateGroup:
    """The stored tensors of one object: its name or path, and tensors by name, in file order."""

    name: str
    tensors: Mapping[str, LazyTensor]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class LazyNames(Mapping[str, str]):
    """Names that are looked up in the file when first asked for: most loads need none.

    Args:
        make: looks up all of them.
        one: looks up that of one path, where that costs less; None where it takes all to know.
    """

    def __init__(
        self, make: Callable[[], Mapping[str, str]], one: Callable[[str], str | None] | None = None
    ) -> None:
        self._make = make
        self._one = one

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return self._make()

    def __getitem__(self, path: str) -> str:
        if self._one is not None and "_names" not in self.__dict__:
            found = self._one(path)
            if found is not None:
                return found
        return self._names[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


#: Groups in the order of the file.
Groups = Sequence[StateGroup]


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """A stored tensor, or an input or output; None in `shape` is a free size.

    `shape` is None for an unknown rank; `nbytes` is 0 where nothing is stored.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    nbytes: int = 0

    def __str__(self) -> str:
        dims = self.shape
        told = "..." if dims is None else ", ".join("?" if n is None else str(n) for n in dims)
        return f"{self.name}: {self.dtype}[{told}]"


@dataclass(frozen=True, slots=True)
class SignatureInfo:
    """A serving signature."""

    name: str
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    method: str = ""

    def __str__(self) -> str:
        taken, given = ", ".join(map(str, self.inputs)), ", ".join(map(str, self.outputs))
        return f"{self.name}({taken}) -> {given}"


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A Keras object: where it hangs, its class, its name, and whether it has a config."""

    path: str
    class_name: str
    name: str
    has_config: bool


@dataclass(frozen=True, slots=True)
class GraphNode:
    """An op in a graph: its name, what it is, the nodes it takes values of, functions it calls."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """What a form says of a model besides its config: functions, and objects by their place.

    `functions` counts the nodes of each function; `ops` counts op types over the whole graph.
    `bodies` has the nodes of each function, arguments and results among them, and of the graph
    outside of all under ""; `ends` the nodes there that each signature gives the values of.
    """

    tags: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[SignatureInfo, ...] = ()
    layers: tuple[LayerInfo, ...] = ()
    functions: Mapping[str, int] = field(default_factory=dict)
    ops: Mapping[str, int] = field(default_factory=dict)
    bodies: Mapping[str, Sequence[GraphNode]] = field(default_factory=dict)
    ends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A saved model, or what one form holds of it.

    Attributes:
        form: name of the saved form that it came from or is meant for.
        path: where it was read, for messages; empty for one that was made from a live model.
        producer: library and version that wrote it, such as ``"keras 2.12.0"``, else "".
        backend: the backend of the writer, such as ``"theano"``, else "".
        dialect: which Keras `config` speaks for, and `training`.
        naming: how `state` finds its objects.
        config: ``{"class_name": ..., "config": ...}`` of the model; None where only weights were
            saved.
        training: loss, metrics and optimizer config as the form has them; None if not compiled.
        trained_in: which Keras these and `optimizer` speak for; None for that of `dialect`.
        state: the weights.
        optimizer: the optimizer's variables, under their names; None where none were saved.
        assets: further files (vocabularies), by their path within the form, each read on demand.
        graph: functions and objects, where the form has them.
        names: names of layers and other objects by the paths of their groups, where the file has
            them; of objects without tensors too.
        metadata: what else the form says of itself, plain values.
    """

    form: str
    path: str
    dialect: Dialect
    naming: Naming
    producer: str = ""
    backend: str = ""
    config: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    trained_in: Dialect | None = None
    state: Groups = ()
    optimizer: StateGroup | None = None
    assets: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    graph: Graph | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def training_dialect(self) -> Dialect:
        """Which Keras the training configuration and the optimizer's state speak for."""
        return self.trained_in or self.dialect

    @property
    def marks(self) -> Mapping[str, str]:
        """What files in Keras 2's dialect are to say of the steps that led to their state."""
        made = KERAS3 if not self.path and self.dialect == "keras2" else None
        return marked(self.metadata.get(TRAINED_BY, made))

    @property
    def steps(self) -> Steps:
        """Who made the steps of a state in Keras 2's dialect, as far as the file tells."""
        told: Mapping[Any, Steps] = {KERAS3: "keras3", COMPILED: "compiled", EAGER: "eager"}
        eager = bool((self.training or {}).get("run_eagerly"))
        return told.get(self.metadata.get(TRAINED_BY), "eager" if eager else "unknown")

    @property
    def nbytes(self) -> int:
        """Bytes of all weights, the optimizer's left out."""
        return sum(group.nbytes for group in self.state)

    def copied_to_memory(self) -> ModelRecord:
        """The record with copies of its tensors in memory, which nothing changes any more."""
        optimizer = None if self.optimizer is None else _held(self.optimizer)
        state = tuple(map(_held, self.state))
        assets = {name: partial(bytes, content()) for name, content in self.assets.items()}
        return replace(self, state=state, optimizer=optimizer, assets=assets)


def _held(group: StateGroup) -> StateGroup:
    return StateGroup(group.name, {name: copied(t) for name, t in group.tensors.items()})


def named_tensors(record: ModelRecord) -> Mapping[str, LazyTensor]:
    """All tensors of a record, the optimizer's last, each under a name of its own.

    The name is that of its group and its own; only its own where that begins with the group's.
    """
    kept = () if record.optimizer is None else (record.optimizer,)
    groups: Sequence[StateGroup] = (*record.state, *kept)
    if len(groups) == 1 and not groups[0].name:
        return groups[0].tensors
    found: dict[str, LazyTensor] = {}
    for group in groups:
        for name, tensor in group.tensors.items():
            whole = not group.name or name.startswith(f"{group.name}/")
            short = name if whole else f"{group.name}/{name}"
            found[f"{group.name}/{name}" if short in found else short] = tensor
    return found


def names_of(path: str, objects: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the objects on the way to one, by the paths of attributes that lead there.

    One without a name, as a seed generator in a layer, goes by its attributes below the last name.
    """
    parts = path.split("/") if path else []
    ways = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    named = [i for i, way in enumerate(ways) if way in objects]
    if not named:
        return ()
    return (*(objects[ways[i]].replace("/", "_") for i in named), *parts[named[-1] + 1 :])
