"""How Keras is bent: once for the process, and only for who asks.

A replaced method asks a `ContextVar` whether the thread that calls it wants the bend. A thread that
does not load or save sees Keras as it is, while others do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import update_wrapper
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def bend(
    owner: type | ModuleType, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace a method, or a module's function, by what `make` makes of it, while importing."""
    original = getattr(owner, name)
    setattr(owner, name, update_wrapper(make(original), original))


@contextmanager
def asked(variable: ContextVar[T], value: T) -> Iterator[T]:
    """`variable` has this value inside, for this thread alone."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)
