"""Models whose class is extended in place; Keras goes on to know it by the name that it had."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from keras.src import api_export
from keras.src.saving import object_registration

if TYPE_CHECKING:
    import keras

#: Where Keras finds the name that a config has for a class: its own, and those registered.
TABLES = (api_export.REGISTERED_OBJS_TO_NAMES, object_registration.GLOBAL_CUSTOM_NAMES)
#: The extensions of classes that have such a name, by class and extension: one each.
_MADE: dict[tuple[type, type], type] = {}


def extend(model: keras.Model, extension: type) -> None:
    """Put `extension` before the class of a model; its name and its config's stay."""
    kind = type(model)
    if not issubclass(kind, extension):
        model.__class__ = _extended(kind, extension)


def _as(kind: type, name: str, extension: type) -> Callable[..., Any]:
    """The method of an extension, with the signature that a class has for it."""
    function = getattr(extension, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return update_wrapper(method, getattr(kind, name))


def _extended(kind: type, extension: type) -> type:
    found = _MADE.get((kind, extension))
    if found is not None:
        return found
    names: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    if "call" in vars(extension):  # takes what the class' own takes, and Keras asks what that is
        names["call"] = _as(kind, "call", extension)
    made = type(kind.__name__, (extension, kind), names)
    for table in TABLES:
        if kind in table:
            made = _MADE.setdefault((kind, extension), made)
            table[made] = table[kind]
    return made
