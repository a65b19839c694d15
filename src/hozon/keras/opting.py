"""Opting in and out: by an import until `restore`, or for a block.

The replaced methods are those of Keras' classes, hence of the whole process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from hozon.keras import hooks
from hozon.keras.namespace import is_registered

_LOCK = RLock()
#: Modules whose import opts in. They are forgotten when that ends, so that importing them again
#: opts in again; what they define lives in modules that stay.
OPTING = ("hozon.keras", "hozon.tf")


class _State:
    """What keeps the replacements in: an import statement, open blocks."""

    imported = False
    blocks = 0


def opt_in(*, lasting: bool) -> None:
    """Replace Keras' methods: until `restore`, or until a block of `opted_in` ends."""
    with _LOCK:
        _State.imported = lasting
        hooks.install()


def restore() -> None:
    """Put Keras' own methods back; importing ``hozon.keras`` again opts in again."""
    with _LOCK:
        _State.imported = False
        hooks.remove()
        for name in [*sys.modules]:
            if name in OPTING or is_registered(name):
                del sys.modules[name]
        for name in OPTING:
            vars(sys.modules["hozon"]).pop(name.removeprefix("hozon."), None)


@contextmanager
def opted_in() -> Iterator[None]:
    """Opted in inside; afterwards as it was before, hence plain unless an import opted in.

    Example:
        >>> import hozon
        >>> with hozon.keras.opted_in():
        ...     model.save("my_model")
    """
    with _LOCK:
        _State.blocks += 1
        hooks.install()
    try:
        yield
    finally:
        with _LOCK:
            _State.blocks -= 1
            if not _State.blocks and not _State.imported:
                restore()
