"""The outcomes behind status objects: by object graph, and by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from hozon.config.legacy.optimizers import steps_as_legacy
from hozon.formats.bundle import Bundle
from hozon.formats.protos.trackable import TrackableNode
from hozon.keras_private import keras
from hozon.keras_private.optimizers import is_placeholder, rate_of, wrapped
from hozon.models.assignment import Assignment, apply, close_account
from hozon.models.assignment.account import OPTIMIZER, REASONS, reachable
from hozon.models.assignment.assignment import variables_of
from hozon.models.assignment.by_name import LiveName, Rename, StoredName, pair_by_names
from hozon.models.report import LoadReport
from hozon.models.tracking.leaves import ComputedLeaf
from hozon.objects.keys import OBJECT_GRAPH_KEY, Key, parse_key, path_text
from hozon.objects.tracking import Leaf, Trackable, TrackedNode, track
from hozon.raw.collection import collection_paused
from hozon.train.restore import Restoration

SAVE_COUNTER = "save_counter"
#: Edge to the counter of steps of optimizers of Keras 2's older generation.
LEGACY_COUNTER = "iter"
#: Objects below which variables are looked for.
OWNERS = (keras.Layer, keras.Metric, keras.optimizers.Optimizer)


def live_leaves(
    root: Any, describe: Callable[[Any], Trackable]
) -> list[tuple[str, TrackedNode, Leaf]]:
    """(path, node, value) of all that exists now, save counters and computed values aside."""
    return _leaves(track(root, describe).nodes)


def _leaves(nodes: Sequence[TrackedNode]) -> list[tuple[str, TrackedNode, Leaf]]:
    return [
        (node.text, node, node.trackable.leaf)
        for node in nodes
        if node.trackable.leaf is not None
        and not isinstance(node.trackable.leaf, ComputedLeaf)
        and node.path[-1:] != (SAVE_COUNTER,)
    ]


def close(assignment: Assignment, bundle: Bundle, nodes: Sequence[TrackedNode]) -> None:
    """Close the account of a restore: all that hangs on live objects, and the whole file.

    What a live object keeps and no checkpoint can name is missing as well.
    """
    roots = [node.target for node in nodes if isinstance(node.target, OWNERS)]
    for live in reachable(*roots):
        if id(live.variable) in assignment.variables:
            continue
        if live.kind == OPTIMIZER and is_of_none(live.variable, roots):
            assignment.keep(f"{live.label}: nothing of it is used", live.variable)
        elif live.kind not in REASONS:
            assignment.miss(live.label, live.variable)
    close_account(assignment, (key for key in bundle if key != OBJECT_GRAPH_KEY), *roots)


def is_of_none(variable: keras.Variable, roots: Sequence[Any]) -> bool:
    """Whether a variable of an optimizer stands for none, or is a wrapper's own rate."""
    wrappers = [root for root in roots if hasattr(root, "inner_optimizer")]
    return is_placeholder(variable) or any(variable is rate_of(one) for one in wrappers)


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

    @collection_paused()
    def report(self) -> LoadReport:
        """What was restored, by live paths, and what is left on either side, by the file's."""
        done = self._restoration
        done.again()
        assignment = Assignment()
        assignment.report.mismatched += done.mismatched
        nodes = track(self._root, self._describe).nodes
        for path, node, leaf in _leaves(nodes):
            if done.node_of(node.target) in done.assigned:
                assignment.took(path, leaf)
            else:
                assignment.miss(path, *variables_of(leaf))
        self._stored(assignment)
        assignment.report.lost += self._other_steps()
        close(assignment, done.bundle, nodes)
        return assignment.report

    def _stored(self, assignment: Assignment) -> None:
        """What became of each tensor of the file."""
        done = self._restoration
        waiting = done.deferred()
        for node, keys in done.keys().items():
            if node in done.assigned:
                assignment.tensors.update(keys)
            elif node in waiting:
                assignment.defer(done.name(node), *keys)
            else:
                assignment.surplus(*keys, label=done.name(node))
        rest = (key for key in done.bundle if key not in assignment.tensors)
        assignment.surplus(*(key for key in rest if key != OBJECT_GRAPH_KEY))

    def _other_steps(self) -> list[str]:
        """Optimizers of the older generation whose state went to one that makes other steps."""
        restoration = self._restoration
        return [
            f"{restoration.name(node)}: the file's is of Keras 2's older generation, which made "
            f"other steps than keras.optimizers.{type(wrapped(target)).__name__}"
            for node, target in restoration.objects.items()
            if isinstance(target, keras.optimizers.Optimizer)
            and any(edge.name == LEGACY_COUNTER for edge in restoration.nodes[node].children)
            and not steps_as_legacy(wrapped(target))
        ]

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


def paths_in(bundle: Iterable[str]) -> Iterator[str]:
    """What a checkpoint holds, by path."""
    for name in bundle:
        key = parse_key(name)
        path = name if key is None else path_text(key.path)
        if path not in (SAVE_COUNTER, OBJECT_GRAPH_KEY, ""):
            yield path


def named_values(bundle: Bundle, nodes: Sequence[TrackableNode]) -> list[StoredName]:
    """What a checkpoint holds, by the names of variables, by paths, and by keys.

    Where there is no object graph a key is the variable's name.
    """
    told = {
        tensor.key: tensor.full_name
        for node in nodes
        for tensor in node.tensors
        if tensor.full_name and _key(tensor.key) is not None
    }
    scope = _scope(told.values())
    names = {key: (name.removeprefix(scope), name) for key, name in told.items()}
    found = []
    for key in bundle:
        parsed = _key(key)
        if parsed is not None:
            places = (path_text(parsed.path), key)
            found.append(StoredName(bundle[key], names.get(key, ()), key, places))
        elif key != OBJECT_GRAPH_KEY and parse_key(key) is None:
            found.append(StoredName(bundle[key], (key,), key))
    return found


def _key(text: str) -> Key | None:
    """A key's parts; None for that of an optimizer's state, which no names tell apart."""
    key = parse_key(text)
    own = key is not None and key.optimizer is None and "optimizer" not in key.path
    return key if own else None


def _scope(names: Iterable[str]) -> str:
    """The name of the model, where it stands before those of all variables."""
    every = list(names)
    scope = every[0].partition("/")[0] + "/" if every else ""
    return scope if all(n.startswith(scope) and n.count("/") > 1 for n in every) else ""


class NameOutcome:
    """Restores by variable name, or as the caller renames, and remembers the outcome."""

    def __init__(
        self,
        bundle: Bundle,
        nodes: Sequence[TrackableNode],
        root: Any,
        describe: Callable[[Any], Trackable],
        *,
        skip_mismatch: bool = False,
        rename: Rename = None,
        partial: bool = True,
    ) -> None:
        self._bundle = bundle
        self._nodes = nodes
        self._live = track(root, describe).nodes
        self._skip = skip_mismatch
        self._rename = rename
        self._partial = partial
        self._assignment = Assignment()

    @property
    def file(self) -> str:
        """The checkpoint's prefix."""
        return self._bundle.prefix

    def report(self) -> LoadReport:
        """What was restored; nothing waits, as names are those of now."""
        return self._assignment.report

    def run(self) -> None:
        """Compare shapes, then assign.

        Raises MismatchError, with nothing assigned; see `pair_by_names`.
        """
        assignment = self._assignment
        optimizers = self._optimizers()
        live = []
        for path, _, leaf in _leaves(self._live):
            if optimizers & {id(v) for v in variables_of(leaf)}:
                assignment.keep(f"{path}: names tell no optimizer's state", *variables_of(leaf))
            else:
                live.append(LiveName(leaf, (leaf.name,), path, (path,)))
        pair_by_names(
            live,
            named_values(self._bundle, self._nodes),
            assignment,
            self.file,
            rename=self._rename,
            partial=self._partial,
            skip_mismatch=self._skip,
        )
        apply(assignment, self.file)
        rest = (key for key in self._bundle if key not in assignment.tensors)
        assignment.surplus(*(key for key in rest if key != OBJECT_GRAPH_KEY))
        close(assignment, self._bundle, self._live)

    def _optimizers(self) -> set[int]:
        """The variables of optimizers, by identity."""
        roots = [node.target for node in self._live if isinstance(node.target, OWNERS)]
        return {id(live.variable) for live in reachable(*roots) if live.kind == OPTIMIZER}
