"""Reading: a file's groups, attributes and datasets, each checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py  # noqa: TID251

from hozon.errors import FormatError, HozonError, UnsafeError
from hozon.formats.hdf5.attributes import attribute_names, has_attribute, read_attribute
from hozon.formats.hdf5.datasets import DatasetSource
from hozon.formats.hdf5.layout import SIGNATURE
from hozon.formats.hdf5.stream import SourceStream
from hozon.limits import LIMITS
from hozon.raw.sniff import looks_like
from hozon.raw.sources import Source
from hozon.raw.stores import open_source, place
from hozon.stored.lazy import LazyTensor

__all__ = ["Group", "is_hdf5", "open_file", "open_hdf5"]


def is_hdf5(source: Source) -> bool:
    """Whether a file begins as HDF5 does."""
    return source.size > len(SIGNATURE) and source.view(0, len(SIGNATURE)).tobytes() == SIGNATURE


def open_file(path: str | os.PathLike[str]) -> Group:
    """The root group of the file at a path or URL; see `open_hdf5`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return open_hdf5(open_source(place(path)))


def open_hdf5(source: Source) -> Group:
    """The root group of a file: mapped, remote, in memory, or a member of an archive.

    The file stays open as long as the group or anything read from it is held.

    Raises:
        FormatError: it is not HDF5, or its end is missing.
    """
    if not is_hdf5(source):
        head = source.view(0, min(source.size, 64)).tobytes()
        raise FormatError(
            f"{source.name} is not an HDF5 file",
            file=source.name,
            expected="an HDF5 file",
            found=looks_like(head),
        )
    with _errors(source.name):
        file = h5py.File(SourceStream(source), "r")
        return Group(file.id, "", DatasetSource(file, source), source, file)


@contextmanager
def _errors(file: str, record: str | None = None) -> Iterator[None]:
    """What h5py raises for a damaged file becomes a FormatError."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        if isinstance(error, HozonError):
            raise
        raise FormatError(
            f"{file} is a damaged HDF5 file: {error}", file=file, record=record
        ) from error


class Group:
    """One group of an open file.

    Attributes:
        path: its place in the file, "" for the root, "a/b" below.
        file: name of the file, for messages.
    """

    __slots__ = ("_file", "_id", "_source", "_tensors", "file", "path")

    def __init__(
        self, identifier: Any, path: str, tensors: DatasetSource, source: Source, file: Any
    ) -> None:
        self._id = identifier
        self.path = path
        self._tensors = tensors
        self._source = source
        self._file = file
        self.file = source.name

    # Attributes

    def attribute_names(self) -> list[str]:
        """Names of the attributes, sorted."""
        with _errors(self.file, self.path):
            return attribute_names(self._id, self.file)

    def has_attribute(self, name: str) -> bool:
        """Whether there is an attribute, not split, of this name."""
        with _errors(self.file, self.path):
            return has_attribute(self._id, name)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute as a plain value: str (bytes where no UTF-8), numbers, lists of them."""
        with _errors(self.file, self._record(name)):
            if not has_attribute(self._id, name):
                return default
            return read_attribute(self._id, name, self.file, self._source.size)

    def names_attribute(self, name: str) -> list[str] | None:
        """A list of names, split into ``<name>0``, ``<name>1`` ... or not; None if absent.

        Raises:
            FormatError: it is no list of texts.
        """
        if self.has_attribute(name):
            return self._texts(name)
        if not self.has_attribute(f"{name}0"):
            return None
        found: list[str] = []
        for number in range(LIMITS.members):
            if not self.has_attribute(f"{name}{number}"):
                break
            found += self._texts(f"{name}{number}")
        return found

    def _texts(self, name: str) -> list[str]:
        value = self.attribute(name)
        # An empty list has no texts that could tell its type: Keras stores it as numbers.
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise FormatError(
                f"attribute {name!r} is no list of names", file=self.file, record=self._record(name)
            )
        return value

    # Members

    def names(self) -> list[str]:
        """Names of the members, in the file's order: by name, unless it keeps another."""
        with _errors(self.file, self.path):
            count = self._id.get_num_objs()
            if count > LIMITS.members:
                raise FormatError(
                    f"{self.file} has a group with too many members",
                    file=self.file,
                    record=self.path,
                    expected=f"at most {LIMITS.members}",
                    found=count,
                )
            return [name.decode(errors="surrogateescape") for name in self._id]

    def __contains__(self, name: str) -> bool:
        with _errors(self.file, self.path):
            return bool(self._id.links.exists(name.encode(errors="surrogateescape")))

    def is_group(self, name: str) -> bool:
        """Whether there is a member of this name and it is a group."""
        return name in self and isinstance(self._found(name), h5py.h5g.GroupID)

    def is_tensor(self, name: str) -> bool:
        """Whether there is a member of this name and it is a dataset."""
        return name in self and isinstance(self._found(name), h5py.h5d.DatasetID)

    def group(self, path: str) -> Group:
        """The group at a path of names joined by "/".

        Raises:
            FormatError: there is none.
            UnsafeError: a link on the way leads elsewhere.
        """
        found = self._found(path)
        if not isinstance(found, h5py.h5g.GroupID):
            raise FormatError(
                f"{self.file} has no group {self._record(path)!r}",
                file=self.file,
                record=self._record(path),
            )
        return Group(found, self._record(path), self._tensors, self._source, self._file)

    def tensor(self, path: str, name: str | None = None) -> LazyTensor:
        """The dataset at a path of names joined by "/", as a tensor.

        Args:
            path: below this group.
            name: the tensor's name; the dataset's place in the file if not given.

        Raises:
            FormatError: there is none, or it declares more than is stored.
            UnsafeError: a link on the way, or its values, lie elsewhere.
            UnsupportedError: its type or compression is unknown.
        """
        found, record = self._found(path), self._record(path)
        if not isinstance(found, h5py.h5d.DatasetID):
            raise FormatError(
                f"{self.file} has no tensor {record!r}", file=self.file, record=record
            )
        with _errors(self.file, record):
            return self._tensors.tensor(found, record if name is None else name)

    def tensor_attribute(self, path: str, name: str, default: Any = None) -> Any:
        """An attribute of a dataset."""
        found = self._found(path)
        with _errors(self.file, self._record(path)):
            if not has_attribute(found, name):
                return default
            return read_attribute(found, name, self.file, self._source.size)

    def _found(self, path: str) -> Any:
        """The member at a path of names joined by "/", if it is in this file."""
        parts = [part for part in path.split("/") if part]
        if not 0 < len(parts) <= LIMITS.nesting:
            raise FormatError(
                f"{path!r} names no member",
                file=self.file,
                record=path,
                expected=f"1 to {LIMITS.nesting} names",
            )
        identifier = self._id
        with _errors(self.file, self._record(path)):
            for part in parts:
                identifier = self._member(identifier, part, self._record(path))
        return identifier

    def _member(self, identifier: Any, name: str, record: str) -> Any:
        raw = name.encode(errors="surrogateescape")
        inside = isinstance(identifier, h5py.h5g.GroupID)
        if name in (".", "..") or not inside or not identifier.links.exists(raw):
            raise FormatError(f"{self.file} has no {record!r}", file=self.file, record=record)
        if identifier.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise UnsafeError(
                f"{record!r} is a link to another place",
                refused="HDF5 soft and external links",
                file=self.file,
                record=record,
            )
        return h5py.h5o.open(identifier, raw)

    def _record(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name
