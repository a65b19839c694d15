"""Parts of tensors: a start and a length for each axis, and the ways in which people write them.

TensorFlow's text form (tensorflow/core/framework/tensor_slice.h) joins the axes by `:`, each
`start,length` or `-` for all of it; a variable's partition has the full shape before it
(tensorflow/core/util/saved_tensor_slice_util.cc).
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import Any

from hozon.errors import MismatchError

Extents = tuple[tuple[int, int], ...]
"""(start, length) for each axis."""

Part = str | slice | int | tuple[slice | int, ...]

_PAIR = re.compile(r"\d{1,19},\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)


def full_extents(shape: tuple[int, ...]) -> Extents:
    """The extents of a whole tensor."""
    return tuple((0, length) for length in shape)


def index_of(extents: Extents) -> tuple[slice, ...]:
    """The NumPy index of a part."""
    return tuple(slice(start, start + length) for start, length in extents)


def shape_of(extents: Extents) -> tuple[int, ...]:
    """The shape of a part."""
    return tuple(length for _, length in extents)


def intersect(a: Extents, b: Extents) -> Extents | None:
    """What two parts share, or None."""
    starts = [max(first[0], second[0]) for first, second in zip(a, b, strict=True)]
    ends = [min(sum(first), sum(second)) for first, second in zip(a, b, strict=True)]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        return None
    return tuple((start, end - start) for start, end in zip(starts, ends, strict=True))


def relative(part: Extents, origin: Extents) -> Extents:
    """A part's extents counted from the start of another one that holds it."""
    return tuple((a[0] - b[0], a[1]) for a, b in zip(part, origin, strict=True))


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes of a tensor in C order that hold a part of it, without gaps.

    Attributes:
        offset: where they begin, counted from the tensor's own beginning.
        nbytes: how many they are.
        shape: what they hold.
        index: the part in it.
    """

    offset: int
    nbytes: int
    shape: tuple[int, ...]
    index: tuple[Any, ...]


def span_of(extents: Extents, shape: tuple[int, ...], itemsize: int) -> Span:
    """The least run of bytes, one after the other, that holds a part."""
    nbytes = itemsize
    for length in shape:
        nbytes *= length
    offset, inner = 0, 0
    for (start, length), size in zip(extents, shape, strict=True):
        row = nbytes // size if size else 0
        offset, nbytes, inner = offset + start * row, length * row, inner + 1
        if length != 1:
            break
    held = (*shape_of(extents[:inner]), *shape[inner:])
    whole = (slice(None),) * inner
    return Span(offset, nbytes, held, (..., *whole, *index_of(extents[inner:])))


def extents_of(part: Part, shape: tuple[int, ...], name: str) -> tuple[Extents, tuple[bool, ...]]:
    """The extents of a part of a tensor, and for each axis whether the result keeps it.

    Raises:
        MismatchError: the part is not understood or does not fit the shape.
    """
    if isinstance(part, str):
        return _of_text(part, shape, name), (True,) * len(shape)
    items = part if isinstance(part, tuple) else (part,)
    if len(items) > len(shape):
        raise _refused(part, shape, name)
    items += (slice(None),) * (len(shape) - len(items))
    pairs = zip(items, shape, strict=True)
    extents = tuple(_of_item(item, length, part, shape, name) for item, length in pairs)
    return extents, tuple(isinstance(item, slice) for item in items)


def _of_item(
    item: slice | int, length: int, part: Part, shape: tuple[int, ...], name: str
) -> tuple[int, int]:
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        if step != 1:
            raise _refused(part, shape, name)
        return start, max(0, stop - start)
    position = operator.index(item)
    if not -length <= position < length:
        raise _refused(part, shape, name)
    return position % length, 1


def _of_text(text: str, shape: tuple[int, ...], name: str) -> Extents:
    *full, last = text.split(" ")
    if full and (not all(map(_NUMBER.fullmatch, full)) or tuple(map(int, full)) != shape):
        raise _refused(text, shape, name)
    axes = last.split(":") if last else []
    if len(axes) != len(shape):
        raise _refused(text, shape, name)
    extents = tuple(
        (0, length) if axis == "-" else _pair(axis, text, shape, name)
        for axis, length in zip(axes, shape, strict=True)
    )
    if any(start + count > length for (start, count), length in zip(extents, shape, strict=True)):
        raise _refused(text, shape, name)
    return extents


def _pair(axis: str, text: str, shape: tuple[int, ...], name: str) -> tuple[int, int]:
    if not _PAIR.fullmatch(axis):
        raise _refused(text, shape, name)
    start, length = axis.split(",")
    return int(start), int(length)


def _refused(part: Part, shape: tuple[int, ...], name: str) -> MismatchError:
    return MismatchError(f"{part!r} is no part of tensor {name!r}, which has shape {shape}")
