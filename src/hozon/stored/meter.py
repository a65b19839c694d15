"""How many bytes of tensors have been read or written, for whoever watches.

`count` is called in the one place that every tensor passes on its way out of a file or into one;
without a `metered` block around, it does nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

__all__ = ["Progress", "count", "metered"]

#: What watches: True is a bar on a terminal, a function gets bytes done and bytes in all.
Progress = Callable[[int, int], None] | bool | None


class Meter:
    """Bytes so far, of a total; several threads may count."""

    def __init__(self, watch: Callable[[int, int], None], total: int) -> None:
        self._watch, self._total, self._done = watch, total, 0
        self._lock = threading.Lock()

    def add(self, nbytes: int) -> None:
        """Count, and tell; what is read twice does not lead past the total."""
        with self._lock:
            self._done = min(self._done + nbytes, self._total)
            self._watch(self._done, self._total)

    def finish(self) -> None:
        """Tell that all is done."""
        with self._lock:
            self._watch(self._total, self._total)


_meter: ContextVar[Meter | None] = ContextVar("_meter", default=None)


def count(nbytes: int) -> None:
    """Some bytes of a tensor have been read or written."""
    meter = _meter.get()
    if meter is not None:
        meter.add(nbytes)


@contextmanager
def metered(progress: Progress, total: Callable[[], int], title: str) -> Iterator[None]:
    """Tell `progress` of the bytes that pass inside, and at the end that all have.

    Args:
        progress: who watches; None or False is nobody, and costs nothing.
        total: how many bytes there are, asked only if somebody watches.
        title: of a bar.
    """
    if progress is None or progress is False:
        yield
        return
    size = total()
    with _bar(title, size) if progress is True else nullcontext(progress) as watch:
        meter = Meter(watch, size)
        token = _meter.set(meter)
        try:
            yield
        finally:
            _meter.reset(token)
        meter.finish()


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while it is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda done, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, size: bar.update(task, completed=done)
