"""`CheckpointManager`: keeps the newest checkpoints of a folder and deletes the others."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.arguments import checked, count_or_none, flag, path_to_write, text, whole_or_none, wrong
from hozon.formats.bundle import is_bundle
from hozon.graphs.processes import collective
from hozon.raw.stores import (
    is_inside,
    join,
    make_folders,
    names,
    parent_and_name,
    place,
    remove_file,
)
from hozon.train.checkpoint import Checkpoint
from hozon.train.state import (
    CheckpointState,
    check_state_file,
    get_checkpoint_state,
    latest_checkpoint,
    update_checkpoint_state,
)

SECONDS_PER_HOUR = 3600


class CheckpointManager:
    """Saves numbered checkpoints, keeps `max_to_keep` of them, and remembers them in a state file.

    Args:
        checkpoint: what is saved.
        directory: the folder, made if need be. What an earlier manager kept there is taken over.
        max_to_keep: how many to keep; None keeps all.
        keep_checkpoint_every_n_hours: besides, keep for good one that is this much younger than the
            last one kept for good.
        checkpoint_name: the files are called ``<checkpoint_name>-<number>``.
        step_counter: a counter with which `save` counts instead of the save counter.
        checkpoint_interval: with `step_counter`: `save` does nothing until so many steps passed.
        init_fn: called by `restore_or_initialize` when there is nothing to restore.

    Example:
        >>> manager = hozon.train.CheckpointManager(checkpoint, "ckpts", max_to_keep=3)
        >>> manager.restore_or_initialize()
        >>> manager.save()
    """

    @checked(
        directory=path_to_write,
        max_to_keep=whole_or_none,
        keep_checkpoint_every_n_hours=count_or_none,
        checkpoint_name=text,
        checkpoint_interval=whole_or_none,
    )
    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: str | os.PathLike[str],
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], None] | None = None,
    ) -> None:
        if not isinstance(checkpoint, Checkpoint):
            raise wrong("checkpoint", checkpoint, "a hozon.train.Checkpoint")
        if checkpoint_interval is not None and step_counter is None:
            raise wrong("step_counter", None, "a counter, which checkpoint_interval needs")
        self._checkpoint = checkpoint
        self._folder = place(directory)
        self._max_to_keep = max_to_keep
        self._every = keep_checkpoint_every_n_hours
        self._name = checkpoint_name
        self._step_counter = step_counter
        self._interval = checkpoint_interval
        self._init_fn = init_fn
        self._last_step: int | None = None
        make_folders(self._folder)
        self._kept: dict[str, float] = {}
        self._take_over(get_checkpoint_state(self._folder))

    def _take_over(self, state: CheckpointState | None) -> None:
        """Go on where the state file left off; files that are gone are forgotten.

        So are paths outside of the folder: what a state file says must not delete files elsewhere.
        """
        now = time.time()
        self._latest: str | None = None
        self._preserved = now
        if state is None:
            return
        paths = state.all_model_checkpoint_paths
        times = state.all_model_checkpoint_timestamps
        known = dict(zip(paths, times, strict=False)) if len(times) == len(paths) else {}
        if state.last_preserved_timestamp is not None and known:
            self._preserved = min(state.last_preserved_timestamp, now)
        self._kept = {
            path: known.get(path, now)
            for path in paths
            if is_inside(path, self._folder) and is_bundle(path)
        }
        self._latest = latest_checkpoint(self._folder)

    @property
    def directory(self) -> str:
        """The folder."""
        return self._folder

    @property
    def checkpoint(self) -> Checkpoint:
        """What is saved."""
        return self._checkpoint

    @property
    def checkpoint_interval(self) -> int | None:
        """How many steps lie between two saves."""
        return self._interval

    @property
    def latest_checkpoint(self) -> str | None:
        """The prefix of the latest checkpoint, None without one."""
        return self._latest

    @property
    def checkpoints(self) -> list[str]:
        """The prefixes of those kept, oldest first."""
        return list(self._kept)

    @checked(check_interval=flag)
    @collective
    def save(self, checkpoint_number: int | None = None, check_interval: bool = True) -> str | None:
        """Save, note it in the state file, then delete what need not be kept.

        Before an older one is deleted, the new one and the state file are on the disk for good.

        Args:
            checkpoint_number: the number in the file's name; the save counter by default.
            check_interval: whether to skip a save that comes before the interval is over.

        Returns:
            The prefix, or None if the interval is not over.

        Raises:
            SaveError: it cannot be written. Nothing has changed.
        """
        if self._interval is not None and check_interval and not self._is_due():
            return None
        check_state_file(self._folder)
        full = self._max_to_keep is not None and len(self._kept) >= self._max_to_keep
        path = self._write(checkpoint_number, durable=True if full else None)
        self._kept.pop(path, None)
        self._kept[path] = time.time()
        self._latest = path
        gone = self._surplus()
        self._record(durable=True if gone else None)
        for prefix in gone:
            delete_checkpoint(prefix)
        self._last_step = self._step()
        return path

    def restore_or_initialize(self) -> str | None:
        """Restore the latest checkpoint; without one, call `init_fn`.

        Returns the prefix restored from, or None.
        """
        if self._latest is None:
            if self._init_fn is not None:
                self._init_fn()
            return None
        self._checkpoint.restore(self._latest)
        self._last_step = self._step()
        return self._latest

    def _write(self, number: int | None, durable: bool | None) -> str:
        prefix = join(self._folder, self._name)
        if number is None and self._step_counter is not None:
            number = self._step()
        counter = self._checkpoint.save_counter
        before = int(counter)
        counter.assign_add(1)
        try:
            chosen = before + 1 if number is None else number
            return self._checkpoint.write(f"{prefix}-{chosen}", durable=durable)
        except BaseException:
            counter.assign(before)
            raise

    def _step(self) -> int | None:
        if self._step_counter is None:
            return None
        value = getattr(self._step_counter, "numpy", self._step_counter)
        return int(np.asarray(value() if callable(value) else value))

    def _is_due(self) -> bool:
        step = self._step()
        if self._last_step is None or step is None or self._interval is None:
            return True
        return step >= self._last_step + self._interval

    def _surplus(self) -> list[str]:
        """Take off the list what is no longer kept; returns what of it is to be deleted."""
        if self._max_to_keep is None:
            return []
        gone = []
        while len(self._kept) > self._max_to_keep:
            path, written = next(iter(self._kept.items()))
            del self._kept[path]
            if self._every and written - self._every * SECONDS_PER_HOUR >= self._preserved:
                self._preserved = written
            else:
                gone.append(path)
        return gone

    def _record(self, *, durable: bool | None) -> None:
        assert self._latest is not None
        kept = self._kept
        state = CheckpointState(self._latest, tuple(kept), tuple(kept.values()), self._preserved)
        update_checkpoint_state(self._folder, state, durable=durable)


def delete_checkpoint(prefix: str) -> None:
    """Delete the files of a checkpoint, the index first, so that no half of one looks whole."""
    folder, name = parent_and_name(prefix)
    data = re.compile(re.escape(name) + r"\.data-\d{5}-of-\d{5}")
    remove_file(f"{prefix}.index")
    for file in names(folder):
        if data.fullmatch(file):
            remove_file(join(folder, file))
