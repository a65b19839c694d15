"""Python's garbage collector, kept still while many objects are made."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Modules whose import is not worth the move.
FEW = 50

#: Held by the one thread that keeps the collector still.
_TURN = threading.Lock()


@contextmanager
def collection_paused() -> Iterator[bool]:
    """Collect no garbage inside; the value says whether that was up to this thread.

    Making tens of thousands of records that all live on sets off full collections, each of which
    walks everything that JAX and Keras hold: two thirds of the time of a save with 10,000
    variables.

    The collector is Python's one thing here that all threads share: it is kept still for one of
    them at a time, so that threads which load and save without end do not keep it still for good,
    and not at all where somebody has disabled it.
    """
    if not gc.isenabled() or not _TURN.acquire(blocking=False):
        yield False
        return
    try:
        gc.disable()
        yield True
    finally:
        gc.enable()
        _TURN.release()


@contextmanager
def gc_paused_for_imports() -> Iterator[None]:
    """Collect no garbage inside, and count modules imported there as old afterwards.

    Python would walk what modules hold again and again while its amount grows (0.3 s of a first
    prediction with Keras), and once more as young objects when it may collect again. Freezing and
    unfreezing moves them to the oldest generation unseen; where somebody else keeps objects frozen,
    that is left alone.

    Without new modules nothing is moved: a model of an earlier load that nobody needs any more must
    be found in time.
    """
    known = len(sys.modules)
    with collection_paused() as paused:
        try:
            yield
        finally:
            if paused and len(sys.modules) > known + FEW and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
