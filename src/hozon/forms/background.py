"""Saves that are written while the caller goes on, one after the other in one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache

from hozon.reports import SaveReport

LOG = logging.getLogger("hozon")


def in_background(path: str, form: str, write: Callable[[], SaveReport]) -> SaveReport:
    """Start to write; the report is filled in when it is done.

    A process does not end before its saves have. What fails is logged,
    as nobody may ever wait for it.
    """
    report = SaveReport(path, form)

    def run() -> None:
        report.take(write())

    task = _thread().submit(copy_context().run, run)
    report.task = task
    task.add_done_callback(lambda done: _log(path, done))
    return report


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="hozon-save")


def _log(path: str, task: Future[None]) -> None:
    error = task.exception()
    if error is not None:
        LOG.error("%s was not saved: %s", path, error)
