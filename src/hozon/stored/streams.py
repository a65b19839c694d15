"""Tensors on their way into a file: shape, type, and bytes that come in blocks.

Whatever holds values can be written: arrays of NumPy, JAX and others, tensors of another file,
numbers, and generators of blocks. None is copied as a whole: a contiguous array and a mapped file
give views, another array is put in order one block at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.stored.dtypes import STRING, DType, dtype_of_numpy
from hozon.stored.extents import Extents
from hozon.stored.lazy import LazyTensor
from hozon.stored.meter import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

BLOCK_BYTES = 1 << 20
"""Bytes handled at once: what is checksummed is still in the cache when it is written."""

_AHEAD_BYTES = 16 << 20
_AHEAD_COUNT = 512


@dataclass(frozen=True, slots=True)
class Blocks:
    """A tensor whose bytes come one block after another.

    Attributes:
        shape: its shape.
        dtype: its type, one whose elements have a fixed size.
        blocks: bytes or arrays, together the elements in C order, little-endian. A block may be
            overwritten once the next one is asked for.
    """

    shape: tuple[int, ...]
    dtype: DType
    blocks: Iterable[bytes | NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Parts:
    """A partitioned tensor: its parts, which cover it exactly once.

    Attributes:
        shape: the shape of the whole.
        dtype: its type.
        parts: for each part, where it lies (start and length on each axis) and its values.
    """

    shape: tuple[int, ...]
    dtype: DType
    parts: Sequence[tuple[Extents, Any]]


def array_of(value: Any) -> tuple[NDArray[Any], DType]:
    """The values as an array on the host, a view where one can be had, and their type.

    Args:
        value: an array, a number, text or bytes, a stored tensor.

    Raises:
        UnsupportedError: no tensor type holds such elements.
        FormatError: a stored tensor is damaged.
    """
    if isinstance(value, LazyTensor):
        return value.read(), value.dtype.base
    array = np.asarray(value)
    count(array.nbytes)
    return array, dtype_of_numpy(array.dtype)


def byte_blocks(array: NDArray[Any], dtype: DType) -> Iterator[Bytes]:
    """The bytes of an array of fixed-size elements, C order, little-endian, in blocks."""
    plain = dtype.numpy.newbyteorder("<")
    if array.flags.c_contiguous and (array.dtype.byteorder in "|<" or array.dtype == plain):
        data = array.reshape(-1).view(np.uint8)
        if len(data) <= BLOCK_BYTES:
            yield data
            return
        for start in range(0, len(data), BLOCK_BYTES):
            yield data[start : start + BLOCK_BYTES]
        return
    count = max(1, BLOCK_BYTES // array.itemsize)
    for start in range(0, array.size, count):
        yield array.flat[start : start + count].astype(plain).view(np.uint8)


def string_items(array: NDArray[Any]) -> list[bytes]:
    """The elements of a string array in C order; text becomes UTF-8.

    Raises:
        TypeError: an element is neither text nor bytes.
    """
    return [_encoded(item) for item in array.reshape(-1).tolist()]


def _encoded(item: Any) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise TypeError(f"an element of a string tensor is {type(item).__name__}, not text or bytes")


def is_string(dtype: DType) -> bool:
    """Whether the elements are strings, which have no fixed size."""
    return dtype is STRING


def fetched_ahead(tensors: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The same names and values; copies from devices start some megabytes ahead of their turn.

    An array on a device is replaced by another handle of its bytes, so that the copy on the host,
    which JAX keeps as long as the handle, goes away with it.
    """
    waiting: deque[tuple[str, Any, int]] = deque()
    ahead = 0
    for name, value in tensors:
        ready, size = _started(value)
        waiting.append((name, ready, size))
        del value, ready
        ahead += size
        while waiting and (ahead > _AHEAD_BYTES or len(waiting) > _AHEAD_COUNT or not ahead):
            ahead -= waiting[0][2]
            yield waiting.popleft()[:2]
    while waiting:
        yield waiting.popleft()[:2]


def _started(value: Any) -> tuple[Any, int]:
    """The value, and how many bytes are on their way to the host for it."""
    if not hasattr(value, "copy_to_host_async") or _is_on_host(value):
        return value, 0
    if value.is_fully_replicated:
        value = value.addressable_data(0)
    value.copy_to_host_async()
    return value, int(value.nbytes)


def _is_on_host(value: Any) -> bool:
    return all(device.platform == "cpu" for device in value.devices())
