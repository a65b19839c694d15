"""Archives that hold one SavedModel, read in place: ``.zip``, ``.tar.gz``.

The model in an archive has a place of its own, ``archive:///models/m.zip!/folder``, and below it
every verb of this package works. The members are unpacked once, into a file without a name, which
is gone as soon as nobody reads it; what is read of them are views of that file. No member is ever
put under a name that the archive gives it.
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import IO, Any

from hozon.errors import FormatError, UnsafeError
from hozon.limits import LIMITS
from hozon.raw.sources import MemorySource, map_descriptor

SCHEME, INSIDE = "archive://", "!"
SUFFIXES = (".zip", ".tar.gz", ".tgz")
#: What a folder holds that is a SavedModel.
GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")
BLOCK = 1 << 20
#: Bytes that members may have at any size of their archive.
FLOOR = 64 << 20
#: What the readers of the standard library say of a damaged archive.
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive, by its name without a leading ``./``."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def in_archive(path: str) -> str:
    """The place of the model that an archive holds; any other path as it is.

    Raises:
        FormatError: the archive is damaged, or holds several models.
        UnsafeError: it has members outside of itself, or links.
    """
    if not path.lower().endswith(SUFFIXES) or not os.path.isfile(path):
        return path
    roots = _roots(path, _state(path))
    if not roots:
        return path
    if len(roots) > 1:
        raise FormatError(
            f"{path} holds {len(roots)} models",
            file=path,
            expected="one SavedModel",
            found=", ".join(roots[:5]),
        )
    return "/".join((f"{SCHEME}{os.path.abspath(path)}{INSIDE}", *filter(None, roots)))


def is_archived(path: str) -> bool:
    """Whether a place lies in an archive."""
    return path.startswith(SCHEME)


def archived(path: str) -> tuple[Archive, str]:
    """The archive of a place, and the path in it.

    Raises:
        FormatError: it is damaged, or unpacks to more than its size justifies.
    """
    file, _, inner = path.removeprefix(SCHEME).rpartition(f"{INSIDE}/")
    if not file:
        file, inner = path.removeprefix(SCHEME).removesuffix(INSIDE), ""
    return _archive(file, _state(file)), inner.strip("/")


class Archive:
    """The unpacked members of an archive; the verbs are those of fsspec."""

    def __init__(self, data: MemorySource, places: dict[str, tuple[int, int]]) -> None:
        self._data = data
        self._places = places
        self._folders = {""}
        for name in places:
            parts = name.split("/")
            self._folders |= {"/".join(parts[:i]) for i in range(1, len(parts))}

    @property
    def names(self) -> Iterable[str]:
        """The paths of all files."""
        return self._places

    def info(self, path: str) -> dict[str, Any]:
        """What is at a path."""
        if path in self._folders:
            return {"name": path, "type": "directory", "size": 0}
        return {"name": path, "type": "file", "size": self._place(path)[1]}

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002 - fsspec's
        """What a folder holds."""
        start = f"{path}/" if path else ""
        inside = (
            name.removeprefix(start).partition("/")[0]
            for name in self._places
            if name.startswith(start)
        )
        return [self.info(f"{start}{name}") for name in sorted(set(inside))]

    def source(self, path: str, name: str) -> MemorySource:
        """A file's bytes, a view; `name` is for messages."""
        offset, length = self._place(path)
        return MemorySource(name, self._data.view(offset, length).data)

    def _place(self, path: str) -> tuple[int, int]:
        if path not in self._places:
            raise FileNotFoundError(path)
        return self._places[path]


def _state(file: str) -> tuple[int, ...]:
    """What changes when a file is replaced."""
    status = os.stat(file)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8)
def _roots(file: str, state: tuple[int, ...]) -> list[str]:
    """The outermost folders of an archive that are SavedModels."""
    held = set()
    for path in _names(file, state):
        folder, _, name = path.rpartition("/")
        if name in GRAPH_FILES:
            held.add(folder)
    depth = min((folder.count("/") if folder else -1 for folder in held), default=0)
    return sorted(f for f in held if (f.count("/") if f else -1) == depth)


def _names(file: str, state: tuple[int, ...]) -> Iterable[str]:
    """The files of an archive; one without a table of them is unpacked for it, which is kept."""
    if zipfile.is_zipfile(file):
        return (member.name for member in _members(file))
    return _archive(file, state).names


@lru_cache(maxsize=2)
def _archive(file: str, state: tuple[int, ...]) -> Archive:
    most = max(state[2] * LIMITS.expansion_ratio, FLOOR)
    places: dict[str, tuple[int, int]] = {}
    end = 0
    with tempfile.TemporaryFile() as unpacked:
        for member in _members(file):
            source = member.open()
            if source is None or end + member.size > most:
                raise FormatError(
                    f"{file} unpacks to more than its size justifies",
                    file=file,
                    record=member.name,
                    expected=f"at most {most} bytes",
                )
            with source:
                length = _copied(source, unpacked, member.size)
            places[member.name] = (end, length)
            end += length
        unpacked.flush()
        return Archive(map_descriptor(unpacked.fileno(), file), places)


def _copied(source: IO[bytes], to: IO[bytes], size: int) -> int:
    """Copy the bytes of a member, at most as many as it says that it has."""
    length = 0
    while block := source.read(min(BLOCK, size - length)):
        to.write(block)
        length += len(block)
    return length


def _members(file: str) -> Iterator[Member]:
    """The files of an archive, in its order.

    Raises:
        FormatError: it is damaged.
        UnsafeError: a member lies outside, or is a link.
    """
    try:
        read = _zip if zipfile.is_zipfile(file) else _tar
        for count, (name, size, opened, linked) in enumerate(read(file)):
            if count > LIMITS.members:
                raise FormatError(f"{file} has too many members", file=file)
            parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
            if linked or not parts or parts[0] == "" or ".." in parts:
                raise UnsafeError(
                    f"{file} has a member that is a link, or lies outside of it",
                    refused=f"member {name!r:.80}",
                    file=file,
                )
            yield Member("/".join(parts), size, opened)
    except DAMAGE as error:
        raise FormatError(f"{file} is a damaged archive: {error}", file=file) from error


#: Name, bytes, what opens it, and whether it is a link.
Entry = tuple[str, int, Callable[[], IO[bytes] | None], bool]


def _zip(file: str) -> Iterator[Entry]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                linked = stat.S_ISLNK(info.external_attr >> 16)
                yield info.filename, info.file_size, partial(archive.open, info), linked


def _tar(file: str) -> Iterator[Entry]:
    try:
        archive = tarfile.open(file)  # noqa: SIM115 - closed below
    except tarfile.ReadError:  # no archive at all, whatever its name says
        return
    with archive:
        for info in archive:
            if not info.isdir():
                opened = partial(archive.extractfile, info)
                yield info.name, info.size, opened, not info.isfile()
