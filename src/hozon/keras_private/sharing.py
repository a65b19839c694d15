"""Objects that stand in several places of a config, each made once.

Keras marks them by a ``shared_object_id`` in their entries, which counts within a scope. The scope
is Keras' own, so what users' classes deserialize by themselves is the same object too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras.src.backend.common import global_state
from keras.src.saving import serialization_lib

_OBJECTS = "shared_objects/id_to_obj_map"


class _Once(str):
    """The number of an object that is given out once: who asks again makes another."""


class _Objects(dict[Any, Any]):
    """The objects of a scope by their numbers."""

    def get(self, number: Any, default: Any = None) -> Any:
        made = super().get(number, default)
        if isinstance(number, _Once):
            self.pop(number, None)
        return made


@contextmanager
def sharing() -> Iterator[bool]:
    """A scope of shared objects; within another, that one. Gives whether it is a new one."""
    if global_state.get_global_attribute(_OBJECTS) is not None:
        yield False
        return
    global_state.set_global_attribute(_OBJECTS, _Objects())
    try:
        yield True
    finally:
        global_state.set_global_attribute(_OBJECTS, None)


def shared(number: Any) -> Any:
    """The object of a ``shared_object_id``; None where there is none yet, or no scope."""
    return None if number is None else serialization_lib.get_shared_object(number)


def share(number: Any, made: Any) -> None:
    """Keep an object under its ``shared_object_id``, if it has one and there is a scope."""
    if number is not None:
        serialization_lib.record_object_after_deserialization(made, number)


def hand_over(made: Any) -> str:
    """A ``shared_object_id`` by which Keras gives an object that is made already, once."""
    number = _Once(f"made {id(made)}")
    share(number, made)
    return number
