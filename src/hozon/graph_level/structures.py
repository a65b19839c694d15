"""Python structures of arguments and results: flattened and packed as TensorFlow does it.

The rules are those of ``tf.nest``: mappings flatten in the order of their sorted keys, lists,
tuples and named tuples in order, and a ragged or sparse tensor into its component tensors.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

import jax
import numpy as np

from hozon.errors import FormatError
from hozon.formats.protos.struct import BoundedTensorSpec, NamedTuple, TensorSpec, TypeSpec
from hozon.graphs.values import Value


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RaggedTensor:
    """Rows of different lengths, as an argument or a result of a saved function.

    Args:
        values: all innermost items in one array of shape (total, ...).
        row_splits: one vector per ragged axis, from the outermost to the innermost, int32 or int64
            each: row ``i`` of an axis goes from ``splits[i]`` to ``splits[i + 1]``, as in
            ``tf.RaggedTensor.nested_row_splits``.

    Example:
        >>> rows = RaggedTensor.from_list([[1.0, 2.0], [3.0]], "float32")
        >>> model.signatures["serving_default"](rows=rows)
    """

    values: Value
    row_splits: tuple[Value, ...]

    @classmethod
    def from_list(
        cls, rows: Sequence[Any], dtype: Any = None, ragged_rank: int = 1
    ) -> RaggedTensor:
        """From nested lists, of which the outer `ragged_rank` levels may differ in length."""
        splits = []
        level: list[Any] = list(rows)
        for _ in range(ragged_rank):
            splits.append(np.cumsum([0, *map(len, level)], dtype=np.int64))
            level = [item for row in level for item in row]
        values = np.asarray(level, dtype)
        return cls(values.astype(object) if values.dtype.kind in "US" else values, tuple(splits))

    def to_list(self) -> list[Any]:
        """Nested Python lists."""
        rows: list[Any] = np.asarray(self.values).tolist()
        for splits in reversed(self.row_splits):
            ends = np.asarray(splits).tolist()
            rows = [rows[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
        return rows


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SparseTensor:
    """A tensor that is mostly zeros, as an argument or a result of a saved function.

    Args:
        indices: where the other values stand, int64 of shape (n, rank), in row-major order.
        values: those values, of shape (n,).
        dense_shape: the shape of the whole, int64 of shape (rank,).

    Example:
        >>> model.signatures["serving_default"](x=SparseTensor.from_dense(np.eye(3)))
    """

    indices: Value
    values: Value
    dense_shape: Value

    @classmethod
    def from_dense(cls, array: Any) -> SparseTensor:
        """The values of an array that are not zero (of text: not empty)."""
        dense = np.asarray(array)
        places = np.argwhere(dense.astype(bool))
        values = dense[tuple(places.T)]
        return cls(places.astype(np.int64), values, np.asarray(dense.shape, np.int64))

    def to_dense(self) -> np.ndarray[Any, Any]:
        """The whole array; zeros, or empty text, where no value stands."""
        values, places = np.asarray(self.values), np.asarray(self.indices)
        empty = b"" if values.dtype == object else 0
        dense = np.full(tuple(np.asarray(self.dense_shape).tolist()), empty, values.dtype)
        dense[tuple(places.T)] = values
        return dense


def flatten(structure: Any) -> Iterator[Any]:
    """The leaves of a structure, composite tensors and specs included as one leaf."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from flatten(structure[key])
    elif isinstance(structure, NamedTuple):
        for value in structure.fields.values():
            yield from flatten(value)
    elif isinstance(structure, (list, tuple)):
        for value in structure:
            yield from flatten(value)
    else:
        yield structure


def pack(structure: Any, values: Iterator[Value]) -> Any:
    """`structure` with every spec replaced by the next value(s)."""
    if isinstance(structure, Mapping):
        packed = {key: pack(structure[key], values) for key in sorted(structure)}
        return {key: packed[key] for key in structure}
    if isinstance(structure, NamedTuple):
        return build(structure, [pack(v, values) for v in structure.fields.values()])
    if isinstance(structure, (list, tuple)):
        return type(structure)(pack(v, values) for v in structure)
    if isinstance(structure, (TensorSpec, BoundedTensorSpec)):
        return next(values)
    if isinstance(structure, TypeSpec):
        return pack_composite(structure, [next(values) for _ in range(structure.components)])
    return structure


def pack_all(structure: Any, values: Sequence[Value], where: str) -> Any:
    """`structure` with its specs replaced by all of `values`, the results of `where`.

    Raises FormatError when there are more or fewer of them than the structure has.
    """
    wanted = sum(map(component_count, flatten(structure)))
    if wanted != len(values):
        raise FormatError(
            f"{where!r} gives {len(values)} tensors, its output structure has {wanted}",
            record=where,
        )
    return pack(structure, iter(values))


def component_count(leaf: Any) -> int:
    """How many tensors a leaf of a signature stands for."""
    if isinstance(leaf, TypeSpec):
        return leaf.components
    return int(isinstance(leaf, (TensorSpec, BoundedTensorSpec)))


def pack_composite(spec: TypeSpec, parts: list[Value]) -> Any:
    """A composite tensor from its component tensors; those of other kinds come as a tuple."""
    if spec.kind == "sparse_tensor" and len(parts) == 3:
        return SparseTensor(*parts)
    if spec.kind == "ragged_tensor" and parts:
        return RaggedTensor(parts[0], tuple(parts[1:]))
    return parts[0] if len(parts) == 1 else tuple(parts)


def unpack_composite(value: Any) -> list[Value]:
    """The component tensors of a value."""
    if isinstance(value, SparseTensor):
        return [value.indices, value.values, value.dense_shape]
    if isinstance(value, RaggedTensor):
        return [value.values, *value.row_splits]
    return [value]


def build(structure: NamedTuple, values: list[Any]) -> Any:
    """A named tuple of values with the saved class name and field names."""
    usable = structure.name.isidentifier() and not iskeyword(structure.name)
    name = structure.name if usable else "NamedTuple"
    # a class made at run time has no literal name
    made = namedtuple(name, list(structure.fields), rename=True)  # type: ignore[misc]  # noqa: PYI024
    return made(*values)


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """`structure` with `function` applied to its leaves."""
    if isinstance(structure, Mapping):
        return {key: map_structure(function, value) for key, value in structure.items()}
    if isinstance(structure, NamedTuple):
        return build(structure, [map_structure(function, v) for v in structure.fields.values()])
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(map_structure(function, v) for v in structure))
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(function, v) for v in structure)
    return function(structure)


def parts(outputs: Mapping[str, Any]) -> dict[str, Value]:
    """Named outputs with composite ones split: ``#values`` and ``#splits0`` ... of a ragged
    tensor, ``#indices``, ``#values`` and ``#shape`` of a sparse one."""
    flat: dict[str, Value] = {}
    for name, value in outputs.items():
        if isinstance(value, RaggedTensor):
            flat[f"{name}#values"] = value.values
            flat.update({f"{name}#splits{i}": s for i, s in enumerate(value.row_splits)})
        elif isinstance(value, SparseTensor):
            flat[f"{name}#indices"] = value.indices
            flat[f"{name}#values"] = value.values
            flat[f"{name}#shape"] = value.dense_shape
        else:
            flat[name] = value
    return flat
