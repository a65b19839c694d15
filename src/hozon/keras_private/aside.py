"""Making objects that nobody keeps, so that what is made later is as if they had not been made."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import Any

from keras.src.backend.common import global_state
from keras.src.layers import layer
from keras.src.models import functional, model
from keras.src.random import seed_generator

from hozon.keras_private.bends import asked

#: What Keras keeps for each thread: numbers in names, and what draws random numbers.
NAMES, GENERATOR = "object_name_uids", seed_generator.GLOBAL_SEED_GENERATOR
_ASIDE: ContextVar[bool] = ContextVar("made aside", default=False)


class _Seeds:
    """Where Keras draws the seeds that it was not given."""

    def randint(self, low: int, high: int) -> int:
        """A number of Python's, or one that draws none from there."""
        return low if _ASIDE.get() else random.randint(low, high)  # noqa: S311 - Keras' own


class _Warnings:
    """What Keras warns of when it makes layers and models."""

    def warn(
        self, message: Any, category: type[Warning] | None = None, stacklevel: int = 1
    ) -> None:
        """A warning; none of what nobody keeps."""
        if not _ASIDE.get():
            warnings.warn(message, category, stacklevel=stacklevel + 1)


seed_generator.python_random = _Seeds()
layer.warnings = model.warnings = functional.warnings = _Warnings()


@contextmanager
def made_aside() -> Iterator[None]:
    """Objects made inside use up no names and no random numbers, and Keras warns of none.

    What a user's constructor draws from NumPy or Python itself is gone: all threads draw from
    there, and giving it back would give them the same numbers twice.
    """
    before = {name: global_state.get_global_attribute(name) for name in (NAMES, GENERATOR)}
    global_state.set_global_attribute(NAMES, copy(before[NAMES]))
    global_state.set_global_attribute(GENERATOR, None)
    try:
        with asked(_ASIDE, True):
            yield
    finally:
        for name, value in before.items():
            global_state.set_global_attribute(name, value)
