"""Lists, tuples and dictionaries as trackable objects: items by position or key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

import keras

from hozon.errors import MismatchError
from hozon.models.tracking.leaves import ItemLeaf, is_array, is_assignable
from hozon.objects.tracking import Trackable, Virtual

KERAS_OBJECTS = (
    keras.Variable,
    keras.Layer,
    keras.Metric,
    keras.optimizers.Optimizer,
    keras.random.SeedGenerator,
)
#: What most attributes of layers are: nothing to track, and quickly told.
PLAIN = frozenset({type(None), bool, int, float, str, FunctionType, MethodType})


def is_object(value: Any) -> bool:
    """Whether a value is trackable in itself, not as a container."""
    if isinstance(value, (Virtual, *KERAS_OBJECTS)):
        return True
    return hasattr(type(value), "tracked_children") or is_assignable(value)


def is_container(value: Any) -> bool:
    """Whether a value is a container whose items are tracked."""
    return isinstance(value, (list, tuple, dict))


def contains(value: Any, seen: frozenset[int] = frozenset(), *, arrays: bool = False) -> bool:
    """Whether a value is trackable, or a container with something trackable inside.

    Arrays count where `arrays` is true: those of a checkpoint are saved, a layer's are constants.
    """
    if type(value) in PLAIN:
        return False
    if is_object(value) or (arrays and is_array(value)):
        return True
    if not is_container(value) or id(value) in seen:
        return False
    inside = value.values() if isinstance(value, dict) else value
    return any(contains(item, seen | {id(value)}, arrays=arrays) for item in inside)


def describe_container(container: Any) -> Trackable:
    """The items of a list, tuple or dictionary that are trackable.

    Raises MismatchError where two keys, such as 1 and "1", are one name.
    """
    return Trackable(_named(container))


def items_with_arrays(container: Mapping[Any, Any]) -> dict[str, Any]:
    """The trackable items of a mapping, arrays included, by name."""
    return _named(container)


def _named(container: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in _items(container):
        if name in found:
            raise MismatchError(f"two keys of a dictionary are {name!r} in files")
        found[name] = value
    return found


def _items(container: Any) -> Iterator[tuple[str, Any]]:
    pairs = container.items() if isinstance(container, Mapping) else enumerate(container)
    for key, value in pairs:
        if is_array(value):
            yield str(key), Virtual(container, str(key), Trackable(leaf=ItemLeaf(container, key)))
        elif contains(value, arrays=True) or (is_container(value) and not value):
            yield str(key), value
