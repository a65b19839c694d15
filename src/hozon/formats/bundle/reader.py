"""Opens a tensor bundle: the index now, each tensor when it is asked for."""

from __future__ import annotations

import difflib
import os
from abc import abstractmethod
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from hozon.errors import FormatError, MismatchError
from hozon.formats.bundle.data import BundleData, Opener
from hozon.formats.bundle.index import Index, read_index
from hozon.formats.bundle.layout import INDEX_SUFFIX, Entry, Header, data_file
from hozon.formats.sstable import is_table
from hozon.limits import LIMITS, Limits
from hozon.raw.location import Location
from hozon.raw.sources import Source, is_same_file
from hozon.raw.stores import exists, is_remote, open_source, place
from hozon.stored.dtypes import dtype_of_number
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_REQUESTS = 16
"""Requests to a remote file system at once."""


class _Items(ItemsView[str, LazyTensor]):
    """Names and tensors, in turn."""

    _mapping: _InTurn

    def __iter__(self) -> Iterator[tuple[str, LazyTensor]]:
        return self._mapping.each()


class _Values(ValuesView[LazyTensor]):
    """The tensors, in turn."""

    _mapping: _InTurn

    def __iter__(self) -> Iterator[LazyTensor]:
        return (tensor for _, tensor in self._mapping.each())


class _InTurn(Mapping[str, LazyTensor]):
    """Tensors by name that are made in the order of the file, rather than looked up one by one."""

    @abstractmethod
    def each(self) -> Iterator[tuple[str, LazyTensor]]:
        """Names and tensors, in turn."""

    def items(self) -> ItemsView[str, LazyTensor]:
        """Names and tensors."""
        return _Items(self)

    def values(self) -> ValuesView[LazyTensor]:
        """The tensors."""
        return _Values(self)


class Bundle(_InTurn):
    """The tensors of a checkpoint, by name, in the order of the file (sorted by bytes).

    Attributes:
        prefix: path of the checkpoint without `.index`.
        header: number of data files, byte order and version.
    """

    def __init__(self, prefix: str, index: Index, opener: Opener) -> None:
        self.prefix = prefix
        self.header: Header = index.header
        self._data = BundleData(prefix, index.header, index.slices, opener)
        self._entries = index.entries

    @property
    def producer(self) -> int:
        """The version of the format that the writer of the file wrote."""
        return self.header.producer

    version = producer

    def each(self) -> Iterator[tuple[str, LazyTensor]]:
        """Names and tensors, in turn."""
        return ((name, self._tensor(name, entry)) for name, entry in self._entries.each())

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes."""
        return self._entries.shapes()

    def without(self, *names: str) -> Mapping[str, LazyTensor]:
        """The tensors but those of some names."""
        return _Without(self, frozenset(names))

    def get(self, name: str, default: Any = None) -> Any:
        """The tensor of that name, or `default`."""
        entry = self._entries.get(name)
        return default if entry is None else self._tensor(name, entry)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, name: str) -> LazyTensor:
        entry = self._entries.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self._entries, n=3, cutoff=0.7)
            raise MismatchError(
                f"the checkpoint holds no tensor {name!r}",
                mismatches=[f"there is {other!r}" for other in near],
                file=self.prefix,
            )
        return self._tensor(name, entry)

    def _tensor(self, name: str, entry: Entry) -> LazyTensor:
        dtype = dtype_of_number(entry.dtype)
        return LazyTensor(name, entry.shape, dtype, entry.size, self._data, entry)

    def __repr__(self) -> str:
        return f"Bundle({self.prefix!r}, {len(self)} tensors)"

    def hold(self, index: Source) -> bool:
        """Maps the data files.

        Returns:
            Whether `index` is still the one of this checkpoint, hence the data its own.
        """
        self._data.hold()
        return is_same_file(index, self.prefix + INDEX_SUFFIX)

    def read_all(
        self, names: Iterable[str] | None = None, verify: bool = True
    ) -> dict[str, NDArray[Any]]:
        """Many tensors at once, all of them by default.

        Raises:
            FormatError: the file is damaged.
            UnsupportedError: a tensor is of a type that no array can hold.
        """
        wanted = [self[name] for name in (self._entries if names is None else names)]
        arrays = self._each(lambda tensor: tensor.read(verify), wanted)
        return {tensor.name: array for tensor, array in zip(wanted, arrays, strict=True)}

    def verify(self, name: str | None = None) -> None:
        """Compares the checksum of one tensor, or of all, with the stored one.

        Raises:
            FormatError: a checksum is wrong, or a tensor is damaged otherwise.
        """
        wanted = list(self.values()) if name is None else [self[name]]
        for _ in self._each(self._data.check, wanted):
            pass

    def check(self, name: str) -> int:
        """Compares the checksums of one tensor, with little memory; the bytes that they cover.

        Raises:
            FormatError: one is wrong, or the tensor is damaged otherwise.
            UnsupportedError: it is of a type that no array can hold.
        """
        return self._data.check(self[name])

    def files(self) -> list[str]:
        """The paths of the index and of all data files."""
        count = self.header.num_shards
        return [
            self.prefix + INDEX_SUFFIX,
            *(data_file(self.prefix, shard, count) for shard in range(count)),
        ]

    def _each(self, work: Callable[[LazyTensor], T], tensors: list[LazyTensor]) -> Iterable[T]:
        """Does something with many tensors; remote ones are fetched side by side.

        Threads gain nothing on a local file: checksums run at memory speed, under Python's lock.
        """
        if not is_remote(self.prefix):
            return map(work, tensors)
        with ThreadPoolExecutor(_REQUESTS) as pool:
            return list(pool.map(work, tensors))


class _Without(_InTurn):
    """The tensors of a bundle but some."""

    def __init__(self, bundle: Bundle, left_out: frozenset[str]) -> None:
        self._bundle = bundle
        self._left_out = frozenset(name for name in left_out if name in bundle)

    def __getitem__(self, name: str) -> LazyTensor:
        if name in self._left_out or name not in self._bundle:
            raise KeyError(name)
        return self._bundle[name]

    def __contains__(self, name: object) -> bool:
        return name not in self._left_out and name in self._bundle

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._bundle if name not in self._left_out)

    def __len__(self) -> int:
        return len(self._bundle) - len(self._left_out)

    def each(self) -> Iterator[tuple[str, LazyTensor]]:
        """Names and tensors, in turn."""
        return (pair for pair in self._bundle.each() if pair[0] not in self._left_out)


def is_bundle(prefix: str | os.PathLike[str]) -> bool:
    """Whether there is a checkpoint of this prefix."""
    return exists(place(prefix) + INDEX_SUFFIX)


def open_bundle(
    prefix: str | os.PathLike[str], *, opener: Opener = open_source, limits: Limits = LIMITS
) -> Bundle:
    """Opens a checkpoint. Only its index is read.

    The data files of a local one are mapped at once, so that what is read later is what was there
    now, even if the checkpoint is replaced meanwhile.

    Args:
        prefix: path or URL of the checkpoint without `.index`, such as `ckpt-1` or
            `model/variables/variables`.
        opener: what opens the index and the data files.
        limits: the bounds to keep to.

    Raises:
        FormatError: there is no such checkpoint, or its index is damaged.
        UnsupportedError: it is a checkpoint of another version, or has tensors of unknown types.
    """
    text = place(prefix)
    while True:
        source = _index_source(text, opener)
        bundle = Bundle(text, read_index(source, limits), opener)
        # As long as the index is in use no other file gets its number.
        if opener is not open_source or is_remote(text) or bundle.hold(source):
            return bundle


def _index_source(prefix: str, opener: Opener) -> Source:
    try:
        return opener(prefix + INDEX_SUFFIX)
    except FileNotFoundError:
        raise _no_index(prefix, opener) from None


def _no_index(prefix: str, opener: Opener) -> Exception:
    where = Location(prefix + INDEX_SUFFIX)
    try:
        other = opener(prefix)
    except (OSError, FormatError):
        return where.damaged("there is no such checkpoint: its index does not exist")
    if is_table(other):
        return Location(prefix).unsupported(
            "this is a checkpoint of TensorFlow's first format, from before 2017",
            feature="version 1 checkpoints",
            instead="restore it with TensorFlow and save it again",
        )
    return where.damaged(
        "the path of a checkpoint is its prefix, without .index and .data", found=prefix
    )
