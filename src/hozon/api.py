"""The functions that people call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

__all__ = ["load_model"]


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> keras.Model:
    """Load a whole model as a live Keras model.

    Args:
        path: a SavedModel directory.
        custom_objects: classes and functions of the model by name. Objects without a class come
            back as classes of the saved name that run the saved functions.
        compile: whether to compile the model as it was when saved, optimizer state included.

    Returns:
        A model that predicts, evaluates and trains. ``model.load_report`` says how each object
        came back and which variables were found.

    Raises:
        FormatError: the path holds no SavedModel, or a damaged one.
        UnsupportedError: the model needs something that this version cannot do.
        MissingObjectError: a class or function must be supplied.

    Example:
        >>> model = hozon.load_model("my_model")
        >>> model.predict(x)
    """
    from hozon.containers.savedmodel.read import SavedModel
    from hozon.models.revive import revive

    return revive(SavedModel.read(path), custom_objects, compiled=compile)
