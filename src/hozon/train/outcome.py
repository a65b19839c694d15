"""The outcomes behind status objects: by object graph, and by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from hozon.errors import MismatchError
from hozon.formats.bundle import Bundle
from hozon.formats.protos.trackable import TrackableNode
from hozon.models.tracking.leaves import ComputedLeaf
from hozon.objects.keys import OBJECT_GRAPH_KEY, parse_key, path_text
from hozon.objects.tracking import Leaf, Trackable, TrackedNode, track
from hozon.tensors.lazy import LazyTensor
from hozon.train.restore import Restoration, fits, give_all, read_all

SAVE_COUNTER = "save_counter"
SHOWN = 10


def live_leaves(
    root: Any, describe: Callable[[Any], Trackable]
) -> list[tuple[str, TrackedNode, Leaf]]:
    """(path, node, value) of all that exists now, save counters and computed values aside."""
    return [
        (path_text(node.path), node, node.trackable.leaf)
        for node in track(root, describe).nodes
        if node.trackable.leaf is not None
        and not isinstance(node.trackable.leaf, ComputedLeaf)
        and node.path[-1:] != (SAVE_COUNTER,)
    ]


class GraphOutcome:
    """The outcome of matching object graphs."""

    def __init__(
        self, restoration: Restoration, root: Any, describe: Callable[[Any], Trackable]
    ) -> None:
        self._restoration = restoration
        self._root = root
        self._describe = describe

    @property
    def file(self) -> str:
        """The checkpoint's prefix."""
        return self._restoration.bundle.prefix

    def matched(self) -> list[str]:
        """Paths of live values that were restored."""
        return [path for path, node, _ in self._live() if self._assigned(node)]

    def missing(self) -> list[str]:
        """Paths of live values without a stored one."""
        return [path for path, node, _ in self._live() if not self._assigned(node)]

    def unexpected(self) -> list[str]:
        """Paths of the file's values that nothing took."""
        self._restoration.again()
        taken = self._restoration.assigned
        return [
            self._restoration.name(i)
            for i, node in enumerate(self._restoration.nodes)
            if node.tensors and i not in taken
        ]

    def mismatched(self) -> list[str]:
        """Values left out because shapes differ."""
        return list(self._restoration.mismatched)

    def is_met_by(self, planned: set[int]) -> bool:
        """Whether the file has anything for the program, given its objects that found their place.

        Where both have more than optimizers, a match of their counters alone is none.
        """
        nodes = self._restoration.nodes
        counter = {edge.node for edge in nodes[0].children if edge.name == SAVE_COUNTER}
        aside = self._restoration.of_optimizers() | counter
        if planned - aside:
            return True
        more = any(node.tensors and i not in aside for i, node in enumerate(nodes))
        if more and live_leaves(self._root, self._without_optimizers):
            return False
        return bool(planned - counter)

    def _without_optimizers(self, target: Any) -> Trackable:
        optimizer = isinstance(target, keras.optimizers.Optimizer)
        return Trackable() if optimizer else self._describe(target)

    def _live(self) -> list[tuple[str, TrackedNode, Leaf]]:
        self._restoration.again()
        return live_leaves(self._root, self._describe)

    def _assigned(self, node: TrackedNode) -> bool:
        return self._restoration.node_of(node.target) in self._restoration.assigned


def full_names(nodes: Sequence[TrackableNode]) -> dict[str, str]:
    """The key of each variable in an object graph by its own name and by the end of that.

    The end is layer and variable, without scopes around them. What two variables share is left out.
    """
    found: dict[str, set[str]] = {}
    for tensor in (tensor for node in nodes for tensor in node.tensors if tensor.full_name):
        end = "/".join(tensor.full_name.split("/")[-2:])
        for name in (tensor.full_name, end):
            found.setdefault(name, set()).add(tensor.key)
    return {name: keys.pop() for name, keys in found.items() if len(keys) == 1}


class NameOutcome:
    """Restores by variable name, and remembers the outcome.

    Names are the file's keys where it has no object graph; else `keys` has the key of each.
    """

    def __init__(
        self,
        bundle: Bundle,
        keys: Mapping[str, str],
        root: Any,
        describe: Callable[[Any], Trackable],
        *,
        skip_mismatch: bool = False,
    ) -> None:
        self._bundle = bundle
        self._keys = keys
        self._live = live_leaves(root, describe)
        self._skip = skip_mismatch
        self._wrong: list[str] = []
        self._taken: dict[str, str] = {}

    @property
    def file(self) -> str:
        """The checkpoint's prefix."""
        return self._bundle.prefix

    def run(self) -> None:
        """Compare shapes, then assign.

        Raises MismatchError, with nothing assigned, where shapes differ.
        """
        plan = [
            (path, leaf, tensor)
            for path, _, leaf in self._live
            if (tensor := self._find(leaf.name)) is not None
        ]
        self._wrong = [
            f"{leaf.name}: stored {tensor.shape}, the program has {leaf.shape}"
            for _, leaf, tensor in plan
            if not fits(leaf, tensor)
        ]
        if self._wrong and not self._skip:
            raise MismatchError(
                "the checkpoint holds values of other shapes",
                mismatches=self._wrong,
                file=self.file,
            )
        fitting = [entry for entry in plan if fits(entry[1], entry[2])]
        give_all(read_all([(leaf, tensor) for _, leaf, tensor in fitting]))
        self._taken = {path: tensor.name for path, _, tensor in fitting}

    def _find(self, name: str) -> LazyTensor | None:
        """The tensor of a name, or, without the names of enclosing scopes, of its last parts."""
        parts = name.split("/")
        candidates = ("/".join(parts[start:]) for start in range(max(len(parts) - 1, 1)))
        found = (self._bundle.get(self._keys.get(name, name)) for name in candidates)
        return next((tensor for tensor in found if tensor is not None), None)

    def matched(self) -> list[str]:
        """Paths of live values that were restored."""
        return list(self._taken)

    def missing(self) -> list[str]:
        """Paths of live values without a stored one."""
        return [path for path, _, _ in self._live if path not in self._taken]

    def unexpected(self) -> list[str]:
        """Names of tensors that nothing took."""
        taken = set(self._taken.values())
        return [name for name in self._bundle if name not in (*taken, OBJECT_GRAPH_KEY)]

    def mismatched(self) -> list[str]:
        """Values left out because shapes differ."""
        return self._wrong


def nothing_matches(
    held: Iterable[str], wanted: Sequence[str], file: str, differences: Sequence[str] = ()
) -> MismatchError:
    """The error for a checkpoint of which nothing matches: what it holds, what is wanted.

    `differences` are lines about what matches by name but not in shape.
    """
    stored = [path_text(key.path) if (key := parse_key(name)) else name for name in held]
    stored = [name for name in stored if name not in (SAVE_COUNTER, OBJECT_GRAPH_KEY, "")]
    near = [
        f"nearest: {name} (wanted) and {found[0]} (in the file)"
        for name in wanted[:SHOWN]
        if (found := difflib.get_close_matches(name, stored, 1, 0.4))
    ]
    return MismatchError(
        "nothing in the checkpoint matches the program",
        mismatches=[
            _listed("the file holds", stored),
            _listed("the program wants", wanted),
            *near,
            *differences[:SHOWN],
        ],
        file=file,
    )


def _listed(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what}: {', '.join(names[:SHOWN])}{more}"
