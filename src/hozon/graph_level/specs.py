"""What a function takes and gives, in public words: shapes as tuples, dtypes by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hozon.formats.protos.struct import BoundedTensorSpec, TypeSpec
from hozon.formats.protos.struct import TensorSpec as SavedSpec
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.graph_level.structures import map_structure
from hozon.stored.dtypes import dtype_of_number

Sizes = tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor: `shape` with None for a free size, None as a whole for an unknown rank; the name of
    its dtype as TensorFlow says it, ``float32`` or ``string``; the name of the argument."""

    shape: Sizes
    dtype: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class RaggedTensorSpec:
    """A ragged tensor of `ragged_rank` ragged axes."""

    shape: Sizes
    dtype: str
    ragged_rank: int
    row_splits_dtype: str


@dataclass(frozen=True, slots=True)
class SparseTensorSpec:
    """A sparse tensor of a dense `shape`."""

    shape: Sizes
    dtype: str


def public_specs(structure: Any) -> Any:
    """A structure with its specs in public words; other kinds of values stay as they are saved."""
    return map_structure(_public, structure)


def _public(leaf: Any) -> Any:
    if isinstance(leaf, (SavedSpec, BoundedTensorSpec)):
        return TensorSpec(leaf.shape.dims, _name(leaf.dtype), leaf.name)
    if not isinstance(leaf, TypeSpec):
        return leaf
    if not isinstance(leaf.state, (tuple, list)):
        return leaf
    shape, dtype, _, splits = (*leaf.state, None, None, None, None)[:4]
    if leaf.kind == "ragged_tensor":
        return RaggedTensorSpec(_sizes(shape), _name(dtype), leaf.components - 1, _name(splits))
    if leaf.kind == "sparse_tensor":
        return SparseTensorSpec(_sizes(shape), _name(dtype))
    return leaf


def _sizes(shape: Any) -> Sizes:
    return shape.dims if isinstance(shape, Shape) else None


def _name(dtype: Any) -> str:
    """The name of a dtype number; nothing where any is meant."""
    return dtype_of_number(dtype).name if isinstance(dtype, TypeNumber) and dtype else ""
