"""Paths and URLs: one small set of verbs over local files and fsspec file systems.

A place is a string. One with a scheme (`gs://bucket/model`) is handled by fsspec, which must have
the file system's package; every other one is a path of this machine.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hozon.raw.sources import RemoteSource, Source, map_file

# Two characters at least, so that a Windows drive is no scheme.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = "file://"


def place(path: str | os.PathLike[str]) -> str:
    """The string form of a path or URL; `file://` is taken off."""
    text = os.fspath(path)
    return text.removeprefix(_LOCAL)


def is_remote(path: str) -> bool:
    """Whether fsspec handles this place."""
    return _SCHEME.match(path) is not None


def join(path: str, *names: str) -> str:
    """A place below another one."""
    if is_remote(path):
        return "/".join((path.rstrip("/"), *names))
    return os.path.join(path, *names)


def exists(path: str) -> bool:
    """Whether there is a file or folder at a place."""
    if is_remote(path):
        files, inner = _file_system(path)
        return bool(files.exists(inner))
    return os.path.exists(path)


def is_directory(path: str) -> bool:
    """Whether there is a folder at a place."""
    if is_remote(path):
        files, inner = _file_system(path)
        return bool(files.isdir(inner))
    return os.path.isdir(path)


def size(path: str) -> int:
    """Length in bytes of the file at a place.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if is_remote(path):
        files, inner = _file_system(path)
        return int(files.size(inner))
    return os.stat(path).st_size


def size_on_disk(path: str | os.PathLike[str]) -> int:
    """Bytes of the file at a place, or of all files below a folder."""
    where = place(path)
    if not is_directory(where):
        return size(where)
    return sum(size_on_disk(join(where, name)) for name in names(where))


def names(path: str) -> list[str]:
    """Names of what a folder holds, sorted; empty where there is no such folder."""
    if is_remote(path):
        files, inner = _file_system(path)
        found = files.ls(inner, detail=False) if files.isdir(inner) else []
        return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def open_source(path: str) -> Source:
    """The file at a place, for reading at any offset: mapped if local, by ranges if remote.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is not a regular file.
    """
    if not is_remote(path):
        return map_file(path)
    files, inner = _file_system(path)
    return RemoteSource(path, files, inner, int(files.size(inner)))


def _file_system(path: str) -> tuple[Any, str]:
    # fsspec takes a while to import, and local use never needs it.
    import fsspec

    files, inner = fsspec.core.url_to_fs(path)
    return files, inner
