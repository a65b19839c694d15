"""Indices as integers, one-hot, multi-hot, counted, or weighted vectors.

The meaning of the modes and of shapes is that of tf_keras'
``preprocessing_utils.encode_categorical_inputs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hozon.config.text_layers.host import Array, Shape
from hozon.errors import MismatchError, UnsupportedError

INT, ONE_HOT, MULTI_HOT, COUNT, TF_IDF = "int", "one_hot", "multi_hot", "count", "tf_idf"
#: Names that modes had before TensorFlow 2.6.
OLD_MODES: Mapping[str, str] = {"binary": MULTI_HOT, "tf-idf": TF_IDF}
#: An index that stands for nothing: vectors leave it out.
NOTHING = np.iinfo(np.int64).max


def mode_of(name: Any, allowed: tuple[str, ...]) -> str:
    """An output mode by its name; raises MismatchError for one that the layer does not have."""
    mode = OLD_MODES.get(name, name)
    if mode not in allowed:
        raise MismatchError(f"output_mode {name!r}; there are {', '.join(allowed)}")
    return str(mode)


def encode(
    indices: Array, mode: str, depth: int, dtype: Any, weights: Array | None = None
) -> Array:
    """Indices encoded: of shape ``encoded_shape(indices.shape, mode, depth)``.

    Args:
        indices: int64; those outside of [0, depth) are left out of vectors.
        mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        depth: length of the vectors.
        dtype: NumPy dtype of the result.
        weights: of "tf_idf", (depth,).
    """
    if mode == INT:
        return indices.astype(dtype)
    shape = encoded_shape(indices.shape, mode, depth)
    samples = int(np.prod(shape[:-1], dtype=int))
    rows = indices.reshape(samples, -1)
    vectors = np.zeros((samples, depth), dtype)
    at, known = np.arange(samples)[:, None], (rows >= 0) & (rows < depth)
    places = (np.broadcast_to(at, rows.shape)[known], rows[known])
    if mode in (ONE_HOT, MULTI_HOT):
        vectors[places] = 1
    else:
        np.add.at(vectors, places, 1)
    if mode == TF_IDF and weights is not None:
        vectors = (vectors * weights).astype(dtype)
    return vectors.reshape(shape)


def encoded_shape(shape: Shape, mode: str, depth: int | None) -> Any:
    """The shape of encoded indices.

    One-hot adds an axis unless the last one has length 1 beside others; the other vectors take
    the place of the last axis.
    """
    if mode == INT:
        return tuple(shape)
    if mode == ONE_HOT and shape and (len(shape) == 1 or shape[-1] != 1):
        shape = (*shape, 1)
    if len(shape) > 2:
        raise UnsupportedError(f"output_mode {mode!r} of inputs of shape {shape}")
    return (*shape[:-1], depth)


def padded(rows: list[Array], width: int | None) -> Array:
    """Rows of different lengths as a matrix, cut or filled with zeros at the end."""
    if width is None:
        width = max((len(row) for row in rows), default=0)
    matrix = np.zeros((len(rows), width), np.int64)
    for line, row in zip(matrix, rows, strict=True):
        line[: min(len(row), width)] = row[:width]
    return matrix


def padded_vectors(
    rows: list[Array], mode: str, depth: int, dtype: Any, weights: Array | None
) -> Array:
    """One vector for each row of indices, (rows, depth)."""
    longest = max((len(row) for row in rows), default=0)
    matrix = np.full((len(rows), longest), NOTHING, np.int64)
    for line, row in zip(matrix, rows, strict=True):
        line[: len(row)] = row
    return encode(matrix, mode, depth, dtype, weights)
