"""Running a signature on arrays from files: ``hozon predict``."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError
from hozon.raw.stores import create, is_file, join, make_folders, place, read_bytes, require_local

#: Characters of an output's name that are not used in the name of its file.
UNUSABLE = re.compile(r"[^\w.#-]|^\.+")

__all__ = ["predict", "read_input", "write_outputs"]


def predict(
    path: str | os.PathLike[str], inputs: Mapping[str, Any], signature: str | None = None
) -> dict[str, Any]:
    """Run one signature of a SavedModel.

    Args:
        path: the SavedModel directory.
        inputs: arrays by input name.
        signature: its name; None takes ``serving_default``, or the only one.

    Returns:
        Arrays by output name; the parts of a ragged or sparse output are ``name#part``.

    Raises:
        MismatchError: no such signature, or inputs that it does not take.
    """
    from hozon.graph_level.structures import parts
    from hozon.saved_model import load

    signatures = load(path).signatures
    if signature is None:
        signature = next(iter(signatures)) if len(signatures) == 1 else "serving_default"
    if signature not in signatures:
        raise MismatchError(
            f"{path} has no signature {signature!r}; it has: {', '.join(signatures) or 'none'}"
        )
    outputs = signatures[signature](**inputs)
    return {key: np.asarray(array) for key, array in parts(outputs).items()}


def read_input(argument: str) -> tuple[str, Any]:
    """An input given as ``NAME=FILE.npy`` or ``NAME=FILE.txt`` (one string a line)."""
    name, _, file = argument.partition("=")
    if not name or not file:
        raise MismatchError(f"--input takes NAME=FILE, not {argument!r}")
    path = place(file)
    if not is_file(path):
        raise MismatchError(f"{file} does not exist", file=file)
    return name, read_lines(path) if path.endswith(".txt") else read_array(path)


def read_lines(path: str) -> np.ndarray[Any, Any]:
    """The lines of a text file as a vector of bytes objects."""
    texts = read_bytes(path).splitlines()
    lines = np.empty(len(texts), object)
    lines[:] = texts
    return lines


def read_array(path: str) -> np.ndarray[Any, Any]:
    """The array of an ``.npy`` file; pickled objects are refused."""
    try:
        return np.lib.format.read_array(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise FormatError(
            f"{path} is no NumPy file of numbers or text: {error}", file=path
        ) from None


def write_outputs(outputs: Mapping[str, Any], folder: str | os.PathLike[str]) -> list[str]:
    """Write each output to ``NAME.npy`` in `folder`.

    Strings become fixed-width bytes, floats that NumPy does not have (bfloat16) float32; what a
    name may not have in a file becomes ``_``.

    Raises MismatchError when two outputs would be written to the same file.
    """
    target = require_local(folder)
    files = {name: join(target, f"{UNUSABLE.sub('_', name)}.npy") for name in outputs}
    if len(set(files.values())) != len(files):
        raise MismatchError(f"outputs share a file name: {', '.join(outputs)}")
    make_folders(target)
    for name, array in outputs.items():
        with create(files[name]) as file:
            np.save(file, storable(array), allow_pickle=False)
    return list(files.values())


def storable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array as a dtype that ``.npy`` files hold."""
    if array.dtype == object:
        return array.astype(bytes)
    return array.astype(np.float32) if array.dtype.kind == "V" else array
