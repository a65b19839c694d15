"""Live objects as an object graph: what a checkpoint or SavedModel will call each of them.

Nothing here knows Keras. A `Describe` function tells of one object its named children, in
TensorFlow's order, and, for a variable, how to read and assign it; the walk below gives positions,
paths and checkpoint keys to everything that it reaches from a root. An object that is reached
twice has one node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hozon.formats.protos.trackable import Edge, SavedTensor, TrackableGraph, TrackableNode
from hozon.objects.keys import ATTRIBUTES, TABLE, TABLE_PARTS, VARIABLE_VALUE, escape
from hozon.stored.dtypes import DType

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Leaf(Protocol):
    """A value that is saved: a variable, or an array in a container.

    `name` is the variable's own name, `dtype` and `shape` are those of the stored tensor (a shape
    of None fits any).
    """

    @property
    def name(self) -> str:
        """The variable's own name, kept for people who read the file."""
        ...

    @property
    def dtype(self) -> DType:
        """The type that is stored."""
        ...

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape; None where a value of any shape can be taken."""
        ...

    def read(self) -> Any:
        """The value, on the host or on a device."""
        ...

    def assign(self, value: NDArray[Any]) -> None:
        """Take a stored value."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """A hash table that is saved, as two tensors: keys of one type, values of another."""

    key_dtype: DType
    value_dtype: DType
    read: Callable[[], tuple[Any, Any]]
    assign: Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """The keys (column 0) or the values (1) of a table; a table takes both together."""

    table: Table
    column: int
    name: str
    shape: tuple[int, ...] | None = None

    @property
    def dtype(self) -> DType:
        """The type that is stored."""
        return (self.table.key_dtype, self.table.value_dtype)[self.column]

    def read(self) -> Any:
        """The keys or values."""
        return self.table.read()[self.column]

    def assign(self, value: NDArray[Any]) -> None:
        """Nothing happens: see `Table.assign`."""


@dataclass(frozen=True, slots=True)
class Trackable:
    """What is known of one live object.

    `children` are saved. `aliases` are further names under which older files may hold a child,
    used for reading only. `slots` finds what holds an optimizer's slot, by the identity of the
    variable and the slot's name. `table` is the value of an object that is a hash table.
    """

    children: Mapping[str, Any] = field(default_factory=dict)
    leaf: Leaf | None = None
    aliases: Mapping[str, Any] = field(default_factory=dict)
    slots: Callable[[Any, str], Any] | None = None
    table: Table | None = None

    def child(self, name: str) -> Any:
        """The child of a name or alias; None without one."""
        found = self.children.get(name)
        return self.aliases.get(name) if found is None else found


@dataclass(frozen=True, slots=True, eq=False)
class Virtual:
    """An object that files have and the program has not as an object of its own.

    An optimizer's list of variables in TensorFlow's order, say, or an array in a dictionary. Two
    of one owner and name stand for the same.
    """

    owner: Any
    name: str
    trackable: Trackable = field(default_factory=Trackable)


class HasChildren(Protocol):
    """An object of this package that has named children, such as `hozon.train.Checkpoint`."""

    def tracked_children(self) -> Mapping[str, Any]:
        """The children by name."""
        ...


Describe = Callable[[Any], Trackable]


def identity(target: Any) -> Hashable:
    """What two references to one object have in common."""
    return (id(target.owner), target.name) if isinstance(target, Virtual) else id(target)


@dataclass(frozen=True, slots=True)
class TrackedNode:
    """One object of a live graph: itself, what is known of it, edges to positions, its path.

    `text` is the path as keys spell it.
    """

    target: Any
    trackable: Trackable
    children: tuple[Edge, ...]
    path: tuple[str, ...]
    text: str

    @property
    def key(self) -> str:
        """The checkpoint key of the object's value."""
        return f"{self.text}/{ATTRIBUTES}/{self.tensor}"

    @property
    def has_value(self) -> bool:
        """Whether anything is saved of the object itself."""
        return self.trackable.leaf is not None or self.trackable.table is not None

    @property
    def tensor(self) -> str:
        """What the object's value is called."""
        return VARIABLE_VALUE if self.trackable.table is None else TABLE

    @property
    def leaves(self) -> tuple[tuple[str, Leaf], ...]:
        """(checkpoint key, value) of what is saved of the object itself."""
        table = self.trackable.table
        if table is not None:
            return tuple(
                (self.key + part, TableColumn(table, column, self.key + part))
                for column, part in enumerate(TABLE_PARTS)
            )
        leaf = self.trackable.leaf
        return () if leaf is None else ((self.key, leaf),)


@dataclass(frozen=True, slots=True)
class TrackedGraph:
    """The objects reached from a root, the root first, breadth first."""

    nodes: Sequence[TrackedNode]

    def leaves(self) -> Iterator[tuple[str, Leaf]]:
        """(checkpoint key, value) of everything that is saved, in the order of the nodes."""
        for node in self.nodes:
            yield from node.leaves

    def position(self, target: Any) -> int | None:
        """The position of an object, None if it is not in the graph."""
        wanted = identity(target)
        return next((i for i, n in enumerate(self.nodes) if identity(n.target) == wanted), None)

    def record(self) -> TrackableGraph:
        """The record that a checkpoint stores of the graph."""
        holding = _with_values(self.nodes)
        return TrackableGraph([_stored(n, i in holding) for i, n in enumerate(self.nodes)])


def track(root: Any, describe: Describe) -> TrackedGraph:
    """The graph of live objects that are reached from `root`, breadth first as in TensorFlow."""
    positions: dict[Hashable, int] = {identity(root): 0}
    found: list[tuple[Any, tuple[str, ...], str]] = [(root, (), "")]
    nodes: list[TrackedNode] = []
    while len(nodes) < len(found):
        target, path, text = found[len(nodes)]
        trackable = describe(target)
        edges = []
        for name, child in trackable.children.items():
            key = identity(child)
            if key not in positions:
                positions[key] = len(found)
                below = f"{text}/{escape(name)}" if path else escape(name)
                found.append((child, (*path, name), below))
            edges.append(Edge(name, positions[key]))
        nodes.append(TrackedNode(target, trackable, tuple(edges), path, text))
    return TrackedGraph(nodes)


def _stored(node: TrackedNode, has_values: bool) -> TrackableNode:
    leaf = node.trackable.leaf
    tensors = (
        ()
        if not node.has_value
        else (SavedTensor(node.tensor, "" if leaf is None else leaf.name, node.key),)
    )
    return TrackableNode(node.children, tensors, (), None, has_values)


def _with_values(nodes: Sequence[TrackedNode]) -> set[int]:
    """The positions of nodes below which something is saved."""
    parents: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        for edge in node.children:
            parents.setdefault(edge.node, []).append(index)
    found: set[int] = set()
    waiting = [i for i, node in enumerate(nodes) if node.has_value]
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting.extend(parents.get(index, ()))
    return found
