"""Tensors of a function under construction, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A size: an int, or one of JAX's symbolic sizes (a polynomial over names, see `jax.export`).
Dim = Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in a function: `name` as node inputs spell it ("x", "node:output:0")."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Dim, ...]


def is_static(dim: Dim) -> bool:
    """Whether a size is a plain number."""
    return isinstance(dim, (int, np.integer))


def all_static(dims: Sequence[Dim]) -> bool:
    """Whether no size is symbolic."""
    return all(is_static(dim) for dim in dims)
