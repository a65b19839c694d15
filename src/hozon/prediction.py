"""Running a signature on arrays from files: ``hozon predict``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError

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
    from hozon.restored.structures import parts
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
    path = Path(file)
    if not path.is_file():
        raise FormatError(f"{file} does not exist", file=file)
    if path.suffix == ".txt":
        lines = np.empty(0, object)
        texts = path.read_bytes().splitlines()
        lines = np.empty(len(texts), object)
        lines[:] = texts
        return name, lines
    try:
        return name, np.load(path, allow_pickle=False)
    except ValueError as error:
        raise FormatError(f"{file} is no NumPy file of numbers or text: {error}", file=file) from None


def write_outputs(outputs: Mapping[str, Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Write each output to ``NAME.npy`` in `folder`, strings as fixed-width bytes."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, array in outputs.items():
        file = target / f"{name.replace('/', '_')}.npy"
        np.save(file, array.astype(bytes) if array.dtype == object else array, allow_pickle=False)
        written.append(file)
    return written
