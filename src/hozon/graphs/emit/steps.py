"""The few TensorFlow ops that almost every rule needs, with shapes kept in step.

Sizes may be symbolic throughout. All functions add nodes to `body` and return the new tensor;
those that would not change anything return what they were given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hozon.graphs.emit.body import Body
from hozon.graphs.emit.values import Dim, Tensor, all_static

#: Constants of at most so many elements are computed here rather than by nodes.
SMALL = 256
#: Dimensions that LiteRT's StridedSlice takes at most.
SLICED_RANK = 5


def op(
    body: Body,
    name: str,
    inputs: Sequence[Any],
    like: Tensor,
    shape: Sequence[Dim] | None = None,
    **attrs: Any,
) -> Tensor:
    """One node with one result that has the dtype of `like`, and its shape unless one is given."""
    dims = like.shape if shape is None else tuple(shape)
    return body.add(name, inputs, attrs=attrs, shape=dims, dtype=like.dtype)


def typed(
    body: Body, name: str, inputs: Sequence[Any], dtype: Any, shape: Sequence[Dim], **attrs: Any
) -> Tensor:
    """One node with one result of the given dtype and shape."""
    wanted: np.dtype[Any] = np.dtype(dtype)
    return body.add(name, inputs, attrs=attrs, shape=tuple(shape), dtype=wanted)


def scalar(body: Body, value: Any, dtype: Any) -> Tensor:
    """A constant of no dimensions."""
    return body.constant(np.asarray(value, np.dtype(dtype)))


def integers(body: Body, values: Sequence[int]) -> Tensor:
    """A constant vector of int32: axes, permutations."""
    return body.constant(np.asarray(values, np.int32).reshape(-1))


def is_known(dims: Sequence[Dim]) -> bool:
    """Whether no size is symbolic."""
    return all_static(dims)


def same_dims(first: Sequence[Dim], second: Sequence[Dim]) -> bool:
    """Whether the sizes are equal for all values of their symbols, as far as one can tell."""
    return len(first) == len(second) and all(
        bool(a == b) for a, b in zip(first, second, strict=True)
    )


def cast(body: Body, x: Tensor, dtype: Any) -> Tensor:
    """`x` in another dtype."""
    wanted = np.dtype(dtype)
    if x.dtype == wanted:
        return x
    return typed(body, "Cast", [x], wanted, x.shape, SrcT=x.dtype, DstT=wanted)


def narrowed(body: Body, x: Tensor, dtype: Any) -> Tensor:
    """`x` in the type that JAX computes in; `Body.exact` knows its own values."""
    made = cast(body, x, dtype)
    if made is not x:
        body.note_exact(made, x)
    return made


def bitcast(body: Body, x: Tensor, dtype: Any) -> Tensor:
    """The bits of `x` as another dtype of the same width."""
    wanted = np.dtype(dtype)
    return x if x.dtype == wanted else typed(body, "Bitcast", [x], wanted, x.shape, type=wanted)


def _shape_vector(body: Body, dims: Sequence[Dim]) -> Tensor:
    """`dims` as int32; a single symbolic size is left to Reshape, which works it out."""
    symbolic = [i for i, dim in enumerate(dims) if not is_known([dim])]
    if len(symbolic) != 1 or 0 in [dim for dim in dims if is_known([dim])]:
        return body.shape(tuple(dims))
    return integers(body, [-1 if i in symbolic else int(dim) for i, dim in enumerate(dims)])


def reshape(body: Body, x: Tensor, dims: Sequence[Dim]) -> Tensor:
    """`x` with other sizes and as many elements."""
    if same_dims(x.shape, dims):
        return x
    ones = None if _free_sizes(dims) < 2 else _ones(x.shape, dims)
    if ones is None:
        return op(body, "Reshape", [x, _shape_vector(body, dims)], x, dims)
    return _with_ones(body, x, *ones)


def _free_sizes(dims: Sequence[Dim]) -> int:
    return sum(not is_known([dim]) for dim in dims)


def _ones(old: Sequence[Dim], new: Sequence[Dim]) -> tuple[list[int], list[int]] | None:
    """Sizes 1 to take out of `old` and to put into the rest to get `new`; None if not possible."""
    gone, come, i, j = [], [], 0, 0
    while i < len(old) or j < len(new):
        if i < len(old) and j < len(new) and same_dims([old[i]], [new[j]]):
            i, j = i + 1, j + 1
        elif j < len(new) and same_dims([new[j]], [1]):
            come.append(j)
            j += 1
        elif i < len(old) and same_dims([old[i]], [1]):
            gone.append(i)
            i += 1
        else:
            return None
    return gone, come


def _with_ones(body: Body, x: Tensor, gone: Sequence[int], come: Sequence[int]) -> Tensor:
    """`x` without its sizes 1 at `gone`, and with new ones at `come`; no other size is computed."""
    if gone:
        x = _without(body, x, gone)
    for axis in come:
        x = expand(body, x, axis)
    return x


def _without(body: Body, x: Tensor, axes: Sequence[int]) -> Tensor:
    """`x` without its sizes 1 at `axes`.

    By StridedSlice: LiteRT refuses Squeeze of what an Einsum made, and slices five dimensions.
    """
    rank, kept = len(x.shape), [i for i in range(len(x.shape)) if i not in axes]
    dims = [x.shape[i] for i in kept]
    if rank > SLICED_RANK:
        return op(body, "Reshape", [x, body.shape(dims)], x, dims)
    begin, end = integers(body, [0] * rank), integers(body, [1] * rank)
    whole = sum(1 << i for i in kept)
    return op(
        body,
        "StridedSlice",
        [x, begin, end, end],
        x,
        dims,
        begin_mask=whole,
        end_mask=whole,
        ellipsis_mask=0,
        new_axis_mask=0,
        shrink_axis_mask=sum(1 << i for i in axes),
    )


def expand(body: Body, x: Tensor, axis: int) -> Tensor:
    """`x` with a new size 1 at `axis`."""
    dims = (*x.shape[:axis], 1, *x.shape[axis:])
    return op(body, "ExpandDims", [x, scalar(body, axis, np.int32)], x, dims)


def transpose(body: Body, x: Tensor, permutation: Sequence[int]) -> Tensor:
    """Dimension i of the result is dimension permutation[i] of `x`."""
    order = [int(i) for i in permutation]
    if order == list(range(len(order))):
        return x
    dims = [x.shape[i] for i in order]
    return op(body, "Transpose", [x, integers(body, order)], x, dims)


def broadcast(body: Body, x: Tensor, dims: Sequence[Dim]) -> Tensor:
    """`x` repeated to sizes `dims`, by NumPy's rules.

    Ops that broadcast by themselves take `x` in its place, see `joined`.
    """
    if same_dims(x.shape, dims):
        return x
    wide = _small_constant(body, x, dims)
    if wide is None:
        wide = op(body, "BroadcastTo", [x, body.shape(tuple(dims))], x, dims)
    body.repeats(wide, x)
    return wide


def _small_constant(body: Body, x: Tensor, dims: Sequence[Dim]) -> Tensor | None:
    value = body.value(x)
    if value is None or not is_known(dims) or math.prod(dims) > SMALL:
        return None
    return body.constant(np.broadcast_to(value, tuple(dims)))


def joined(body: Body, name: str, inputs: Sequence[Tensor], dtype: Any, **attrs: Any) -> Tensor:
    """One node of an elementwise op that broadcasts its inputs.

    Inputs that only repeat a smaller tensor are replaced by that, and what the result repeats
    in turn is left to its uses.
    """
    sources = [body.narrow(x) for x in inputs]
    dims = joint_dims([x.shape for x in sources])
    result = typed(body, name, sources, dtype, dims, **attrs)
    return broadcast(body, result, joint_dims([x.shape for x in inputs]))


def joint_dims(shapes: Sequence[Sequence[Dim]]) -> tuple[Dim, ...]:
    """The sizes of arrays of these sizes together, by NumPy's rules."""
    rank = max(len(dims) for dims in shapes)
    padded = [(1,) * (rank - len(dims)) + tuple(dims) for dims in shapes]
    return tuple(_joint_dim(sizes) for sizes in zip(*padded, strict=True))


def _joint_dim(sizes: Sequence[Dim]) -> Dim:
    return next((size for size in sizes if not (is_known([size]) and size == 1)), 1)


def concat(body: Body, parts: Sequence[Tensor], axis: int) -> Tensor:
    """The parts one after the other along `axis`."""
    if len(parts) == 1:
        return parts[0]
    total = sum((part.shape[axis] for part in parts[1:]), parts[0].shape[axis])
    dims = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
    inputs = [list(parts), scalar(body, axis, np.int32)]
    return op(body, "ConcatV2", inputs, parts[0], dims)


def reverse(body: Body, x: Tensor, axes: Sequence[int]) -> Tensor:
    """`x` backwards along `axes`, one at a time: converters know no other."""
    for axis in axes:
        x = op(body, "ReverseV2", [x, integers(body, [axis])], x)
    return x


def cut(body: Body, x: Tensor, begin: Sequence[Dim] | Tensor, size: Sequence[Dim]) -> Tensor:
    """The block of sizes `size` that starts at `begin`."""
    if isinstance(begin, Tensor):
        return op(body, "Slice", [x, begin, body.shape(tuple(size))], x, size)
    if all(is_known([b]) and b == 0 for b in begin) and same_dims(size, x.shape):
        return x
    # All the rest of a dimension needs no number: the size -1 means it.
    spelt = [
        -1 if not is_known([s]) and same_dims([b + s], [dim]) else s
        for b, s, dim in zip(begin, size, x.shape, strict=True)
    ]
    return op(body, "Slice", [x, body.shape(tuple(begin)), body.shape(spelt)], x, size)


def take_every(body: Body, x: Tensor, strides: Sequence[int]) -> Tensor:
    """Every strides[i]-th element along dimension i, from the first."""
    if all(stride == 1 for stride in strides):
        return x
    rank = len(strides)
    dims = [-(-dim // stride) for dim, stride in zip(x.shape, strides, strict=True)]
    zeros = integers(body, [0] * rank)
    mask = 2**rank - 1
    inputs = [x, zeros, zeros, integers(body, list(strides))]
    return op(body, "StridedSlice", inputs, x, dims, begin_mask=mask, end_mask=mask)


def pad(body: Body, x: Tensor, pads: Sequence[tuple[Dim, Dim]], value: Any = 0) -> Tensor:
    """`x` with pads[i] = (before, after) more elements of `value` in dimension i.

    Negative amounts that are known cut elements off. `value` is a number or a scalar tensor.
    """
    fill = value if isinstance(value, Tensor) else scalar(body, value, x.dtype)
    x = _trim(body, x, pads)
    kept = [tuple(max(p, 0) if is_known([p]) else p for p in pair) for pair in pads]
    if all(is_known(pair) and pair == (0, 0) for pair in kept):
        return x
    dims = [low + dim + high for dim, (low, high) in zip(x.shape, kept, strict=True)]
    flat = [amount for pair in kept for amount in pair]
    if is_known(flat):
        amounts = body.constant(np.asarray(kept, np.int32).reshape(-1, 2))
    else:
        amounts = reshape(body, body.shape(tuple(flat)), (len(kept), 2))
    known = body.value(fill)
    if known is not None and known == 0:
        return op(body, "Pad", [x, amounts], x, dims)
    return op(body, "PadV2", [x, amounts, fill], x, dims)


def _trim(body: Body, x: Tensor, pads: Sequence[tuple[Dim, Dim]]) -> Tensor:
    begin = [-low if is_known([low]) and low < 0 else 0 for low, _ in pads]
    end = [-high if is_known([high]) and high < 0 else 0 for _, high in pads]
    if not any(begin) and not any(end):
        return x
    size = [dim - b - e for dim, b, e in zip(x.shape, begin, end, strict=True)]
    return cut(body, x, begin, size)


def split_last(body: Body, x: Tensor, axis: int, count: int) -> tuple[Tensor, ...]:
    """`x` in `count` equal parts along `axis`."""
    dims = (*x.shape[:axis], x.shape[axis] // count, *x.shape[axis + 1 :])
    return body.add(
        "Split",
        [scalar(body, axis, np.int32), x],
        attrs={"num_split": count},
        shape=(dims,) * count,
        dtype=(x.dtype,) * count,
    )


def iota(body: Body, size: Dim, dtype: Any = np.int32) -> Tensor:
    """0, 1, ... size - 1."""
    if is_known([size]):
        return body.constant(np.arange(int(size), dtype=dtype))
    limits = [scalar(body, 0, np.int32), body.dim(size), scalar(body, 1, np.int32)]
    return cast(body, typed(body, "Range", limits, np.int32, (size,)), dtype)


def product(dims: Sequence[Dim]) -> Dim:
    """How many elements an array of these sizes has."""
    return math.prod(dims)
