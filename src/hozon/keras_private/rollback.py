"""Variables as they were, where a load stops half way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@contextmanager
def unchanged_on_error(variables: Iterable[keras.Variable]) -> Iterator[None]:
    """Give variables their values of before if the body fails; values are not copied for that.

    A variable that has no value yet, as Keras made it while tracing shapes, has its initializer.
    """
    before = [(v, v._value, getattr(v, "_initializer", None)) for v in variables]
    try:
        yield
    except BaseException:
        for variable, value, initializer in before:
            variable._value, variable._initializer = value, initializer
        raise
