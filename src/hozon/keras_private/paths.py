"""The paths by which Keras 3 saves the objects of a model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from keras.src.saving import saving_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils.naming import to_snake_case

from hozon.keras_private.graph import filed_layers

__all__ = ["saveables", "to_snake_case"]


@cache
def _hidden(kind: str) -> frozenset[str]:
    """Attributes that no object of a kind is saved by; Keras makes one to look, each time."""
    return frozenset(saving_lib.get_attr_skipset(kind))


def _children(target: Any) -> Iterator[tuple[str, Any]]:
    """The attributes by which Keras 3 saves what an object holds, in its order."""
    kind = target._obj_type()
    if kind in ("Sequential", "Functional"):
        yield "layers", target.layers
    for name in sorted(dir(target), key=saving_lib._name_key):
        if not name.startswith("__") and name not in _hidden(kind):
            try:
                child = getattr(target, name)
            except Exception:  # noqa: BLE001, S112 - a property that cannot be asked yet
                continue
            yield name, child


def _children_in_keras2(target: Any) -> Iterator[tuple[str, Any]]:
    """The attributes by which tf_keras saves what an object holds: the last of the alphabet first.

    A model's own list of layers stands among them, so an object has the path of its attribute only
    where that is behind "layers" in the alphabet.
    """
    kind = target._obj_type()
    names = {name for name in dir(target) if not name.startswith("__")} - _hidden(kind)
    if hasattr(target, "layers"):
        names |= {"layers"}
    for name in sorted(names, reverse=True):
        try:
            child = filed_layers(target) if name == "layers" else getattr(target, name)
        except Exception:  # noqa: BLE001, S112 - a property that cannot be asked yet
            continue
        yield name, child


def saveables(root: Any, keras2: bool = False) -> Iterator[tuple[str, Any]]:
    """The objects that Keras 3 saves below one, each once, by the paths that its files use.

    An object is reached by the attribute that holds it; those in a list or dictionary by the names
    of their classes, numbered. With `keras2` the paths are those of tf_keras, which goes through
    attributes in another order and counts only objects that it has not met.
    """
    # By identity, and held: a list that a property makes would leave its identity to the next one.
    seen: dict[int, Any] = {}
    children = _children_in_keras2 if keras2 else _children

    def visit(target: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(target) in seen:
            return
        seen[id(target)] = target
        if isinstance(target, KerasSaveable):
            yield path, target
            for name, child in children(target):
                if isinstance(child, (KerasSaveable, list, dict, tuple)):
                    yield from visit(child, f"{path}/{name}" if path else name)
            return
        used: dict[str, int] = {}
        for item in list(target.values()) if isinstance(target, dict) else target:
            if isinstance(item, KerasSaveable):
                if keras2 and id(item) in seen:
                    continue
                name = saving_lib._get_unique_name(to_snake_case(type(item).__name__), used)
                yield from visit(item, f"{path}/{name}")
            elif isinstance(item, (list, dict, tuple)) and not keras2:
                yield from visit(item, f"{path}/{saving_lib._get_unique_name('container', used)}")

    yield from visit(root, "")
