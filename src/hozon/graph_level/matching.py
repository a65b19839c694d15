"""Whether the arguments of a call fit a traced signature, and their flat tensors.

The rules are those of TensorFlow's loader (tensorflow/python/saved_model/
function_deserialization.py), with one widening: since NumPy makes 64-bit numbers by default and
JAX cannot hold them unless told so, arrays of 32 and 64 bits stand for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import jax
import numpy as np

from hozon.errors import MismatchError
from hozon.formats.protos.struct import BoundedTensorSpec, NamedTuple, TensorSpec, TypeSpec
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.graph_level.structures import RaggedTensor, SparseTensor, flatten, map_structure
from hozon.graphs.resources import Variable, fits
from hozon.graphs.values import Value
from hozon.stored.dtypes import STRING, dtype_of_number

INT64 = TypeNumber(9)
ANY_SHAPE = Shape(None)


class Leniency(IntEnum):
    """How freely a call may fit; a call takes the first trace that fits in the first of these.

    EXACT: arrays of the very dtype, containers and Python values of the very type.
    CONVERT: Python numbers, text and lists become tensors, ``1`` stands for ``True``.
    ANY_CONTAINER: besides, lists and tuples stand for each other and for named tuples.
    """

    EXACT = 0
    CONVERT = 1
    ANY_CONTAINER = 2


def match(expected: Any, given: Any, where: str, *, leniency: Leniency) -> list[Value]:
    """The tensors of `given` in flat order, or MismatchError naming the argument that differs."""
    if isinstance(expected, (TensorSpec, BoundedTensorSpec)):
        return [to_tensor(given, expected, where, leniency)]
    if isinstance(expected, TypeSpec):
        return _match_composite(expected, given, where, leniency)
    if isinstance(expected, (Mapping, NamedTuple, list, tuple)):
        return [
            tensor
            for item, value, place in _pairs(expected, given, where, leniency)
            for tensor in match(item, value, place, leniency=leniency)
        ]
    if not same_value(expected, given, leniency):
        raise MismatchError(f"{where} is {given!r} where the function was traced with {expected!r}")
    return []


def match_call(
    expected: tuple[Any, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    names: Sequence[str] = (),
    leniency: Leniency,
) -> list[Value]:
    """The flat tensors of a whole call; `names` are those of the positional arguments."""
    positional, keywords = expected
    if len(args) != len(positional):
        raise MismatchError(f"{len(args)} positional arguments where {len(positional)} are traced")
    if set(kwargs) != set(keywords):
        raise MismatchError(f"keywords {sorted(kwargs)} where {sorted(keywords)} are traced")
    tensors: list[Value] = []
    for i, (item, value) in enumerate(zip(positional, args, strict=True)):
        where = f"argument {names[i]!r}" if i < len(names) else f"argument {i}"
        tensors += match(item, value, where, leniency=leniency)
    for key in sorted(keywords):
        tensors += match(keywords[key], kwargs[key], f"argument {key!r}", leniency=leniency)
    return tensors


def _pairs(expected: Any, given: Any, where: str, leniency: Leniency) -> list[tuple[Any, Any, str]]:
    """The items of a container with the given ones and where they are."""
    wanted, found = _items(expected), _given_items(expected, given, leniency)
    if found is None or set(found) != set(wanted):
        raise MismatchError(
            f"{where} is {describe(given)} where the structure {describe(expected)} is expected"
        )
    return [(item, found[key], f"{where}[{key!r}]") for key, item in wanted.items()]


def _items(structure: Any) -> dict[Any, Any]:
    """The items of a container by key or position, in flat order."""
    if isinstance(structure, NamedTuple):
        return dict(structure.fields)
    if isinstance(structure, Mapping):
        return {key: structure[key] for key in sorted(structure)}
    return dict(enumerate(structure))


def _given_items(expected: Any, given: Any, leniency: Leniency) -> dict[Any, Any] | None:
    """The items of a given container with the keys of the expected one, None if it is no such."""
    loose = leniency is Leniency.ANY_CONTAINER
    if isinstance(expected, Mapping):
        return dict(given) if isinstance(given, Mapping) else None
    if isinstance(expected, NamedTuple):
        if hasattr(given, "_fields"):
            return dict(zip(given._fields, given, strict=True))
        if isinstance(given, Mapping):
            return dict(given) if loose else None
        if loose and isinstance(given, (list, tuple)) and len(given) == len(expected.fields):
            return dict(zip(expected.fields, given, strict=True))
        return None
    wanted = (list, tuple) if loose else type(expected)
    return dict(enumerate(given)) if isinstance(given, wanted) else None


def _match_composite(spec: TypeSpec, given: Any, where: str, leniency: Leniency) -> list[Value]:
    if spec.kind == "sparse_tensor":
        return _match_sparse(spec, given, where, leniency)
    if spec.kind == "ragged_tensor":
        return _match_ragged(spec, given, where, leniency)
    if spec.components != 1:
        raise MismatchError(f"{where} is a {spec.kind}, which cannot be given")
    return [given]


def _match_sparse(spec: TypeSpec, given: Any, where: str, leniency: Leniency) -> list[Value]:
    if not isinstance(given, SparseTensor):
        raise MismatchError(f"{where} must be a SparseTensor, not {describe(given)}")
    shape, dtype = _state(spec, 2)
    rank = None if not isinstance(shape, Shape) or shape.dims is None else len(shape.dims)
    parts = [
        match_array(given.indices, Shape((None, rank)), INT64, f"{where}.indices", leniency),
        match_array(given.values, Shape((None,)), dtype, f"{where}.values", leniency),
        match_array(given.dense_shape, Shape((rank,)), INT64, f"{where}.dense_shape", leniency),
    ]
    if parts[0].shape[0] != parts[1].shape[0] or parts[0].shape[1] != parts[2].shape[0]:
        raise MismatchError(
            f"{where} has indices {parts[0].shape}, values {parts[1].shape} and dense_shape "
            f"{parts[2].shape}, which do not belong together"
        )
    return parts


def _match_ragged(spec: TypeSpec, given: Any, where: str, leniency: Leniency) -> list[Value]:
    if not isinstance(given, RaggedTensor) or len(given.row_splits) != spec.components - 1:
        raise MismatchError(
            f"{where} must be a RaggedTensor with {spec.components - 1} row_splits, "
            f"not {describe(given)}"
        )
    _, dtype, _, splits = _state(spec, 4)
    return [
        match_array(given.values, ANY_SHAPE, dtype, f"{where}.values", leniency),
        *(
            match_array(part, Shape((None,)), splits, f"{where}.row_splits[{i}]", leniency)
            for i, part in enumerate(given.row_splits)
        ),
    ]


def _state(spec: TypeSpec, count: int) -> tuple[Any, ...]:
    """The first items of a spec's state; None for those that are not there."""
    state = tuple(spec.state) if isinstance(spec.state, (list, tuple)) else ()
    return (*state, *(None for _ in range(count)))[:count]


def match_array(given: Any, shape: Shape, dtype: Any, where: str, leniency: Leniency) -> Value:
    """An array as a tensor of a shape and a dtype number; of any dtype if that is no number."""
    number = dtype if isinstance(dtype, TypeNumber) else TypeNumber(0)
    return to_tensor(given, TensorSpec(shape, number), where, leniency)


def same_value(expected: Any, given: Any, leniency: Leniency) -> bool:
    """Whether a Python (non-tensor) argument equals the traced one."""
    if isinstance(given, (np.ndarray, jax.Array)):
        return False
    return (leniency or type(expected) is type(given)) and bool(expected == given)


def to_tensor(
    value: Any, spec: TensorSpec | BoundedTensorSpec, where: str, leniency: Leniency
) -> Value:
    """A given value as a tensor of `spec`, or MismatchError."""
    anything = int(spec.dtype) == 0
    dtype = None if anything else dtype_of_number(spec.dtype)
    array = as_array(value, dtype is STRING) if leniency or is_tensor(value) else None
    if array is None:
        raise MismatchError(f"{where} must be a tensor, not {describe(value)}")
    if not fits(tuple(array.shape), spec.shape.dims):
        raise MismatchError(
            f"{where} has shape {shape_text(tuple(array.shape))} where "
            f"{shape_text(spec.shape.dims)} is expected"
        )
    if dtype is None or array.dtype == dtype.numpy:
        return array
    if not (leniency and castable(value, array, dtype.numpy)):
        raise MismatchError(
            f"{where} has dtype {dtype_text(array.dtype)} where {dtype.name} is expected"
        )
    with jax.enable_x64(True):
        return array.astype(dtype.numpy)


def castable(value: Any, array: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a value may become `dtype`: Python numbers and lists of them if their kind allows,
    arrays of 32 and 64 bits of the same kind."""
    if array.dtype == object or dtype == np.dtype(object):
        return False
    kind, wanted = _kind(array.dtype), _kind(dtype)
    if is_tensor(value):
        return kind == wanted and array.dtype.itemsize in (4, 8) and dtype.itemsize in (4, 8)
    if kind in "iu" and wanted in "iu":
        return _in_range(array, dtype)
    return kind == wanted or (kind in "iu" and wanted in "fc") or (kind == "f" and wanted == "c")


def _kind(dtype: np.dtype[Any]) -> str:
    """NumPy's letter for the kind of number, also of the small floats that NumPy does not have."""
    return "f" if jax.numpy.issubdtype(dtype, np.floating) else np.dtype(dtype).kind


def _in_range(array: Any, dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return not array.size or bool(array.min() >= limits.min and array.max() <= limits.max)


def is_tensor(value: Any) -> bool:
    """Whether a value is an array already."""
    return isinstance(value, (np.ndarray, np.generic, jax.Array, Variable)) or hasattr(
        value, "__jax_array__"
    )


def as_array(value: Any, string: bool) -> Any:
    """A value as an array; text becomes UTF-8 bytes in an object array; None if it is neither."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return None
    if array.dtype.kind in "US":
        return strings(np.asarray(value, object))
    if array.dtype != object:
        return array
    return strings(array) if string and _all_text(array) else None


def _all_text(array: np.ndarray[Any, Any]) -> bool:
    return all(isinstance(item, (str, bytes)) for item in array.reshape(-1).tolist())


def strings(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array of text or bytes as an object array of ``bytes``."""
    flat = [x if isinstance(x, bytes) else str(x).encode() for x in array.reshape(-1).tolist()]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)


def is_spec(leaf: Any) -> bool:
    """Whether a leaf of a signature stands for a tensor."""
    return isinstance(leaf, (TensorSpec, BoundedTensorSpec, TypeSpec))


def holds_spec(structure: Any) -> bool:
    """Whether a part of a signature takes any tensor."""
    return any(map(is_spec, flatten(structure)))


def describe(structure: Any) -> str:
    """A structure of specs or values in short words: ``(float32[None, 3], False)``."""
    return str(map_structure(lambda leaf: _Text(_describe_leaf(leaf)), structure))


class _Text(str):
    """Text that prints without quotes inside of containers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _describe_leaf(leaf: Any) -> str:
    if isinstance(leaf, (TensorSpec, BoundedTensorSpec)):
        return f"{dtype_of_number(leaf.dtype).name}{shape_text(leaf.shape.dims)}"
    if isinstance(leaf, TypeSpec):
        return _describe_composite(leaf)
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return f"{dtype_text(leaf.dtype)}{shape_text(leaf.shape)}"
    if isinstance(leaf, (RaggedTensor, SparseTensor)):
        return type(leaf).__name__
    text = repr(leaf)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _describe_composite(spec: TypeSpec) -> str:
    shape, dtype = _state(spec, 2)
    name = dtype_of_number(dtype).name if isinstance(dtype, TypeNumber) else ""
    return f"{spec.kind}({name}{shape_text(shape.dims) if isinstance(shape, Shape) else ''})"


def dtype_text(dtype: Any) -> str:
    """The name of an array's dtype; text is ``string`` as in TensorFlow."""
    return "string" if np.dtype(dtype).kind in "OSU" else str(np.dtype(dtype))


def shape_text(shape: Sequence[int | None] | None) -> str:
    """A shape in brackets; ``[...]`` for an unknown rank."""
    return "[...]" if shape is None else str(list(shape))
