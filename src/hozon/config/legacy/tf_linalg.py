"""Functions of ``tf.linalg`` that Keras 2 put into graphs, as `keras.ops`; see `tf_ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from keras import ops

from hozon.errors import UnsupportedError


def matrix_transpose(a: Any, conjugate: bool = False) -> Any:
    """``tf.linalg.matrix_transpose`` of real matrices."""
    return ops.swapaxes(a, -1, -2)


def inverse(input: Any, adjoint: bool = False) -> Any:
    """``tf.linalg.inv``."""
    return ops.inv(matrix_transpose(input) if adjoint else input)


def solve(matrix: Any, rhs: Any, adjoint: bool = False) -> Any:
    """``tf.linalg.solve``."""
    return ops.solve(matrix_transpose(matrix) if adjoint else matrix, rhs)


def matvec(a: Any, b: Any, transpose_a: bool = False, **rest: Any) -> Any:
    """``tf.linalg.matvec``."""
    matrix = matrix_transpose(a) if transpose_a else a
    return ops.squeeze(ops.matmul(matrix, ops.expand_dims(b, -1)), -1)


def _main_diagonal(k: Any, name: str) -> None:
    if k not in (0, (0, 0), [0, 0]):
        raise UnsupportedError(f"tf.linalg.{name} off the main diagonal", feature=name)


def diag_part(input: Any, k: Any = 0, **rest: Any) -> Any:
    """``tf.linalg.diag_part`` of the main diagonal."""
    _main_diagonal(k, "diag_part")
    return ops.diagonal(input, axis1=-2, axis2=-1)


def diag(diagonal: Any, k: Any = 0, **rest: Any) -> Any:
    """``tf.linalg.diag`` on the main diagonal."""
    _main_diagonal(k, "diag")
    return ops.expand_dims(diagonal, -1) * ops.eye(int(diagonal.shape[-1]), dtype=diagonal.dtype)


def band_part(input: Any, num_lower: int, num_upper: int) -> Any:
    """``tf.linalg.band_part``; a negative number keeps all."""
    rows, columns = (np.arange(int(side)) for side in input.shape[-2:])
    below = rows[:, None] - columns
    kept = np.ones(below.shape, bool)
    if num_lower >= 0:
        kept &= below <= num_lower
    if num_upper >= 0:
        kept &= -below <= num_upper
    return ops.where(kept, input, ops.zeros_like(input))


LINALG: Mapping[str, Callable[..., Any]] = {
    "matrix_transpose": matrix_transpose,
    "inv": inverse,
    "matrix_inverse": inverse,
    "det": lambda input: ops.det(input),
    "matrix_determinant": lambda input: ops.det(input),
    "trace": lambda x: ops.trace(x, axis1=-2, axis2=-1),
    "solve": solve,
    "matvec": matvec,
    "matrix_solve": solve,
    "cholesky": lambda input: ops.cholesky(input),
    "diag_part": diag_part,
    "matrix_diag_part": diag_part,
    "diag": diag,
    "matrix_diag": diag,
    "band_part": band_part,
    "matrix_band_part": band_part,
}
