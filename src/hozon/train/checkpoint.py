"""`Checkpoint`: saves and restores live objects in TensorFlow's object-based format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from hozon.arguments import checked, flag_or_none, path_or_none, path_to_read, prefix_to_write
from hozon.errors import ArgumentError, FormatError, HozonError, MismatchError, SaveError
from hozon.formats.bundle import Bundle
from hozon.formats.bundle.writer import write_bundle
from hozon.formats.protos.trackable import (
    TrackableNode,
    decode_trackable_graph,
    encode_trackable_graph,
)
from hozon.graphs.processes import collective
from hozon.keras_private import keras
from hozon.models.assignment.by_name import Rename, nothing_matches
from hozon.models.assignment.finalize import finalize_layers
from hozon.models.built import sync_variables
from hozon.models.tracking import Describer, is_trackable
from hozon.models.tracking.check import check_names
from hozon.models.tracking.containers import items_with_arrays
from hozon.models.tracking.leaves import ComputedLeaf, is_array
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.objects.tracking import Leaf, Trackable, track
from hozon.raw.collection import collection_paused
from hozon.raw.stores import (
    make_folders,
    parent_and_name,
    place,
    remove_folders,
    require_writable,
)
from hozon.stored.dtypes import STRING
from hozon.stored.lazy import LazyTensor
from hozon.train.outcome import (
    SAVE_COUNTER,
    GraphOutcome,
    NameOutcome,
    live_leaves,
    paths_in,
)
from hozon.train.reader import open_checkpoint
from hozon.train.restore import Restoration
from hozon.train.state import CheckpointState, check_state_file, update_checkpoint_state
from hozon.train.status import InitializationOnlyStatus, LoadStatus

#: What a checkpoint can hold, in words.
HELD = "models, layers, optimizers, metrics, variables, arrays and containers of them"


class Counter:
    """A 64-bit counter that is saved, such as a checkpoint's own or a training step."""

    name = "counter"

    def __init__(self, value: int = 0) -> None:
        self._value = int(value)

    def assign(self, value: Any) -> None:
        """Set it."""
        self._value = int(np.asarray(value))

    def assign_add(self, delta: int) -> int:
        """Add to it; returns the sum."""
        self._value += int(delta)
        return self._value

    def numpy(self) -> Any:
        """The value as an int64 array without axes."""
        return np.asarray(self._value, np.int64)

    def __int__(self) -> int:
        return self._value

    __index__ = __int__


class Checkpoint:
    """Objects that are saved and restored together, each under its argument's name.

    Args:
        root: an object whose own children stand at the top, as TensorFlow's ``root``.
        **kwargs: models, layers, optimizers, metrics, variables, lists, tuples and dictionaries of
            them, other checkpoints, JAX and NumPy arrays. A restored array takes the place of the
            old one, here as an attribute or in its dictionary or list.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> checkpoint = hozon.train.Checkpoint(model=model, optimizer=optimizer)
        >>> path = checkpoint.save("ckpts/training")
        >>> checkpoint.restore(path).assert_consumed()
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        self.__dict__["_attributes"] = {}
        self.__dict__["_watchers"] = []
        self.__dict__["_root"] = root
        self.__dict__["_restoration"] = None
        if root is not None and not is_trackable(root):
            raise _not_trackable("root", root)
        for name, value in sorted(kwargs.items()):
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if not is_trackable(value) and not is_array(value):
            raise _not_trackable(name, value)
        self._attributes[name] = value
        for watcher in list(self._watchers):
            child = value if not is_array(value) else self.tracked_children()[name]
            watcher.attribute(self, name, child)

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__.get("_attributes", {})
        if name not in attributes:
            raise AttributeError(f"this Checkpoint has no attribute {name!r}")
        return attributes[name]

    def __delattr__(self, name: str) -> None:
        if self._attributes.pop(name, None) is None:
            raise AttributeError(f"this Checkpoint has no attribute {name!r}")

    def tracked_children(self) -> Mapping[str, Any]:
        """The objects by name."""
        return items_with_arrays(self._attributes)

    def add_watcher(self, watcher: Any) -> None:
        """Tell a restoration of attributes that are set from now on."""
        self._watchers.append(watcher)

    def remove_watcher(self, watcher: Any) -> None:
        """Tell it no longer."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    @property
    def save_counter(self) -> Counter:
        """How often `save` was called, which numbers the files."""
        counter: Counter = self._attributes.setdefault(SAVE_COUNTER, Counter())
        return counter

    @checked(file_prefix=prefix_to_write, durable=flag_or_none)
    @collective
    def save(self, file_prefix: str | os.PathLike[str], *, durable: bool | None = None) -> str:
        """Save as ``<file_prefix>-<number>`` and note it as the folder's latest.

        Args:
            file_prefix: path of the files without number and suffix. Missing folders are made.
            durable: whether to wait until the disk has it, so that it outlives a power cut; None
                waits where a checkpoint is replaced.

        Returns:
            The prefix of the checkpoint.

        Raises:
            SaveError: it cannot be written. Nothing has changed.
            MismatchError: two variables would have one name.
        """
        check_state_file(parent_and_name(place(file_prefix))[0])
        counter = self.save_counter
        before = int(counter)
        counter.assign_add(1)
        try:
            path = self.write(f"{place(file_prefix)}-{int(counter)}", durable=durable)
        except BaseException:
            counter.assign(before)
            raise
        note_latest(path, durable=durable)
        return path

    @checked(file_prefix=prefix_to_write, durable=flag_or_none)
    @collective
    def write(self, file_prefix: str | os.PathLike[str], *, durable: bool | None = None) -> str:
        """Save under exactly this prefix, without counting and without a state file.

        See `save` for arguments and errors.
        """
        return self.prepare(file_prefix, durable=durable)()

    def prepare(
        self,
        file_prefix: str | os.PathLike[str],
        *,
        durable: bool | None = None,
        hold: bool = False,
    ) -> Callable[[], str]:
        """A function that does what `write` does.

        With `hold` the values are copied now, so that they may change before it is called.
        """
        path = require_writable(file_prefix)
        tensors: Iterable[tuple[str, Any]] = ((key, leaf.read()) for key, leaf in self._leaves())
        if hold:
            tensors = [(key, np.array(value, copy=True)) for key, value in tensors]

        def written() -> str:
            with made_folder(parent_and_name(path)[0]):
                write_bundle(path, tensors, durable=durable)
            return path

        return written

    @checked(save_path=path_or_none)
    def restore(self, save_path: str | os.PathLike[str] | None) -> LoadStatus:
        """Restore what a file of `save` holds, save counter included.

        Values of variables that do not exist yet are assigned when they are created.

        Args:
            save_path: the prefix of a checkpoint, a folder whose latest is meant, a SavedModel, or
                None, which changes nothing.

        Raises:
            MismatchError: nothing matches, or shapes differ; nothing was assigned.
            FormatError: there is no checkpoint, or it is damaged.
        """
        if save_path is None:
            return InitializationOnlyStatus()
        bundle = open_checkpoint(save_path)
        _ = self.save_counter
        return self._read(bundle)

    @checked(save_path=path_to_read)
    def read(self, save_path: str | os.PathLike[str]) -> LoadStatus:
        """Restore what a file of `write` holds; as `restore`, without the save counter."""
        return self._read(open_checkpoint(save_path))

    @collection_paused()
    def _read(
        self,
        bundle: Bundle,
        *,
        skip_mismatch: bool = False,
        by_name: bool = False,
        rename: Rename = None,
    ) -> LoadStatus:
        root, describe = self._graph()
        stored = bundle.get(OBJECT_GRAPH_KEY)
        nodes = () if stored is None else _object_graph(stored, bundle.prefix)
        if stored is None or by_name or rename is not None:
            return self._read_names(
                bundle,
                nodes,
                skip_mismatch=skip_mismatch,
                rename=rename,
                partial=by_name or rename is None,
            )
        restoration = Restoration(bundle, nodes, describe, skip_mismatch=skip_mismatch)
        outcome = GraphOutcome(restoration, root, describe)

        def check(planned: set[int]) -> None:
            if len(bundle) == 1 or restoration.is_deferred or outcome.is_met_by(planned):
                return
            wanted = [path for path, _, _ in live_leaves(root, describe)]
            if wanted:
                held = [*paths_in(bundle)]
                raise nothing_matches(held, wanted, bundle.prefix, restoration.mismatched)

        restoration.start(root, check)
        if self._restoration is not None:
            self._restoration.stop()
        self.__dict__["_restoration"] = restoration
        outcome.report()  # closes the account
        return LoadStatus(outcome)

    def _read_names(
        self,
        bundle: Bundle,
        nodes: Sequence[TrackableNode],
        *,
        skip_mismatch: bool,
        rename: Rename,
        partial: bool,
    ) -> LoadStatus:
        """Match by the names of variables."""
        root, describe = self._graph()
        outcome = NameOutcome(
            bundle,
            nodes,
            root,
            describe,
            skip_mismatch=skip_mismatch,
            rename=rename,
            partial=partial,
        )
        outcome.run()
        for layer in (root, *self._attributes.values()):
            if isinstance(layer, keras.Layer):
                finalize_layers(layer)
        return LoadStatus(outcome)

    def _leaves(self) -> list[tuple[str, Leaf]]:
        """(key, value) of all that is saved, in the order of keys."""
        for value in (self._root, *self._attributes.values()):
            sync_variables(value)
        with collection_paused():
            root, describe = self._graph()
            graph = track(root, describe)
            check_names(graph)
            data = encode_trackable_graph(graph.record())
            stored = (OBJECT_GRAPH_KEY, ComputedLeaf(OBJECT_GRAPH_KEY, STRING, (), lambda: data))
            return sorted((*graph.leaves(), stored), key=lambda entry: entry[0])

    def _graph(self) -> tuple[Any, _RootDescriber]:
        root = self if self._root is None else self._root
        return root, _RootDescriber(root, self)


class _RootDescriber:
    """Describes objects; to a root that is not the checkpoint itself it adds the attributes."""

    def __init__(self, root: Any, checkpoint: Checkpoint) -> None:
        self._root = root
        self._checkpoint = checkpoint

    def __call__(self, target: Any) -> Trackable:
        found = self._describer(target)
        if target is not self._root or self._root is self._checkpoint:
            return found
        extra = {"root": self._root, **self._checkpoint.tracked_children()}
        taken = [
            name for name, value in extra.items() if found.children.get(name, value) is not value
        ]
        if taken:
            raise MismatchError(
                "a Checkpoint's root and its arguments have the same names", mismatches=taken
            )
        children = {**found.children, **extra}
        return replace(found, children=children)

    @property
    def _describer(self) -> Describer:
        # A new one each time: models appear while a restoration is deferred.
        return Describer(
            self._checkpoint if self._root is self._checkpoint else [self._root, self._checkpoint]
        )


def _object_graph(stored: LazyTensor, file: str) -> Sequence[TrackableNode]:
    value = stored.read()
    data = value.item() if value.shape == () else None
    if not isinstance(data, bytes):
        raise FormatError(
            "the object graph of the checkpoint is not one string",
            file=file,
            record=OBJECT_GRAPH_KEY,
            expected="string ()",
            found=f"{stored.dtype} {stored.shape}",
        )
    nodes = decode_trackable_graph(data, file=file).nodes
    if not nodes:
        raise FormatError(
            "the object graph of the checkpoint has no objects", file=file, record=OBJECT_GRAPH_KEY
        )
    return nodes


def note_latest(path: str, *, durable: bool | None = None) -> None:
    """Name a checkpoint as the latest of its folder, and as the only one known."""
    state = CheckpointState(path, (path,))
    update_checkpoint_state(parent_and_name(path)[0], state, durable=durable)


@contextmanager
def made_folder(folder: str) -> Iterator[None]:
    """Make a folder and those around it where they are missing; unmake them if the body fails.

    Raises SaveError where that is not possible.
    """
    made: list[str] = []
    try:
        made = make_folders(folder)
        yield
    except BaseException as error:
        remove_folders(made)
        if isinstance(error, OSError) and not isinstance(error, HozonError):
            raise SaveError(
                f"nothing can be saved in {folder}: {error.strerror or error}",
                file=folder,
                errno=error.errno,
            ) from error
        raise


def _not_trackable(name: str, value: Any) -> ArgumentError:
    return ArgumentError(
        f"a Checkpoint holds {HELD}; {name!r} is {type(value).__name__}. Give a number as "
        "hozon.train.Counter(value) or numpy.asarray(value)",
        argument=name,
        accepted=HELD,
    )
