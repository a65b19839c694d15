"""Matching a checkpoint's object graph against live objects, now and as they come into being.

Both graphs are walked in step from their roots by edge names (TensorFlow's loading mechanics,
tensorflow/python/checkpoint/restore.py). Shapes are compared before anything is assigned. What the
file has and the program has not yet is kept: when a watched object gains an attribute or a variable
of a waiting name, that is bound then.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any

from hozon.errors import MismatchError
from hozon.formats.bundle import Bundle
from hozon.formats.protos.trackable import Edge, SlotVariable, TrackableNode
from hozon.keras_private import keras
from hozon.keras_private.watch import can_grow, unwatch, watch
from hozon.models.assignment import Assignment, apply
from hozon.models.assignment.finalize import compile_again, finalize_layer, is_derived
from hozon.models.assignment.owners import is_yet_to_come
from hozon.models.tracking.containers import is_container
from hozon.objects.graph import path_names
from hozon.objects.keys import ATTRIBUTES, TABLE, TABLE_PARTS, VARIABLE_VALUE
from hozon.objects.tracking import Leaf, Table, Trackable, Virtual, identity
from hozon.stored.lazy import LazyTensor
from hozon.train.numbered import lists_of, numbered_slots

#: Two ways of counting layers: all of them, and those with weights.
ALL_LAYERS = re.compile(r"layer-\d+")
WEIGHTED_LAYERS = re.compile(r"layer_with_weights-\d+")
#: Edges to the counter of steps of optimizers of every generation.
COUNTERS = frozenset({"iterations", "_iterations", "iter"})
Pair = tuple[Any, int]


class Restoration:
    """One restore: what is bound to what, what was assigned, what still waits.

    Attributes:
        bundle: the checkpoint.
        nodes: its object graph.
        objects: the live object of each of the file's objects that is bound.
        assigned: the file's objects whose values were given to live ones.
        mismatched: a line for each value whose shape differs.
    """

    def __init__(
        self,
        bundle: Bundle,
        nodes: Sequence[TrackableNode],
        describe: Callable[[Any], Trackable],
        *,
        skip_mismatch: bool = False,
    ) -> None:
        self.bundle = bundle
        self.nodes = tuple(nodes)
        self.objects: dict[int, Any] = {}
        self.assigned: set[int] = set()
        self.mismatched: list[str] = []
        self._describe = describe
        self._skip = skip_mismatch
        self._bound: dict[Hashable, int] = {}
        self._waiting: dict[int, list[Edge]] = {}
        self._described: dict[int, Trackable] = {}
        self._settled: list[Any] = []
        self._watched: set[int] = set()
        self._busy = False
        self._check: Callable[[set[int]], None] | None = None
        self._with_slots = [i for i, node in enumerate(nodes) if node.slot_variables]
        self._numbered: dict[int, tuple[SlotVariable, ...]] = {}

    def start(self, root: Any, check: Callable[[set[int]], None]) -> None:
        """Bind the root and all that is reached from it, and assign what is found.

        `check` is given the file's objects whose values are about to be assigned, and may raise.
        Raises MismatchError, with nothing assigned, where shapes differ.
        """
        self._check = check
        self._bind([(root, 0)])
        self._check = None

    def again(self) -> None:
        """Look once more at every bound object for what came into being unseen."""
        lacking = [node for node in self._waiting if self._wants(node)]
        self._bind([pair for node in lacking for pair in self._found(node)])
        self._watch(list(self.objects))

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """A watched object gains an attribute or variable."""
        node = self._bound.get(identity(owner))
        if node is None or self._busy:
            return
        edges = {edge.name: edge.node for edge in self._waiting.get(node, ())}
        if name in edges:
            self._bind(self._through(value, edges[name]))
            self._watch([node])

    def changed(self, owner: Any) -> None:
        """A watched object was built."""
        node = self._bound.get(identity(owner))
        if node is not None and not self._busy:
            self._bind(self._found(node))
            self._watch([node])

    def name(self, node: int) -> str:
        """The path of one of the file's objects; that of a slot says whose slot it is."""
        tensors = self.nodes[node].tensors
        if node not in self._names and tensors:
            return tensors[0].key.rpartition(f"/{ATTRIBUTES}/")[0]
        return self._names.get(node, f"object {node}") or "root"

    @cached_property
    def _names(self) -> dict[int, str]:
        return path_names(self.nodes)

    def node_of(self, target: Any) -> int | None:
        """The file's object that a live one is bound to."""
        return self._bound.get(identity(target))

    def _bind(self, pairs: Sequence[Pair]) -> None:
        self._busy = True
        try:
            fresh = self._walk(pairs)
            self._assign(fresh)
        finally:
            self._busy = False
            self._described.clear()
        self._watch([node for _, node in fresh])

    def _walk(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Bind pairs and what lies below them; returns the new ones."""
        fresh: list[Pair] = []
        queue = deque(pairs)
        while queue:
            target, node = queue.popleft()
            key = identity(target)
            if key in self._bound or node in self.objects:
                continue
            self._bound[key] = node
            self.objects[node] = target
            if is_derived(target):
                self._settled.append(target)
            self._waiting[node] = list(self.nodes[node].children)
            fresh.append((target, node))
            queue.extend(self._found(node))
            if not queue:
                queue.extend(self._slots())
        return fresh

    def _found(self, node: int, seen: frozenset[int] = frozenset()) -> list[Pair]:
        """Pairs of live and stored children of a bound object that are not bound yet.

        Members of lists and of what `Virtual` stands for, which nobody watches, are looked for too.
        """
        trackable = self._described[node] = self._describe(self.objects[node])
        last = _less_certain(self.nodes[node].children, trackable)
        lists = self._lists_of_slots(node, trackable)
        fresh: list[tuple[bool, Pair]] = []
        inner: list[Pair] = []
        waiting = []
        for edge in self.nodes[node].children:
            child = None if edge.name in lists else trackable.child(edge.name)
            if child is None:
                waiting.append(edge)
            elif edge.node not in self.objects:
                fresh.append((last.fullmatch(edge.name) is not None, (child, edge.node)))
            elif self._is_view(child, edge.node) and edge.node not in seen:
                self.objects[edge.node] = child
                inner += self._found(edge.node, seen | {node})
        self._waiting[node] = waiting
        slots = self._slots_of(node, trackable)
        return [pair for _, pair in sorted(fresh, key=lambda entry: entry[0])] + inner + slots

    def _is_view(self, child: Any, node: int) -> bool:
        """Whether a live child is bound to `node` and a container or view of its owner's state."""
        if not isinstance(child, Virtual) and not is_container(child):
            return False
        return self._bound.get(identity(child)) == node

    def _lists_of_slots(self, node: int, trackable: Trackable) -> set[str]:
        """Edges of an optimizer to what is found by the variables of slots, if names tell them."""
        if trackable.slots is None:
            return set()
        if node not in self._numbered:
            self._numbered[node] = numbered_slots(self.nodes, node)
        return lists_of(self.nodes, node, self._numbered[node])

    def _slots(self) -> list[Pair]:
        """Slots of bound optimizers whose variables were bound after them.

        Where a program has the optimizer alone, numbers are all that there is.
        """
        for node, slots in self._numbered.items():
            if slots and not any(slot.variable in self.objects for slot in slots):
                self._numbered[node] = ()
                return self._found(node)
        return [
            pair
            for node in (*self._with_slots, *self._numbered)
            if node in self.objects
            for pair in self._slots_of(node, self._describe(self.objects[node]))
        ]

    def _slots_of(self, node: int, trackable: Trackable) -> list[Pair]:
        found = []
        for slot in (*self.nodes[node].slot_variables, *self._numbered.get(node, ())):
            if trackable.slots is None or slot.slot in self.objects:
                continue
            if slot.variable in self.objects:
                live = trackable.slots(self.objects[slot.variable], slot.name)
                if live is not None and identity(live) not in self._bound:
                    found.append((live, slot.slot))
        return found

    def _through(self, value: Any, node: int) -> list[Pair]:
        """Pairs for a value about to become an attribute: Keras copies containers, so not those."""
        if not is_container(value):
            return [(value, node)]
        trackable = self._describe(value)
        return [
            pair
            for edge in self.nodes[node].children
            if (child := trackable.child(edge.name)) is not None
            for pair in self._through(child, edge.node)
        ]

    def _assign(self, fresh: Sequence[Pair]) -> None:
        """Compare all, read all, then assign: what fails changes nothing."""
        known = [(self._described[node], node) for _, node in fresh]
        assignment, planned = Assignment(), set()
        wrong = []
        for found, node in known:
            tensor = None if found.leaf is None else self._tensor(node)
            if found.leaf is None or tensor is None:
                continue
            planned.add(node)
            if fits(found.leaf, tensor):
                assignment.pair(found.leaf, tensor, self.name(node))
            else:
                planned.discard(node)
                wrong.append(_difference(self.name(node), found.leaf, tensor))
        self.mismatched += wrong
        if self._check is not None:
            self._check(planned)
        if wrong and not self._skip:
            raise MismatchError(
                "the checkpoint holds values of other shapes",
                mismatches=wrong,
                file=self.bundle.prefix,
            )
        tables = [(found.table, node) for found, node in known if found.table is not None]
        apply(assignment, self.bundle.prefix)
        for table, node in tables:
            self._fill(table, node)
        self.assigned.update(planned)
        for target in self._settled:
            finalize_layer(target)
        for target in self.objects.values() if self._settled else ():
            compile_again(target)

    def _fill(self, table: Table, node: int) -> None:
        # Some versions of TensorFlow list a table with the beginning of its tensors' keys only.
        key, start = self._key(node, TABLE), self._key(node, "")
        if key is None and start is not None:
            key = start + TABLE
        if key is not None:
            table.assign(*(self.bundle[key + part].read() for part in TABLE_PARTS))
            self.assigned.add(node)

    def keys(self) -> dict[int, list[str]]:
        """The names of the tensors of each of the file's objects that has any."""
        return {i: [*self._keys(node)] for i, node in enumerate(self.nodes) if node.tensors}

    def _keys(self, node: TrackableNode) -> Iterator[str]:
        for tensor in node.tensors:
            if tensor.key in self.bundle:
                yield tensor.key
                continue
            parts = [
                start + part for start in (tensor.key, tensor.key + TABLE) for part in TABLE_PARTS
            ]
            found = [key for key in parts if key in self.bundle]
            yield from found or [tensor.key]

    def _tensor(self, node: int) -> LazyTensor | None:
        key = self._key(node, VARIABLE_VALUE)
        return None if key is None else self.bundle[key]

    def _key(self, node: int, name: str) -> str | None:
        return next((t.key for t in self.nodes[node].tensors if t.name == name), None)

    def _watch(self, nodes: Sequence[int]) -> None:
        """Watch what can still gain something that the file has; leave the rest alone."""
        for node in nodes:
            target = self.objects[node]
            wanted = _grows(target) and self._wants(node)
            if wanted and node not in self._watched:
                self._watched.add(node)
                _watch(target, self)
            elif not wanted and node in self._watched:
                self._watched.discard(node)
                _unwatch(target, self)

    def _wants(self, node: int, seen: frozenset[int] = frozenset()) -> bool:
        """Whether an object, or a list or view below it, waits for something in the file."""
        slots = (slot.slot for slot in self.nodes[node].slot_variables)
        waiting = (edge.node for edge in self._waiting[node])
        if any(other not in self.objects for other in (*slots, *waiting)):
            return True
        return any(
            self._wants(edge.node, seen | {node})
            for edge in self.nodes[node].children
            if edge.node in self.objects
            and edge.node not in seen
            and self._is_view(self.objects[edge.node], edge.node)
        )

    def stop(self) -> None:
        """Watch no longer."""
        for node in self._watched:
            _unwatch(self.objects[node], self)
        self._watched.clear()

    def deferred(self) -> set[int]:
        """The file's objects that wait for layers or optimizers which are not built or made yet."""
        waiting = self._optimizers_to_come()
        waiting += [
            below
            for node, target in self.objects.items()
            if isinstance(target, (keras.Layer, keras.optimizers.Optimizer)) and not target.built
            for below in (
                *(edge.node for edge in self.nodes[node].children),
                *(slot.slot for slot in self.nodes[node].slot_variables),
            )
        ]
        found: set[int] = set()
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if node in seen or not self._is_open(node):
                continue
            seen.add(node)
            waiting.extend(edge.node for edge in self.nodes[node].children)
            if node not in self.objects:
                found.add(node)
        slots = {
            slot.slot
            for node in self.nodes
            for slot in node.slot_variables
            if slot.variable in found
        }
        return found | slots

    def _optimizers_to_come(self) -> list[int]:
        """The file's optimizers that classes of the user's have yet to make, and their slots."""
        found = [
            edge.node
            for node, target in self.objects.items()
            for edge in self.nodes[node].children
            if edge.node not in self.objects
            and is_yet_to_come(target, edge.name)
            and COUNTERS & {child.name for child in self.nodes[edge.node].children}
        ]
        slots = [slot.slot for node in found for slot in self.nodes[node].slot_variables]
        return [*found, *slots]

    def _is_open(self, node: int) -> bool:
        """Whether one of the file's objects is bound to nothing, or to what may still grow."""
        live = self.objects.get(node)
        return live is None or isinstance(live, Virtual) or is_container(live)

    @property
    def is_deferred(self) -> bool:
        """Whether a layer that is not built yet waits for values."""
        return any(
            isinstance(target, keras.Layer) and not target.built and self._wants(node)
            for node, target in self.objects.items()
        )

    def of_optimizers(self) -> set[int]:
        """The file's objects that belong to live optimizers."""
        found = {
            node
            for node, target in self.objects.items()
            if isinstance(target, keras.optimizers.Optimizer)
        }
        waiting = list(found)
        while waiting:
            node = self.nodes[waiting.pop()]
            below = {edge.node for edge in node.children}
            below |= {slot.slot for slot in node.slot_variables}
            waiting += below - found
            found |= below
        return found


def _less_certain(stored: Sequence[Edge], live: Trackable) -> re.Pattern[str]:
    """The way of counting layers that is to be tried last.

    Numbers of all layers shift where a layer without weights was added, so those with weights are
    counted first; unless the models have equally many layers but not of those with weights. Keras 2
    counts an adapted `TextVectorization`, for its table, among these.
    """
    names = [edge.name for edge in stored]
    every, weighted = (_differ(kind, names, live) for kind in (ALL_LAYERS, WEIGHTED_LAYERS))
    return WEIGHTED_LAYERS if weighted and not every else ALL_LAYERS


def _differ(kind: re.Pattern[str], stored: Sequence[str], live: Trackable) -> bool:
    return {n for n in stored if kind.fullmatch(n)} != {
        n for n in live.children if kind.fullmatch(n)
    }


def _grows(target: Any) -> bool:
    return hasattr(type(target), "add_watcher") or can_grow(target)


def _watch(target: Any, watcher: Restoration) -> None:
    if hasattr(type(target), "add_watcher"):
        target.add_watcher(watcher)
    else:
        watch(target, watcher)


def _unwatch(target: Any, watcher: Restoration) -> None:
    if hasattr(type(target), "add_watcher"):
        target.remove_watcher(watcher)
    else:
        unwatch(target, watcher)


def fits(leaf: Leaf, tensor: LazyTensor) -> bool:
    """Whether a stored tensor has a leaf's shape, and both are text or neither."""
    if leaf.shape is not None and tuple(leaf.shape) != tuple(tensor.shape):
        return False
    return leaf.dtype.fixed == tensor.dtype.fixed


def _difference(name: str, leaf: Leaf, tensor: LazyTensor) -> str:
    return (
        f"{name}: stored {tensor.dtype} {tuple(tensor.shape)}, "
        f"the program has {leaf.dtype} {leaf.shape} ({leaf.name})"
    )
