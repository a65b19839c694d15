"""Datasets as lazy tensors: views of the file where their bytes lie in one piece."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py  # noqa: TID251
import numpy as np

from hozon.errors import FormatError, UnsafeError, UnsupportedError
from hozon.formats.hdf5 import attributes
from hozon.formats.hdf5.layout import (
    COMPRESSORS,
    DEFLATE,
    DTYPE_ATTRIBUTE,
    EXPANSION_FLOOR,
    FILTERS,
    FLETCHER32,
)
from hozon.limits import LIMITS
from hozon.raw.sources import CheckedSource, Source
from hozon.stored.dtypes import BFLOAT16, STRING, DType, dtype_of_name, dtype_of_numpy
from hozon.stored.extents import Extents, full_extents, intersect, shape_of, span_of
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray


Identifier = Any
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """What finds the values of a dataset.

    Attributes:
        dataset: h5py's dataset; None where `offset` does.
        dtype: the type of the stored elements, in the file's byte order.
        offset: where the values begin that lie in one piece.
    """

    dataset: Identifier
    dtype: np.dtype[Any]
    offset: int | None = None

    def checksummed(self) -> int:
        """Stored bytes that have a checksum, which HDF5 compares: deflated ones and Fletcher's."""
        if self.dataset is None:
            return 0
        plan = self.dataset.get_create_plist()
        codes = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
        return int(self.dataset.get_storage_size()) if codes & {DEFLATE, FLETCHER32} else 0


class DatasetSource:
    """Reads the datasets of one file."""

    __slots__ = ("_checked_source", "_file", "_source")

    def __init__(self, file: Any, source: Source) -> None:
        self._file = file  # open as long as a tensor needs it
        self._source = source
        self._checked_source = source if isinstance(source, CheckedSource) else None

    def tensor(self, dataset: Identifier, name: str) -> LazyTensor:
        """The tensor of a dataset; nothing of it is read.

        Raises:
            FormatError: it declares more than is stored.
            UnsafeError: its values lie outside the file, or are references.
            UnsupportedError: its type or compression is unknown.
        """
        file, kind = self._source.name, dataset.get_type()
        attributes.check_type(kind, name, file)
        if attributes.is_null(dataset):
            raise FormatError(f"{name!r} has no value", file=file, record=name)
        shape = tuple(int(length) for length in dataset.shape)
        if kind.get_class() == h5py.h5t.STRING:
            return self._text(dataset, kind, name, shape)
        stored = _numpy_type(dataset, name, file)
        dtype = self._dtype(dataset, stored, name)
        nbytes = stored.itemsize
        for length in shape:
            nbytes *= length
        offset = self._checked(dataset, name, nbytes)
        record = Stored(dataset if offset is None else None, stored, offset)
        return LazyTensor(name, shape, dtype, nbytes, self, record)

    def _text(
        self, dataset: Identifier, kind: Identifier, name: str, shape: tuple[int, ...]
    ) -> LazyTensor:
        count = int(np.prod(shape, dtype=object))
        if kind.is_variable_str():
            attributes.check_text_count(count, name, self._source.name, self._source.size)
        nbytes = count * int(kind.get_size())
        self._checked(dataset, name, nbytes)
        return LazyTensor(name, shape, STRING, nbytes, self, Stored(dataset, np.dtype(object)))

    def _dtype(self, dataset: Identifier, stored: np.dtype[Any], name: str) -> DType:
        """The type; Keras stores bfloat16 and 8-bit floats as opaque bytes."""
        if stored.kind != "V":
            return dtype_of_numpy(stored)
        file, named = self._source.name, None
        if attributes.has_attribute(dataset, DTYPE_ATTRIBUTE):
            named = attributes.read_attribute(dataset, DTYPE_ATTRIBUTE, file, self._source.size)
        dtype = dtype_of_name(named) if isinstance(named, str) else BFLOAT16
        if dtype.itemsize != stored.itemsize or not dtype.fixed:
            raise FormatError(
                f"{name!r} has elements of an unknown type",
                file=file,
                record=name,
                expected=f"{dtype.itemsize} bytes for each",
                found=f"{stored.itemsize} bytes",
            )
        return dtype

    def _checked(self, dataset: Identifier, name: str, nbytes: int) -> int | None:
        """The offset of values in one piece, None for others; refuses what is not all there."""
        plan, file = dataset.get_create_plist(), self._source.name
        layout = plan.get_layout()
        if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
            raise UnsafeError(
                f"the values of {name!r} lie in other files",
                refused="HDF5 external storage or virtual datasets",
                file=file,
                record=name,
            )
        if layout == h5py.h5d.CHUNKED:
            self._check_chunks(dataset, plan, name, nbytes)
            return None
        held = dataset.get_storage_size()
        if held < nbytes:
            raise _short(name, file, nbytes, held)
        offset = dataset.get_offset() if layout == h5py.h5d.CONTIGUOUS else None
        if offset is not None and offset + nbytes > self._source.size:
            raise _short(name, file, offset + nbytes, self._source.size)
        return offset

    def _check_chunks(self, dataset: Identifier, plan: Any, name: str, nbytes: int) -> None:
        file = self._source.name
        codes = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
        unknown = sorted(set(codes) - FILTERS)
        if unknown or sum(code in COMPRESSORS for code in codes) > 1:
            raise UnsupportedError(
                f"{name!r} is compressed in a way that is not known",
                file=file,
                record=name,
                feature=f"HDF5 filters {codes}",
                instead="h5repack -f NONE",
            )
        held = min(dataset.get_storage_size(), self._source.size)
        ratio = LIMITS.expansion_ratio if COMPRESSORS & set(codes) else 1
        chunk = int(np.prod(plan.get_chunk(), dtype=object)) * dataset.get_type().get_size()
        if nbytes > max(held * ratio, EXPANSION_FLOOR) or (nbytes and not held):
            raise _short(name, file, nbytes, held)
        if chunk > max(held * ratio, EXPANSION_FLOOR):
            raise _short(name, file, chunk, held)

    # Reading

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:
        """The whole tensor; HDF5 keeps no checksum, but an archive around it may."""
        if verify and self._checked_source is not None:
            self._checked_source.check()
        return self._part(tensor, full_extents(tensor.shape))

    def read_extents(
        self,
        tensor: LazyTensor,
        extents: Extents,
        verify: bool,  # noqa: ARG002
    ) -> NDArray[Any]:
        """A part of a tensor; only the bytes or chunks that hold it are read."""
        return self._part(tensor, extents)

    def _part(self, tensor: LazyTensor, extents: Extents) -> NDArray[Any]:
        stored: Stored = tensor.record
        if stored.offset is not None:
            return self._mapped(tensor, stored, stored.offset, extents)
        text = tensor.dtype is STRING
        self._check_deflated(tensor, stored, extents)
        kind = np.dtype(stored.dataset.dtype) if text else stored.dtype
        array = np.empty(shape_of(extents), kind)
        if array.size:
            self._guarded(tensor, lambda: _read_part(stored.dataset, extents, array))
        return _texts(array) if text else _native(array, tensor.dtype)

    def _mapped(
        self, tensor: LazyTensor, stored: Stored, offset: int, extents: Extents
    ) -> NDArray[Any]:
        span = span_of(extents, tensor.shape, stored.dtype.itemsize)
        data = self._source.view(offset + span.offset, span.nbytes)
        array = data.view(stored.dtype).reshape(span.shape)
        if not array.flags.aligned:
            array = array.copy()
        return _native(array[span.index], tensor.dtype)

    def _guarded(self, tensor: LazyTensor, read: Any) -> None:
        try:
            read()
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(
                f"{tensor.name!r} cannot be read: {error}",
                file=self._source.name,
                record=tensor.name,
            ) from error

    def _check_deflated(self, tensor: LazyTensor, stored: Stored, extents: Extents) -> None:
        """Refuse chunks that would expand beyond a chunk: HDF5 itself goes on to the end."""
        dataset, plan = stored.dataset, stored.dataset.get_create_plist()
        if plan.get_layout() != h5py.h5d.CHUNKED:
            return
        if not any(plan.get_filter(i)[0] == DEFLATE for i in range(plan.get_nfilters())):
            return
        lengths = plan.get_chunk()
        size = int(np.prod(lengths, dtype=object)) * dataset.get_type().get_size()
        for index in range(dataset.get_num_chunks()):
            info = dataset.get_chunk_info(index)
            if intersect(tuple(zip(info.chunk_offset, lengths, strict=True)), extents) is None:
                continue
            # Only the end of a checksum may follow the values (Fletcher32 adds four bytes).
            if _inflated(self._source, info.byte_offset, info.size, size + 4) > size + 4:
                raise FormatError(
                    f"a chunk of {tensor.name!r} expands beyond its size",
                    file=self._source.name,
                    record=tensor.name,
                    offset=info.byte_offset,
                    expected=f"{size} bytes",
                )


def _inflated(source: Source, offset: int, length: int, limit: int) -> int:
    """How many bytes come out of a deflated chunk; counting ends beyond `limit`."""
    if offset + length > source.size:
        return 0  # HDF5 itself says that the file is short
    inflater, count = zlib.decompressobj(), 0
    data: Any = source.view(offset, length).tobytes()
    try:
        while data and not inflater.eof and count <= limit:
            count += len(inflater.decompress(data, _PIECE))
            data = inflater.unconsumed_tail
    except zlib.error:
        return 0  # a chunk may be stored without its filters; HDF5 knows
    return count


def _read_part(dataset: Identifier, extents: Extents, into: NDArray[Any]) -> None:
    if not extents or into.shape == tuple(dataset.shape):
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, into)
        return
    space = dataset.get_space()
    space.select_hyperslab(tuple(start for start, _ in extents), into.shape)
    dataset.read(h5py.h5s.create_simple(into.shape), space, into)


def _texts(array: NDArray[Any]) -> NDArray[Any]:
    texts = np.empty(array.shape, object)
    texts[...] = array
    texts.flags.writeable = False
    return texts


def _numpy_type(dataset: Identifier, name: str, file: str) -> np.dtype[Any]:
    try:
        found: np.dtype[Any] = np.dtype(dataset.dtype)
    except TypeError as error:
        raise UnsupportedError(
            f"{name!r} has a type that NumPy does not", file=file, record=name
        ) from error
    return found


def _native(array: NDArray[Any], dtype: DType) -> NDArray[Any]:
    """Read-only, in native byte order; opaque bytes as the type they stand for."""
    if array.dtype.kind == "V":
        array = array.view(dtype.numpy)
    elif array.dtype != dtype.numpy:
        array = array.astype(dtype.numpy)
    array.flags.writeable = False
    return array


def _short(name: str, file: str, declared: int, held: int) -> FormatError:
    return FormatError(
        f"{name!r} declares more bytes than are stored",
        file=file,
        record=name,
        expected=f"{declared} bytes",
        found=f"{held} bytes",
    )
