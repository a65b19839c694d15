"""What is to be written is held against what its reader will look for, before it is written.

The reader's own rules are what is asked: the config is built, by the classes that the model has
now, and the record's weights are paired with the variables of what comes of it. Nothing is
initialized, no value is read, and nothing is left of it. Models of Keras' classes alone are known
to come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

from hozon.config.build import build_model
from hozon.config.own_objects import own_objects
from hozon.config.registry import builtin
from hozon.config.tagged import is_serialized
from hozon.config.upgrade import MODELS
from hozon.errors import HozonError, MismatchError, MissingObjectError, UnsupportedError
from hozon.keras_private.aside import made_aside
from hozon.keras_private.values import deferred_initializers
from hozon.models.assignment import Assignment
from hozon.record import ModelRecord

#: What users' constructors, `from_config` and `build` may raise.
REFUSALS = (
    HozonError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def require_readable(
    model: keras.Model,
    record: ModelRecord,
    pair: Callable[[Any, ModelRecord], Assignment],
    form: str,
) -> None:
    """Refuse a record that its reader could not make the model of again.

    Args:
        model: what is to be written.
        record: what is to be written of it, with a config.
        pair: what the form's reader pairs weights with variables by.
        form: what people call it, with its article.

    Raises:
        UnsupportedError: the model's classes do not take what their configs say, or make other
            variables of it.
    """
    own = own_objects(model)
    if not own:
        return
    try:
        with made_aside(), deferred_initializers():
            again = build_model(record.config or {}, custom_objects=own, dialect=record.dialect)
            left = pair(again, record).report.unexpected
            if left:
                raise MismatchError("variables would find no place", mismatches=left)
    except MissingObjectError:  # what else the user has to give cannot be known from the model
        return
    except REFUSALS as error:
        names = sorted({value.__name__ for value in own.values() if isinstance(value, type)})
        raise UnsupportedError(
            f"{form} would not be readable: made again from its config, the model is refused: "
            f"{error}",
            feature=", ".join(names) or type(model).__name__,
            instead="a get_config() that says all that a class is made with, and a from_config() "
            "that takes it; or a SavedModel, or hozon.save_weights and the model's own code",
        ) from error


def held_by_own(value: Any, owner: str | None = None) -> Iterator[tuple[str, str]]:
    """The layers and models of Keras in the configs of users' layers: class of both.

    Args:
        value: a config, or a part of it.
        owner: the user's class that it is a part of.
    """
    if is_serialized(value):
        name = str(value["class_name"])
        if name in MODELS or builtin("layer", name):
            if owner is not None and "name" in (value.get("config") or ()):
                yield owner, name
            owner = None
        elif "inbound_nodes" in value or "name" in (value.get("config") or ()):
            owner = name
    if isinstance(value, dict):
        for key, item in value.items():
            yield from held_by_own(item, None if key == "layers" else owner)
    elif isinstance(value, list):
        for item in value:
            yield from held_by_own(item, owner)
