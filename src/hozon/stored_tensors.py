"""Every stored tensor of an artifact by its name, read when it is used; without Keras or JAX."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.arguments import checked, path_to_read
from hozon.errors import MismatchError
from hozon.forms import form_of
from hozon.raw.stores import place
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tensor", "Tensors", "tensors"]

SHOWN = 10


class Tensor:
    """A stored tensor: NumPy takes it as an array, and a part of it is read alone.

    Attributes:
        name: its name in the artifact.
        shape: its shape.
        dtype: the NumPy type of its values; ``object`` for text, whose elements are ``bytes``.
        nbytes: bytes that it takes in the file, or in memory where the file compresses it.

    Example:
        >>> kernel = hozon.tensors("model.h5")["dense/kernel:0"]
        >>> np.asarray(kernel)      # all of it, its checksum compared where the file has one
        >>> kernel[2:5, :]          # three rows, and no more is read
    """

    __slots__ = ("_stored", "name")

    def __init__(self, name: str, stored: LazyTensor) -> None:
        self.name = name
        self._stored = stored

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self._stored.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of its values."""
        return self._stored.dtype.numpy

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the file."""
        return self._stored.nbytes

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._stored.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._stored.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._stored.read(), dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        """A part, as NumPy indexes with integers, slices, ``...`` and ``None``.

        Only what the part lies in is read; no checksum is compared, for which all would be.

        Raises:
            IndexError: the index does not fit the shape, or is of another kind.
            FormatError: the file is damaged.
        """
        read, rest = _split(index, self.shape)
        try:
            part = self._stored.read_slice(read, verify=False)
        except MismatchError as error:
            raise IndexError(str(error)) from None
        return part[rest] if isinstance(part, np.ndarray) else part

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{self.name!r} is a scalar, which has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        kind = self._stored.dtype.name
        return f"Tensor({self.name!r}, shape={self.shape}, dtype={kind}, nbytes={self.nbytes})"


class Tensors(Mapping[str, Tensor]):
    """The stored tensors of an artifact by name, in the order of the file."""

    def __init__(self, path: str, found: Mapping[str, LazyTensor]) -> None:
        self.path = path
        self._found = found

    def __getitem__(self, name: str) -> Tensor:
        found = self._found.get(name)
        if found is None:
            near = get_close_matches(str(name), self._found, 3)
            meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise KeyError(f"{self.path} holds no tensor {name!r}{meant}")
        return Tensor(name, found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        lines = [f"{self.path}: {len(self)} tensors"]
        lines += [f"  {tensor!r}" for tensor in islice(self.values(), SHOWN)]
        more = len(self) - SHOWN
        return "\n".join([*lines, *([f"  ... and {more} more"] if more > 0 else [])])


@checked(path=path_to_read)
def tensors(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    """Every stored tensor of an artifact by its own name; nothing of them is read yet.

    Args:
        path: any artifact: a SavedModel directory, a file of Keras or of safetensors, or the
            prefix, index file or folder of a checkpoint; a path or URL.

    Returns:
        Tensors by name, in the order of the file: ``.shape``, ``.dtype``, ``.nbytes``;
        ``np.asarray(t)`` is a read-only view of the file where it can be mapped, its checksum
        compared where there is one; ``t[2:5, :]`` reads what it needs. An artifact without weights
        has none.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: it is none of these.
        FormatError: it is damaged.

    Example:
        >>> held = hozon.tensors("my_model")
        >>> {name: tensor.shape for name, tensor in held.items()}
    """
    where = place(path)
    return Tensors(where, form_of(where).tensors(where))


def _split(index: Any, shape: tuple[int, ...]) -> tuple[tuple[slice | int, ...], tuple[Any, ...]]:
    """What is to be read, by slices of step 1 and integers, and what to make of it then."""
    items = list(index) if isinstance(index, tuple) else [index]
    dots = [number for number, item in enumerate(items) if item is ...]
    used = sum(item is not None and item is not ... for item in items)
    if len(dots) > 1 or used > len(shape):
        raise IndexError(f"{index!r} is no index of a tensor of shape {shape}")
    if dots:
        items[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) - used)
    read: list[slice | int] = []
    rest: list[Any] = []
    for item in items:
        if item is None:
            rest.append(None)
        elif isinstance(item, slice):
            whole, then = _forward(item, shape[len(read)])
            read.append(whole)
            rest.append(then)
        elif hasattr(item, "__index__") and not isinstance(item, (bool, np.bool_)):
            read.append(int(item.__index__()))
        else:
            raise IndexError(f"{item!r} is neither an integer nor a slice; use np.asarray(t)[...]")
    return tuple(read), (..., *rest) if not rest else tuple(rest)


def _forward(item: slice, length: int) -> tuple[slice, slice]:
    """The run of step 1 that a slice lies in, and the slice in that run."""
    chosen = range(*item.indices(length))
    if not chosen:
        return slice(0, 0), slice(None)
    first, last = sorted((chosen[0], chosen[-1]))
    step = chosen.step
    return slice(first, last + 1), slice(None, None, None if step == 1 else step)
