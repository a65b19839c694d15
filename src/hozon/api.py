"""The functions that people call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hozon.raw.collection import here_to_stay

if TYPE_CHECKING:
    import keras

    from hozon.reports import SaveReport

__all__ = ["load_model", "save_model"]

#: Formats of whole models by the suffix of a path; any other path is a SavedModel.
SUFFIXES = {".h5": "h5", ".hdf5": "h5", ".keras": "keras"}
FORMATS = ("savedmodel", "h5", "keras")


def save_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = True,
    include_optimizer: bool = True,
    signatures: Mapping[str, Any] | None = None,
    native_ops_only: bool = False,
) -> SaveReport:
    """Save a whole model: architecture, weights, compile information, optimizer state.

    Args:
        model: a built Keras model.
        path: where to; the folder around it must exist. What is there is replaced in one step.
        format: ``"savedmodel"`` (also ``"tf"``); None chooses by the suffix of `path`, a SavedModel
            where it has none that is known.
        overwrite: False refuses to replace what is there.
        include_optimizer: whether to save how the model was compiled, and the optimizer's state.
        signatures: of a SavedModel, besides ``serving_default``: for each name a pair of a function
            and the shapes and dtypes of its keywords, ``(serve, {"x": ((None, 3), "float32")})``.
        native_ops_only: of a SavedModel: refuse functions that TensorFlow's own ops cannot express
            instead of writing them as one XlaCallModule op each.

    Returns:
        What was written, and what the format could not hold.

    Raises:
        SaveError: the path cannot be written, or the model was never built. Nothing has changed.
        UnsupportedError: the format cannot hold the model.

    Example:
        >>> report = hozon.save_model(model, "my_model")
        >>> hozon.load_model("my_model").predict(x)
    """
    chosen = _format_of(path, format)
    if chosen != "savedmodel":
        raise ValueError(f"format {chosen!r} is none of {', '.join(map(repr, FORMATS))}")
    from hozon.containers.savedmodel.write import check_target, write
    from hozon.models.describe.content import Description
    from hozon.reports import SaveReport

    check_target(path, overwrite=overwrite)
    made = Description(
        model, include_optimizer=include_optimizer, signatures=signatures,
        native_only=native_ops_only,
    )  # fmt: skip
    nbytes = write(made, path, overwrite=overwrite)
    return SaveReport(os.fspath(path), chosen, nbytes, made.converted, made.lost, made.fallbacks)


def _format_of(path: str | os.PathLike[str], format: str | None) -> str:
    """The format that is asked for, or that the path's suffix means."""
    if format is not None:
        return "savedmodel" if format == "tf" else format
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    return SUFFIXES.get(suffix, "savedmodel")


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
    with here_to_stay():
        from hozon.containers.savedmodel.read import SavedModel
        from hozon.models.revive import revive

        return revive(SavedModel.read(path), custom_objects, compiled=compile)
