"""Saves that are written while the caller goes on, one after the other in one thread."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from hozon.reports import SaveReport

LOG = logging.getLogger("hozon")

Write = Callable[[], SaveReport]


class SaveQueue:
    """One thread, which a process waits for at its end, and what it does last."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="hozon-save")
        self._last: Future[None] | None = None

    def add(self, work: Callable[[], None]) -> Future[None]:
        """Do this after all that came before."""
        self._last = self.pool.submit(work)
        return self._last

    def wait(self) -> None:
        """Wait until nothing is left to do."""
        if self._last is not None:
            wait([self._last])


_queues = [SaveQueue()]


def save_queue() -> SaveQueue:
    """The line of this process."""
    return _queues[0]


def _new_line() -> None:
    _queues[0] = SaveQueue()


if hasattr(os, "register_at_fork"):  # a child of the process has no such thread
    os.register_at_fork(after_in_child=_new_line)


def in_background(path: str, form: str, prepare: Callable[[], Write]) -> SaveReport:
    """Start a save; the report is filled in when it is done.

    Waits for an earlier one first, so that memory holds the copies of one save at most. What fails
    is logged, as nobody may ever wait for it.
    """
    save_queue().wait()
    write = prepare()
    report = SaveReport(path, form)

    def run() -> None:
        report.take(write())

    report.task = save_queue().add(run)
    report.task.add_done_callback(lambda done: _log(path, done))
    return report


def in_turn(prepare: Callable[[], Write]) -> SaveReport:
    """A save by the caller, after those that are being written."""
    save_queue().wait()
    return prepare()()


def _log(path: str, task: Future[None]) -> None:
    error = task.exception()
    if error is not None:
        LOG.error("%s was not saved: %s", path, error)
