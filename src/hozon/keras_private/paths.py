"""The paths by which Keras 3 saves the objects of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import Any

from keras.src.saving import saving_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils import naming

from hozon.keras_private.graph import filed_layers

__all__ = ["saveables", "to_snake_case"]

#: What a property raises that cannot be asked yet; no part of a model is in it then.
NOT_YET = (
    AttributeError,
    TypeError,
    ValueError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    AssertionError,
)


to_snake_case = lru_cache(4096)(naming.to_snake_case)


@cache
def _hidden(kind: str) -> frozenset[str]:
    """Attributes that no object of a kind is saved by; Keras makes one to look, each time."""
    return frozenset(saving_lib.get_attr_skipset(kind))


#: The names of an object's attributes that may hold another object.
Names = Callable[[Any], Iterable[str]]
#: What a class holds that is no object to be saved, whichever instance is asked.
METHODS = (FunctionType, BuiltinFunctionType, classmethod, staticmethod)


def _names_once_a_class() -> Names:
    """What `dir` lists but for methods and what Keras hides; a class is looked through once.

    A layer has more than a hundred methods, and a walk meets few classes.
    """
    known: dict[type, frozenset[str] | None] = {}

    def names(target: Any) -> Iterable[str]:
        kind = type(target)
        if kind not in known:
            known[kind] = _names_of_class(kind)
        of_class = known[kind]
        listed = dir(target) if of_class is None else of_class | vars(target).keys()
        hidden = _hidden(target._obj_type())
        return [name for name in listed if not name.startswith("__") and name not in hidden]

    return names


def _names_of_class(kind: type) -> frozenset[str] | None:
    """The names that a class gives its instances; None where it lists them by a code of its own."""
    bases = kind.__mro__[:-1]  # without `object`
    if any("__dir__" in vars(base) for base in bases):
        return None
    held: dict[str, Any] = {}
    for base in reversed(bases):
        held.update(vars(base))
    return frozenset(name for name, value in held.items() if not isinstance(value, METHODS))


def _children(target: Any, names: Names) -> Iterator[tuple[str, Any]]:
    """The attributes by which Keras 3 saves what an object holds, in its order."""
    if target._obj_type() in ("Sequential", "Functional"):
        yield "layers", target.layers
    for name in sorted(names(target), key=saving_lib._name_key):
        try:
            child = getattr(target, name)
        except NOT_YET:
            continue
        yield name, child


def _children_in_keras2(target: Any, names: Names) -> Iterator[tuple[str, Any]]:
    """The attributes by which tf_keras saves what an object holds: the last of the alphabet first.

    A model's own list of layers stands among them, so an object has the path of its attribute only
    where that is behind "layers" in the alphabet.
    """
    layers = {"layers"} if hasattr(target, "layers") else set()
    for name in sorted({*names(target), *layers}, reverse=True):
        try:
            child = filed_layers(target) if name == "layers" else getattr(target, name)
        except NOT_YET:
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
    names = _names_once_a_class()

    def visit(target: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(target) in seen:
            return
        seen[id(target)] = target
        if isinstance(target, KerasSaveable):
            yield path, target
            for name, child in children(target, names):
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
