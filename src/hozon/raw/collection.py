"""Python's garbage collector, kept still while many objects are made."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Modules whose import is not worth the move.
FEW = 50


@contextmanager
def collection_paused() -> Iterator[None]:
    """Collect no garbage inside.

    Making tens of thousands of records that all live on sets off full collections, each of which
    walks everything that JAX and Keras hold: two thirds of the time of a save with 10,000
    variables.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def here_to_stay() -> Iterator[None]:
    """Collect no garbage inside, and count modules imported there as old afterwards.

    Python would walk what modules hold again and again while its amount grows (0.3 s of a first
    prediction with Keras), and once more as young objects when it may collect again. Freezing and
    unfreezing moves them to the oldest generation unseen; where somebody else keeps objects frozen,
    that is left alone.

    Without new modules nothing is moved: a model of an earlier load that nobody needs any more must
    be found in time.
    """
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if len(sys.modules) > known + FEW and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
