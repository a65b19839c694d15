"""A tensor of a file: known by name, shape and dtype, read when asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from hozon.stored.dtypes import DType, dtype_of_numpy
from hozon.stored.extents import Extents, extents_of, index_of
from hozon.stored.meter import count

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Below this, threads cost more than they save.
PARALLEL_BYTES = 1 << 24


class TensorSource(Protocol):
    """Whatever holds tensors and can read one of them, or a part of it.

    One that may hold a tensor in parts, which reading it whole copies together, has
    ``in_parts(tensor)``, which says whether it does.
    """

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:
        """The whole tensor."""

    def read_extents(self, tensor: LazyTensor, extents: Extents, verify: bool) -> NDArray[Any]:
        """The part of a tensor within `extents`, one (start, length) for each axis."""


@runtime_checkable
class CheckedTensors(Protocol):
    """A source that has a checksum of each tensor, and compares it with little memory."""

    def check(self, tensor: LazyTensor) -> int:
        """Compare it; the bytes that it covers. Raise FormatError where it differs."""


class OnDemand:
    """A tensor of which parts are read when they are asked for, each with its checksum compared.

    Attributes:
        shape: its shape.
    """

    __slots__ = ("_tensor", "shape")

    def __init__(self, tensor: LazyTensor) -> None:
        self.shape = tensor.shape
        self._tensor = tensor

    def __getitem__(self, index: tuple[slice, ...]) -> NDArray[Any]:
        return self._tensor.read_slice(index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._tensor.read(), dtype=dtype, copy=copy)


class LazyTensor:
    """A stored tensor.

    Attributes:
        name: its name in the file.
        shape: its shape.
        dtype: its type.
        nbytes: bytes that it takes in the file, or in memory where the file compresses it.
        source: what reads it.
        record: what `source` needs to find it; of no meaning to others.
    """

    __slots__ = ("dtype", "name", "nbytes", "record", "shape", "source")

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DType,
        nbytes: int,
        source: TensorSource,
        record: Any = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.nbytes = nbytes
        self.source = source
        self.record = record

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def in_parts(self) -> bool:
        """Whether reading it whole copies it together, so that a part takes less memory."""
        # Not `isinstance`, which takes a protocol's members one by one for each of many tensors.
        asked: Callable[[LazyTensor], bool] | None = getattr(self.source, "in_parts", None)
        return asked is not None and asked(self)

    def read(self, verify: bool = True) -> NDArray[Any]:
        """The tensor as a C-ordered array of `dtype.numpy` in native byte order.

        The array is read-only and, where the file allows, a view of the mapped file. A string
        tensor is an object array of `bytes`.

        Args:
            verify: whether to compare the stored checksum, if there is one.

        Raises:
            FormatError: the file is damaged.
            UnsupportedError: no array can hold the dtype.
        """
        value = self.source.read_tensor(self, verify)
        count(self.nbytes)
        return value

    def read_slice(
        self, part: str | slice | int | tuple[slice | int, ...], verify: bool = True
    ) -> NDArray[Any]:
        """A part of the tensor.

        Args:
            part: NumPy slices of step 1 and integers, or a slice as TensorFlow writes it:
                `0,50:-` (rows 0 to 49, all columns), or with the full shape first,
                `100 20 0,50:0,20`.
            verify: whether to compare the stored checksum, for which every byte of what the part
                lies in must be read. Without it only the part itself is.

        Raises:
            MismatchError: the part does not fit the tensor's shape.
            FormatError: the file is damaged.
        """
        extents, kept = extents_of(part, self.shape, self.name)
        array = self.source.read_extents(self, extents, verify)
        if not kept:
            return array
        return array[tuple(slice(None) if keep else 0 for keep in kept)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.read(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"LazyTensor({self.name!r}, shape={self.shape}, dtype={self.dtype})"


class ArraySource:
    """An array in memory, for tensors that need no file."""

    __slots__ = ("_array",)

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    # The unused arguments are those of the protocol.
    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:  # noqa: ARG002
        """The array."""
        return self._array

    def read_extents(
        self,
        tensor: LazyTensor,  # noqa: ARG002
        extents: Extents,
        verify: bool,  # noqa: ARG002
    ) -> NDArray[Any]:
        """A view of a part of the array."""
        return self._array[index_of(extents)]


def lazy_array(name: str, array: NDArray[Any]) -> LazyTensor:
    """An array in memory in the form of a stored tensor; it must not be changed afterwards."""
    view = np.ascontiguousarray(array).reshape(array.shape).view()
    view.flags.writeable = False
    return LazyTensor(name, view.shape, dtype_of_numpy(view.dtype), view.nbytes, ArraySource(view))


def copied(tensor: LazyTensor) -> LazyTensor:
    """A tensor with a copy of its values in memory."""
    array = np.array(tensor.source.read_tensor(tensor, verify=True), copy=True)
    made = lazy_array(tensor.name, array)
    return LazyTensor(tensor.name, tensor.shape, tensor.dtype, tensor.nbytes, made.source)


def read_all(tensors: Sequence[LazyTensor]) -> list[NDArray[Any]]:
    """The values of many tensors; large ones are read by as many threads as there are cores.

    Most of the time goes into copying to memory that the process has just got.
    """
    if sum(tensor.nbytes for tensor in tensors) < PARALLEL_BYTES:
        return [tensor.read() for tensor in tensors]
    values = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for tensor, value in zip(
            tensors, pool.map(lambda t: t.source.read_tensor(t, True), tensors), strict=True
        ):
            count(tensor.nbytes)
            values.append(value)
    return values


def elements(
    data: NDArray[np.uint8], stored: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Bytes of a file as elements, least significant byte first: a view where they are aligned."""
    if not data.flags.aligned or data.ctypes.data % max(1, stored.itemsize):
        data = data.copy()
    return data.view(stored.newbyteorder("<")).reshape(shape)
