"""The data files of a bundle: reading one tensor's bytes and what they mean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.errors import FormatError
from hozon.formats.bundle.layout import Entry, Header, data_file
from hozon.formats.bundle.slices import resolve, slice_key
from hozon.formats.bundle.strings import read_strings
from hozon.raw.checksum import crc32c, mask, masked_crc32c
from hozon.raw.location import Location
from hozon.raw.sources import Source, forget
from hozon.stored.dtypes import STRING, VARIANT, DType
from hozon.stored.extents import (
    Extents,
    full_extents,
    index_of,
    intersect,
    relative,
    shape_of,
    span_of,
)
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

Opener = Callable[[str], Source]

_HELD = 256
"""How many data files are opened with the index."""

_BLOCK = 4 << 20
"""Bytes that are checksummed at once."""


class BundleData:
    """Reads tensors out of the data files, each of which is opened when first needed.

    Attributes:
        prefix: path of the checkpoint without `.index`.
        header: the bundle's header.
    """

    def __init__(
        self, prefix: str, header: Header, slices: Mapping[bytes, Entry], opener: Opener
    ) -> None:
        self.prefix = prefix
        self.header = header
        self._slices = slices
        self._opener = opener
        self._files: dict[int, Source] = {}
        self._swap = header.big_endian != (sys.byteorder == "big")

    def hold(self) -> None:
        """Opens the data files, except missing ones and those of a very wide checkpoint."""
        for shard in range(min(self.header.num_shards, _HELD)):
            with suppress(OSError, FormatError):
                path = data_file(self.prefix, shard, self.header.num_shards)
                self._files[shard] = self._opener(path)

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:
        """The whole tensor; a view of the data file unless bytes must be swapped or joined."""
        entry: Entry = tensor.record
        if entry.slices:
            return self._join(tensor, full_extents(tensor.shape), verify)
        return self._read(entry, tensor.shape, tensor.dtype, tensor.name, verify)

    def read_extents(self, tensor: LazyTensor, extents: Extents, verify: bool) -> NDArray[Any]:
        """A part of a tensor; without `verify`, only what it lies in is read."""
        entry: Entry = tensor.record
        if entry.slices:
            return self._join(tensor, extents, verify)
        if verify or not extents or not tensor.dtype.fixed:
            array = self._read(entry, tensor.shape, tensor.dtype, tensor.name, verify)
            return array[index_of(extents)] if extents else array
        return self._read_rows(entry, tensor, extents)

    def in_parts(self, tensor: LazyTensor) -> bool:
        """Whether it is stored in slices."""
        return bool(tensor.record.slices)

    def check(self, tensor: LazyTensor) -> int:
        """Compare the checksums of a tensor, a block after the other, or those of its slices.

        Returns:
            The bytes that they cover.

        Raises:
            FormatError: one is wrong, or the tensor is damaged otherwise.
            UnsupportedError: it is of a type that no array can hold.
        """
        entry: Entry = tensor.record
        if not entry.slices:
            return self._check(entry, tensor.shape, tensor.dtype, tensor.name)
        where = Location(f"{self.prefix}.index", tensor.name)
        covered = elements = 0
        for stored in entry.slices:
            extents = resolve(stored, tensor.shape, where)
            part = self._slice_entry(tensor, stored, extents, where)
            covered += self._check(part, part.shape, tensor.dtype, tensor.name)
            elements += _product(part.shape)
        if elements != _product(tensor.shape):
            raise where.damaged(
                "the slices of the tensor do not cover it exactly once",
                expected=f"{_product(tensor.shape)} elements",
                found=f"{elements} elements",
            )
        return covered

    def _check(self, entry: Entry, shape: tuple[int, ...], dtype: DType, name: str) -> int:
        if not dtype.bits:
            self._read(entry, shape, dtype, name, verify=True)
            return entry.size
        self._check_size(entry, shape, dtype, name)
        found = 0
        for start in range(0, entry.size, _BLOCK):
            piece = entry._replace(offset=entry.offset + start)
            block = self._bytes(piece._replace(size=min(_BLOCK, entry.size - start)), name)
            found = crc32c(block, found)
            forget(block)
        if mask(found) != entry.crc:
            raise self._bad_checksum(entry, name, mask(found))
        return entry.size

    def _read_rows(self, entry: Entry, tensor: LazyTensor, extents: Extents) -> NDArray[Any]:
        self._check_size(entry, tensor.shape, tensor.dtype, tensor.name)
        span = span_of(extents, tensor.shape, tensor.dtype.itemsize)
        part = entry._replace(offset=entry.offset + span.offset, size=span.nbytes)
        array = self._read(part, span.shape, tensor.dtype, tensor.name, verify=False)
        rows: NDArray[Any] = array[span.index]
        return rows

    def _read(
        self, entry: Entry, shape: tuple[int, ...], dtype: DType, name: str, verify: bool
    ) -> NDArray[Any]:
        if dtype.bits:
            self._check_size(entry, shape, dtype, name)
            data = self._bytes(entry, name)
            if verify and masked_crc32c(data) != entry.crc:
                raise self._bad_checksum(entry, name, masked_crc32c(data))
            return self._values(data, dtype).reshape(shape)
        if dtype is not STRING:
            raise self._unreadable(entry, dtype, name)
        where = self._where(entry, name)
        crc = entry.crc if verify else None
        count = _product(shape)
        strings = read_strings(self._bytes(entry, name), count, self.header.big_endian, crc, where)
        return strings.reshape(shape)

    def _values(self, data: NDArray[np.uint8], dtype: DType) -> NDArray[Any]:
        if self._swap and dtype.swap_unit > 1:
            data = data.view(f"u{dtype.swap_unit}").byteswap().view(np.uint8)
            data.flags.writeable = False
        return data.view(dtype.numpy)

    def _bytes(self, entry: Entry, name: str) -> NDArray[np.uint8]:
        source = self._files.get(entry.shard)
        if source is None:
            source = self._open(entry, name)
        if entry.offset + entry.size > source.size:
            raise self._where(entry, name).damaged(
                "the tensor lies outside its data file, which may be cut short",
                at=0,
                expected=f"an end at {source.size} or before",
                found=entry.offset + entry.size,
            )
        return source.view(entry.offset, entry.size)

    def _open(self, entry: Entry, name: str) -> Source:
        path = data_file(self.prefix, entry.shard, self.header.num_shards)
        try:
            source = self._opener(path)
        except FileNotFoundError:
            raise FormatError(
                "a data file of the checkpoint is missing", file=path, record=name
            ) from None
        return self._files.setdefault(entry.shard, source)

    def _join(self, tensor: LazyTensor, wanted: Extents, verify: bool) -> NDArray[Any]:
        """A part of a partitioned tensor, copied together from the slices that it touches."""
        where = Location(f"{self.prefix}.index", tensor.name)
        pieces = self._pieces(tensor, wanted, verify, where)
        shape = shape_of(wanted)
        if sum(piece.size for _, piece in pieces) != _product(shape):
            raise where.damaged(
                "the slices of the tensor do not cover it exactly once",
                expected=f"{_product(shape)} elements",
                found=f"{sum(piece.size for _, piece in pieces)} elements",
            )
        if len(pieces) == 1:
            return pieces[0][1]
        result = np.empty(shape, tensor.dtype.numpy)
        covered = np.zeros(shape, bool)
        for extents, piece in pieces:
            index = index_of(relative(extents, wanted))
            result[index] = piece
            covered[index] = True
        if not covered.all():
            raise where.damaged("the slices of the tensor overlap and leave parts of it out")
        result.flags.writeable = False
        return result

    def _pieces(
        self, tensor: LazyTensor, wanted: Extents, verify: bool, where: Location
    ) -> list[tuple[Extents, NDArray[Any]]]:
        pieces = []
        places = set()
        for stored in tensor.record.slices:
            extents = resolve(stored, tensor.shape, where)
            shared = intersect(extents, wanted)
            if shared is None:
                continue
            entry = self._slice_entry(tensor, stored, extents, where)
            # Slices that share bytes could make any amount of memory out of a small file.
            if (entry.shard, entry.offset) in places:
                raise where.damaged("two slices of the tensor are in one place", found=stored)
            places.add((entry.shard, entry.offset))
            array = self._read(entry, entry.shape, tensor.dtype, tensor.name, verify)
            pieces.append((shared, array[index_of(relative(shared, extents))]))
        return pieces

    def _slice_entry(
        self,
        tensor: LazyTensor,
        stored: tuple[tuple[int, int], ...],
        extents: Extents,
        where: Location,
    ) -> Entry:
        whole = all(length < 0 for _, length in stored)
        key = slice_key(tensor.name.encode(), stored)
        entry = tensor.record if whole else self._slices.get(key)
        if entry is None:
            raise where.damaged("a slice of the tensor is missing", expected=f"{stored}")
        if entry.shape != shape_of(extents) or entry.dtype != tensor.dtype.number:
            raise where.damaged(
                "a slice differs from what its tensor says of it",
                expected=f"type {tensor.dtype.number}, shape {shape_of(extents)}",
                found=f"type {entry.dtype}, shape {entry.shape}",
            )
        return entry

    def _check_size(self, entry: Entry, shape: tuple[int, ...], dtype: DType, name: str) -> None:
        size = dtype.itemsize
        for length in shape:
            size *= length
        if size != entry.size:
            raise self._where(entry, name).damaged(
                f"the stored size does not fit shape {shape} of {dtype}",
                expected=f"{size} bytes",
                found=f"{entry.size} bytes",
            )

    def _bad_checksum(self, entry: Entry, name: str, found: int) -> FormatError:
        return self._where(entry, name).damaged(
            "the checksum of the tensor is wrong",
            at=0,
            expected=f"{entry.crc:#010x}",
            found=f"{found:#010x}",
        )

    def _unreadable(self, entry: Entry, dtype: DType, name: str) -> Exception:
        where = self._where(entry, name)
        if dtype is VARIANT:
            return where.unsupported(
                "a variant tensor holds a C++ object that only TensorFlow can decode",
                feature="variant tensors",
            )
        return where.damaged("no tensor of this type can be stored", found=dtype.name)

    def _where(self, entry: Entry, name: str) -> Location:
        path = data_file(self.prefix, entry.shard, self.header.num_shards)
        return Location(path, name, entry.offset)


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count
