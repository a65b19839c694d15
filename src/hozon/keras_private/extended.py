"""Models whose class is extended in place; Keras goes on to know it by the name that it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def _extended(kind: type, extension: type) -> type:
    found = _MADE.get((kind, extension))
    if found is not None:
        return found
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    made = type(kind.__name__, (extension, kind), names)
    for table in TABLES:
        if kind in table:
            made = _MADE.setdefault((kind, extension), made)
            table[made] = table[kind]
    return made
