"""Opting in and out: by an import, for the process until `restore`; or for a block.

The methods of Keras' classes ask who calls them (`hooks.Replaced`): a block is seen by its own
thread alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from hozon.keras import hooks
from hozon.keras.namespace import is_registered
from hozon.keras_private.bends import asked

_LOCK = RLock()
#: Modules whose import opts in. They are forgotten when that ends, so that importing them again
#: opts in again; what they define lives in modules that stay.
OPTING = ("hozon.keras", "hozon.tf")


class _State:
    """What keeps the replacements in: an import statement, open blocks."""

    imported = False
    blocks = 0


def opt_in(*, lasting: bool) -> None:
    """Replace Keras' methods: until `restore`, or until a block of `opted_in` begins."""
    with _LOCK:
        _State.imported = lasting
        hooks.Everywhere.opted = True
        hooks.install()


def restore() -> None:
    """Put Keras' own methods back; importing ``hozon.keras`` again opts in again.

    Within a block of `opted_in` that block is over; those of other threads go on.
    """
    with _LOCK:
        _State.imported = hooks.Everywhere.opted = False
        hooks.opted.set(False)
        if not _State.blocks:
            hooks.remove()
        for name in [*sys.modules]:
            if name in OPTING or is_registered(name):
                del sys.modules[name]
        for name in OPTING:
            vars(sys.modules["hozon"]).pop(name.removeprefix("hozon."), None)


@contextmanager
def opted_in() -> Iterator[None]:
    """Opted in inside; afterwards as it was before, hence plain unless an import opted in.

    Other threads see nothing of it.

    Example:
        >>> import hozon
        >>> with hozon.keras.opted_in():
        ...     model.save("my_model")
    """
    with _LOCK:
        _State.blocks += 1
        hooks.Everywhere.opted = _State.imported  # not by the name in ``hozon.keras.opted_in``
        hooks.install()
    try:
        with asked(hooks.opted, True):
            yield
    finally:
        with _LOCK:
            _State.blocks -= 1
            if not _State.blocks and not _State.imported:
                restore()
