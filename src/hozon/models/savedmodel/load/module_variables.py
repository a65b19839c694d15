"""Keras variables for the variables of a SavedModel that Keras did not write.

They stand where the saved object had them: attributes, lists and dictionaries of parts, so that
checkpoints of the object and of the model have the same keys. Variables that only a list of all
variables holds, and those of a TensorFlow 1 graph, stand where their names say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jax.numpy as jnp
import keras
import numpy as np

from hozon.formats.protos.object_graph import SavedNode, UserObject
from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.graph_level.loader import DICTIONARIES, LIST, TUPLE
from hozon.graphs.resources import Variable
from hozon.graphs.values import Cell, Value
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.cells import KerasCell
from hozon.models.savedmodel.load.objects import BOOKKEEPING

#: What TensorFlow calls a variable that was given no name.
UNNAMED = frozenset({"", "Variable"})

#: Integers of 64 bits, which JAX has only where it is told so: the variable is shorter, files keep
#: the type.
SHORTENED = {np.dtype(np.int64): "int32", np.dtype(np.uint64): "uint32"}

Kind = Literal["part", "list", "dict"]
Values = np.ndarray[Any, Any]
#: Names of attributes from the root on, each with what it leads to.
Way = tuple[tuple[str, Kind], ...]


class LateCell(Cell):
    """A variable of the graph until a Keras variable takes its place."""

    def __init__(self, variable: Variable) -> None:
        self.target: Cell = variable
        self.name = variable.name
        self.shape = variable.shape
        self.dtype = variable.dtype

    @property
    def initialized(self) -> bool:
        """Whether there is a value to read."""
        return bool(getattr(self.target, "initialized", True))

    def read(self) -> Value:
        """The current value."""
        return self.target.read()

    def peek(self) -> Value:
        """The current value if a Keras variable holds it, so that it may be traced."""
        return self.target.read() if isinstance(self.target, KerasCell) else None

    def assign(self, value: Value) -> None:
        """Replace the value."""
        self.target.assign(value)


@dataclass(frozen=True, slots=True)
class Stored:
    """A variable of the file: its name, whether it trains (if it is a float), what reads its value,
    and its cell."""

    name: str
    trainable: bool
    read: Callable[[], Values]
    cell: LateCell

    @property
    def last_name(self) -> str:
        """The last part of its name."""
        return self.name.split(":")[0].rsplit("/", 1)[-1]


@dataclass(slots=True)
class Branch:
    """A part, list or dictionary on the way to variables."""

    kind: Kind = "part"
    items: dict[str, Branch | Stored] = field(default_factory=dict)

    def put(self, path: Sequence[tuple[str, Kind]], name: str, leaf: Stored) -> None:
        """Place a variable; a name that is taken gets a number."""
        branch = self
        for step, kind in path:
            child = branch.items.get(step)
            if child is None or isinstance(child, Stored) or child.kind != kind:
                made = Branch(kind)
                branch.items[_free(step, branch.items)] = child = made
            branch = child
        branch.items[_free(name, branch.items)] = leaf


def _free(name: str, taken: Iterable[str]) -> str:
    names, free, count = set(taken), name, 0
    while free in names:
        count += 1
        free = f"{name}_{count}"
    return free


class Part(keras.layers.Layer):  # type: ignore[misc]
    """An object of the saved model that holds variables.

    `stored_types`: the types of variables in files, by name, where they are not their own.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stored_types: dict[str, str] = {}

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Parts run inside of their model's saved function only."""
        raise NotImplementedError(f"{self.name!r} is a part of a saved function: call the model")


def by_objects(nodes: Sequence[SavedNode], variables: Mapping[int, Stored]) -> Branch:
    """Where the object graph has the variables, in each object where it is nearest to the root."""
    root, placed = Branch(), set()
    for node_id, way in _ways(nodes):
        if node_id in variables:
            *above, (name, _) = way
            root.put(above, name, variables[node_id])
            placed.add(node_id)
    by_names((leaf for node_id, leaf in variables.items() if node_id not in placed), root)
    return root


def by_names(variables: Iterable[Stored], root: Branch | None = None) -> Branch:
    """Where the names of the variables say, ``dense/kernel`` in the part ``dense``."""
    root = Branch() if root is None else root
    for leaf in variables:
        *above, name = [step for step in leaf.name.split(":")[0].split("/") if step] or ["variable"]
        root.put([(step, "part") for step in above], name, leaf)
    return root


def _ways(nodes: Sequence[SavedNode]) -> Iterator[tuple[int, Way]]:
    """Each variable's ways from the root, one through each object that has it, shortest first.

    Lists of all variables and the like are no way.
    """
    start: tuple[int, Way] = (0, ())
    seen, waiting = {0}, deque([start])
    while waiting:
        node_id, way = waiting.popleft()
        for edge in nodes[node_id].children:
            if edge.name in BOOKKEEPING or edge.name == "_all_variables":
                continue
            further = (*way, (edge.name, _kind(nodes[edge.node])))
            if isinstance(nodes[edge.node].payload, SavedVariable):
                yield edge.node, further
            elif edge.node not in seen:
                seen.add(edge.node)
                waiting.append((edge.node, further))


def _kind(node: SavedNode) -> Kind:
    identifier = node.payload.identifier if isinstance(node.payload, UserObject) else ""
    if identifier in (LIST, TUPLE):
        return "list"
    return "dict" if identifier in DICTIONARIES else "part"


class Planting:
    """Makes the Keras variables of one model."""

    def __init__(self, report: LoadReport) -> None:
        self.report = report
        self._named: dict[int, set[str]] = {}
        self._variables: dict[int, keras.Variable] = {}

    def fill(self, owner: keras.layers.Layer, branch: Branch) -> None:
        """Give a model or part the variables and parts of a branch as its attributes.

        A variable in several places is named after the one nearest to the model.
        """
        for name, item in sorted(
            branch.items.items(), key=lambda pair: isinstance(pair[1], Branch)
        ):
            set_attribute(owner, name, self._made(owner, name, item))

    def _made(self, owner: keras.layers.Layer, name: str, item: Branch | Stored) -> Any:
        if isinstance(item, Stored):
            return self._variable(owner, name, item)
        if item.kind == "part":
            part = Part(name=name)
            with keras.name_scope(owner.name):
                self.fill(part, item)
            part.built = True
            return part
        made = {key: self._made(owner, f"{name}_{key}", child) for key, child in item.items.items()}
        return list(made.values()) if item.kind == "list" else made

    def _variable(self, owner: keras.layers.Layer, name: str, stored: Stored) -> keras.Variable:
        if id(stored) in self._variables:
            return self._variables[id(stored)]
        value = stored.read()
        own = name if stored.last_name in UNNAMED else stored.last_name
        taken = self._named.setdefault(id(owner), set())
        own = _free(own, taken)
        taken.add(own)
        dtype = str(value.dtype)
        if value.dtype in SHORTENED:
            owner.stored_types[own] = dtype
            dtype = SHORTENED[value.dtype]
        variable = owner.add_weight(
            name=own,
            shape=value.shape,
            dtype=dtype,
            initializer=lambda shape, dtype: jnp.asarray(value, dtype),
            trainable=stored.trainable and jnp.issubdtype(value.dtype, jnp.inexact),
            autocast=False,
        )
        stored.cell.target = KerasCell(variable, stored.cell.dtype)
        self.report.matched.append(variable.path)
        self._variables[id(stored)] = variable
        return variable


def set_attribute(target: Any, name: str, value: Any) -> None:
    """Set an attribute under its saved name, unless Keras uses that name itself."""
    setattr(target, f"saved_{name}" if hasattr(target, name) else name, value)


def listed(nodes: Sequence[SavedNode], name: str) -> frozenset[int] | None:
    """The nodes of a list of the root's, as ``trainable_variables``; None where it has none."""
    edges = {edge.name: edge.node for edge in nodes[0].children}
    if name not in edges or _kind(nodes[edges[name]]) != "list":
        return None
    return frozenset(e.node for e in nodes[edges[name]].children if e.name.isdecimal())
