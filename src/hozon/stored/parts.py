"""A stored tensor a part at a time, so that memory never holds a large one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hozon.raw.sources import forget
from hozon.stored.extents import Extents, full_extents
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bytes of one part.
PART_BYTES = 4 << 20


def parts_of(shape: tuple[int, ...], itemsize: int, limit: int = PART_BYTES) -> Iterator[Extents]:
    """A tensor cut along its first axes into parts of at most `limit` bytes, in C order."""
    nbytes = itemsize
    for length in shape:
        nbytes *= length
    if nbytes <= limit or not shape:
        yield full_extents(shape)
        return
    row = nbytes // shape[0]
    if row > limit:
        for number in range(shape[0]):
            for rest in parts_of(shape[1:], itemsize, limit):
                yield ((number, 1), *rest)
        return
    rows = limit // row
    for start in range(0, shape[0], rows):
        yield ((start, min(rows, shape[0] - start)), *full_extents(shape[1:]))


def read_parts(tensor: LazyTensor, limit: int = PART_BYTES) -> Iterator[NDArray[Any]]:
    """The values in parts, each flat, in C order; no checksum is compared.

    A part is to be let go before the next is asked for: the memory of its bytes is.
    """
    if not tensor.dtype.fixed:
        yield tensor.read(verify=False).reshape(-1)
        return
    for extents in parts_of(tensor.shape, tensor.dtype.numpy.itemsize, limit):
        part = tensor.source.read_extents(tensor, extents, False)
        yield part.reshape(-1)
        forget(part)
