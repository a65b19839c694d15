"""TensorFlow functions that pick, order and fill, as `keras.ops`; see `tf_ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from hozon.errors import UnsupportedError


def integers(values: Any) -> list[int]:
    """Sizes or places as integers, whether they stand in the config or come from ``tf.shape``."""
    return [int(np.asarray(value)) for value in np.asarray(values, object).reshape(-1).tolist()]


def slice_of(input_: Any, begin: Any, size: Any) -> Any:
    """``tf.slice``; a size of -1 takes the rest."""
    places = zip(integers(begin), integers(size), strict=True)
    return input_[tuple(slice(at, None if n == -1 else at + n) for at, n in places)]


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    **rest: Any,
) -> Any:
    """``tf.strided_slice`` without ellipsis and new axes."""
    if ellipsis_mask or new_axis_mask:
        raise UnsupportedError(
            "tf.strided_slice with an ellipsis or new axes", feature="tf.strided_slice"
        )
    starts, stops = integers(begin), integers(end)
    steps = [1] * len(starts) if strides is None else integers(strides)
    index: list[Any] = []
    for i, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        first, last = begin_mask >> i & 1, end_mask >> i & 1
        whole = slice(None if first else start, None if last else stop, step)
        index.append(start if shrink_axis_mask >> i & 1 else whole)
    return input_[tuple(index)]


def boolean_mask(tensor: Any, mask: Any, name: Any = None, axis: int | None = None) -> Any:
    """``tf.boolean_mask`` with a mask that the file holds; others make sizes depend on data."""
    if not isinstance(mask, (list, tuple, np.ndarray)):
        raise UnsupportedError(
            "tf.boolean_mask by a tensor: the result's size depends on data",
            feature="tf.boolean_mask",
        )
    kept, at = np.asarray(mask, bool), axis or 0
    shape = (*tensor.shape[:at], kept.size, *tensor.shape[at + kept.ndim :])
    flat = tensor if kept.ndim == 1 else ops.reshape(tensor, shape)
    return ops.take(flat, np.flatnonzero(kept), axis=at)


def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: int = 0
) -> Any:
    """``tf.gather``."""
    if axis is None:
        axis = batch_dims
    if not batch_dims:
        return ops.take(params, indices, axis=axis)
    axis = axis + len(params.shape) if axis < 0 else axis
    return ops.vectorized_map(
        lambda pair: gather(pair[0], pair[1], axis=axis - 1, batch_dims=batch_dims - 1),
        (params, indices),
    )


def gather_nd(params: Any, indices: Any, batch_dims: int = 0, **rest: Any) -> Any:
    """``tf.gather_nd``."""
    if batch_dims:
        return ops.vectorized_map(
            lambda pair: gather_nd(pair[0], pair[1], batch_dims - 1), (params, indices)
        )
    places = ops.moveaxis(ops.convert_to_tensor(indices), -1, 0)
    return params[tuple(places[i] for i in range(int(places.shape[0])))]


def embedding_lookup(params: Any, ids: Any, *rest: Any, **more: Any) -> Any:
    """``tf.nn.embedding_lookup`` in one table."""
    return ops.take(ops.convert_to_tensor(params), ids, axis=0)


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING") -> Any:
    """``tf.sort``."""
    ordered = ops.sort(values, axis=axis)
    return ordered if direction == "ASCENDING" else ops.flip(ordered, axis=axis)


def argsort(values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False) -> Any:
    """``tf.argsort``."""
    keys = values if direction == "ASCENDING" else ops.negative(values)
    return ops.cast(ops.argsort(keys, axis=axis), "int32")


def repeat(input: Any, repeats: Any, axis: int | None = None) -> Any:
    """``tf.repeat`` by numbers that are known."""
    times = integers(repeats)
    return ops.repeat(input, times[0] if len(times) == 1 else np.asarray(times), axis=axis)


def fill(dims: Any, value: Any) -> Any:
    """``tf.fill``."""
    return ops.broadcast_to(ops.convert_to_tensor(value), tuple(integers(dims)))


def arange(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Any:
    """``tf.range`` between integers that are known."""
    first, last = (0, start) if limit is None else (start, limit)
    numbers = np.arange(*(integers(end)[0] for end in (first, last, delta)))
    return numbers.astype("int32" if dtype is None else str(dtype))


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool") -> Any:
    """``tf.sequence_mask`` to a known length."""
    if maxlen is None:
        raise UnsupportedError(
            "tf.sequence_mask without maxlen: the result's size depends on data",
            feature="tf.sequence_mask",
        )
    places = np.arange(integers(maxlen)[0], dtype="int32")
    return ops.cast(ops.less(places, ops.expand_dims(lengths, -1)), str(dtype))


def cumprod(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """``tf.math.cumprod``."""
    values = ops.flip(x, axis=axis) if reverse else x
    if exclusive:
        first = ops.ones_like(ops.take(values, [0], axis=axis))
        kept = ops.take(values, np.arange(int(values.shape[axis]) - 1), axis=axis)
        values = ops.concatenate([first, kept], axis=axis)
    product = ops.cumprod(values, axis=axis)
    return ops.flip(product, axis=axis) if reverse else product


def clip_by_norm(t: Any, clip_norm: Any, axes: Sequence[int] | None = None) -> Any:
    """``tf.clip_by_norm``."""
    square = ops.sum(ops.square(t), axis=None if axes is None else tuple(axes), keepdims=True)
    length = ops.sqrt(ops.where(square > 0, square, 1.0)) * ops.cast(square > 0, t.dtype)
    return t * clip_norm / ops.maximum(length, clip_norm)


def zero_fraction(value: Any) -> Any:
    """``tf.nn.zero_fraction``."""
    return ops.mean(ops.cast(ops.equal(value, 0), "float32"))


def reciprocal_no_nan(x: Any) -> Any:
    """``tf.math.reciprocal_no_nan``: 0 for 0."""
    return ops.where(ops.equal(x, 0), ops.zeros_like(x), 1 / ops.where(ops.equal(x, 0), 1, x))


ARRAYS: Mapping[str, Callable[..., Any]] = {
    "slice": slice_of,
    "strided_slice": strided_slice,
    "boolean_mask": boolean_mask,
    "boolean_mask_v2": boolean_mask,
    "gather": gather,
    "gather_v2": gather,
    "gather_nd": gather_nd,
    "embedding_lookup": embedding_lookup,
    "sort": sort,
    "argsort": argsort,
    "repeat": repeat,
    "fill": fill,
    "range": arange,
    "sequence_mask": sequence_mask,
    "cumprod": cumprod,
    "clip_by_norm": clip_by_norm,
    "zero_fraction": zero_fraction,
    "reciprocal_no_nan": reciprocal_no_nan,
}
