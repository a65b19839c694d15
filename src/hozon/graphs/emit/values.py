"""Tensors of a function under construction, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.stored import dtypes

#: A size: an int, or one of JAX's symbolic sizes (a polynomial over names, see `jax.export`).
Dim = Any

#: What stands for a handle of a variable, and for a list of tensors, where a dtype is asked for.
RESOURCE: np.dtype[Any] = np.dtype([("resource", np.uint8)])
VARIANT: np.dtype[Any] = np.dtype([("variant", np.uint8)])
#: Strings, as TensorFlow has them and while JAX traces, which has no dtype for them.
TEXT: np.dtype[Any] = np.dtype(object)
TRACED_TEXT: np.dtype[Any] = np.dtype(ml_dtypes.uint2)
_HANDLES = {RESOURCE: dtypes.RESOURCE.number, VARIANT: dtypes.VARIANT.number}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in a function: `name` as node inputs spell it ("x", "node:output:0")."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Dim, ...]


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype of that name as functions declare it."""
    return TEXT if name == "string" else np.dtype(name)


def is_static(dim: Dim) -> bool:
    """Whether a size is a plain number."""
    return isinstance(dim, (int, np.integer))


def all_static(dims: Sequence[Dim]) -> bool:
    """Whether no size is symbolic."""
    return all(is_static(dim) for dim in dims)


@cache
def type_number(dtype: np.dtype[Any]) -> TypeNumber:
    """TensorFlow's number of a dtype, handles and lists included."""
    known = _HANDLES.get(dtype)
    return TypeNumber(dtypes.dtype_of_numpy(dtype).number if known is None else known)


def declared_shape(dims: Sequence[Dim]) -> Shape:
    """Sizes as a record, in which symbolic ones are free."""
    return Shape(tuple(int(dim) if is_static(dim) else None for dim in dims))
