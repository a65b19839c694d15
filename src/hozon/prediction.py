"""Running a signature or a whole Keras model on given arrays: ``hozon predict``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.arguments import checked, objects_or_none, path_to_read, text_or_none
from hozon.errors import MismatchError, MissingSignatureError
from hozon.forms import form_of
from hozon.raw.stores import place
from hozon.stored.dtypes import dtype_of_name

if TYPE_CHECKING:
    from hozon.graph_level.specs import Sizes

__all__ = ["predict"]

#: The name of an input that is given none.
ONLY = ""


@checked(path=path_to_read, signature=text_or_none, custom_objects=objects_or_none)
def predict(
    path: str | os.PathLike[str],
    inputs: Mapping[str, Any],
    signature: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run one signature of a SavedModel, or a Keras model of any form.

    Args:
        path: the saved model.
        inputs: arrays by input name; lists become arrays of the type that is taken. The only input
            of a model may go without a name, under ``""``.
        signature: its name; None takes ``serving_default``, or the only one, and calls the Keras
            model where there is none.
        custom_objects: classes and functions of a Keras model by name.

    Returns:
        Arrays by output name; the parts of a ragged or sparse output are ``name#part``.

    Raises:
        MismatchError: no such signature, or inputs that it does not take.
    """
    if form_of(place(path)).functions:
        from hozon.saved_model import load

        signatures = load(path).signatures
        if signatures or signature is not None:
            return _by_signature(str(path), signatures, signature, inputs)
    return _by_model(path, inputs, signature, custom_objects)


def _by_signature(
    path: str, signatures: Mapping[str, Any], name: str | None, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    from hozon.graph_level.structures import parts

    if name is None:
        name = next(iter(signatures)) if len(signatures) == 1 else "serving_default"
    if name not in signatures:
        raise MissingSignatureError(name, [*signatures], path)
    function = signatures[name]
    _, specs = function.structured_input_signature
    taken = {
        key: (getattr(spec, "dtype", ""), getattr(spec, "shape", None))
        for key, spec in specs.items()
    }
    outputs = function(**_fitted(inputs, taken, path))
    return {key: np.asarray(array) for key, array in parts(outputs).items()}


def _by_model(
    path: str | os.PathLike[str],
    inputs: Mapping[str, Any],
    signature: str | None,
    custom_objects: Mapping[str, Any] | None,
) -> dict[str, Any]:
    import keras

    from hozon.api import load_model
    from hozon.keras_private.graph import functional_of, input_structure

    model = load_model(path, custom_objects=custom_objects, compile=False, signature=signature)
    functional = functional_of(model)
    structure = None if functional is None else input_structure(functional)
    tensors = keras.tree.flatten(structure) if structure is not None else []
    taken = {tensor.name: (str(tensor.dtype), tuple(tensor.shape)) for tensor in tensors}
    given = _fitted(inputs, taken, str(path)) if taken else dict(inputs)
    ordered = [given[name] for name in taken or given]
    if structure is not None:
        ordered = keras.tree.pack_sequence_as(structure, ordered)
    elif len(ordered) == 1:
        (ordered,) = ordered
    found = model.predict(ordered, verbose=0)
    return _named(found, getattr(functional, "output_names", None))


def _named(found: Any, names: list[str] | None) -> dict[str, Any]:
    """Outputs of a model by name."""
    if isinstance(found, dict):
        return {name: np.asarray(value) for name, value in found.items()}
    values = list(found) if isinstance(found, (list, tuple)) else [found]
    told = names if names and len(names) == len(values) else None
    return {told[i] if told else f"output_{i}": np.asarray(value) for i, value in enumerate(values)}


def _fitted(
    inputs: Mapping[str, Any], taken: Mapping[str, tuple[str, Sizes]], path: str
) -> dict[str, Any]:
    """The inputs by the names and of the types that are taken.

    Raises:
        MismatchError: one is missing, or is none.
    """
    given = dict(inputs)
    if ONLY in given and len(taken) == 1:
        given = {next(iter(taken)): given[ONLY]}
    unknown = [name or "an input without a name" for name in given if name not in taken]
    missing = [name for name in taken if name not in given]
    if unknown or missing:
        raise MismatchError(
            f"{path} takes {', '.join(taken) or 'no inputs'}",
            mismatches=[
                *(f"missing: {name}" for name in missing),
                *(f"not taken: {name}" for name in unknown),
            ],
        )
    return {name: _typed(name, value, *taken[name]) for name, value in given.items()}


def _typed(name: str, value: Any, dtype: str, shape: Sizes) -> Any:
    """A list as an array of the type that is taken; a vector as a column where one is."""
    if not isinstance(value, list):
        return value
    kind = object if dtype in ("string", "") else dtype_of_name(dtype).numpy
    try:
        array = np.asarray(value, kind)
    except (TypeError, ValueError) as error:
        raise MismatchError(f"input {name!r} takes {dtype} values: {error}") from None
    if shape is not None and len(shape) == 2 and array.ndim == 1 and shape[1] in (1, None):
        return array[:, None]
    if shape is not None and len(shape) == 1 and array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    return array
