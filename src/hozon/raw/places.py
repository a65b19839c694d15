"""Paths and URLs: one small set of verbs over local files and fsspec file systems.

A place is a string. One with a scheme (`gs://bucket/model`) is handled by fsspec, which must have
the file system's package; every other one is a path of this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hozon.errors import UnsupportedError
from hozon.raw.sources import RemoteSource, Source, map_file

# Two characters at least, so that a Windows drive is no scheme.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = "file://"


def place(path: str | os.PathLike[str]) -> str:
    """The string form of a path or URL; `file://` is taken off, ``~`` is the user's home."""
    text = os.fspath(path).removeprefix(_LOCAL)
    return os.path.expanduser(text) if text.startswith("~") else text


def require_local(path: str | os.PathLike[str]) -> str:
    """The string form of a path of this machine, where something is to be written.

    Raises:
        UnsupportedError: it is a URL.
    """
    text = place(path)
    if is_remote(text):
        raise UnsupportedError(
            f"{text} is not on this machine",
            feature="saving to a remote file system",
            file=text,
            instead="save to a local path and copy the result",
        )
    return text


def is_remote(path: str) -> bool:
    """Whether fsspec handles this place."""
    return _SCHEME.match(path) is not None


def join(path: str, *names: str) -> str:
    """A place below another one."""
    if is_remote(path):
        return "/".join((path.rstrip("/"), *names))
    return os.path.join(path, *names)


def parent_and_name(path: str) -> tuple[str, str]:
    """The folder that a place lies in, and its name there; the folder is "" for a bare name."""
    if not is_remote(path):
        return os.path.split(path)
    folder, _, name = path.rstrip("/").rpartition("/")
    return folder, name


def is_absolute(path: str) -> bool:
    """Whether a place does not depend on the working folder."""
    return is_remote(path) or os.path.isabs(path)


def absolute(path: str) -> str:
    """A place that does not depend on the working folder."""
    return path if is_remote(path) else os.path.abspath(path)


def relative(folder: str, path: str) -> str:
    """A place as seen from a folder, if it lies in it; else an absolute one."""
    if is_remote(path) or is_remote(folder):
        return path.removeprefix(folder.rstrip("/") + "/")
    inside = os.path.relpath(path, folder or ".")
    return os.path.abspath(path) if inside.startswith("..") else inside


def is_inside(path: str, folder: str) -> bool:
    """Whether a place lies in a folder, links followed."""
    if is_remote(path):
        return path.startswith(folder.rstrip("/") + "/") and ".." not in path.split("/")
    real, around = os.path.realpath(path), os.path.realpath(folder or ".")
    return real == around or real.startswith(os.path.join(around, ""))


def is_link(path: str) -> bool:
    """Whether a place of this machine is a link to another one."""
    return not is_remote(path) and os.path.islink(path)


def exists(path: str) -> bool:
    """Whether there is a file or folder at a place."""
    if is_remote(path):
        files, inner = _file_system(path)
        return bool(files.exists(inner))
    return os.path.exists(path or ".")


def is_directory(path: str) -> bool:
    """Whether there is a folder at a place."""
    if is_remote(path):
        files, inner = _file_system(path)
        return bool(files.isdir(inner))
    return os.path.isdir(path or ".")


def is_file(path: str) -> bool:
    """Whether there is a file at a place."""
    if is_remote(path):
        files, inner = _file_system(path)
        return bool(files.isfile(inner))
    return os.path.isfile(path)


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
    return sorted(os.listdir(path or ".")) if is_directory(path) else []


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


def read_bytes(path: str) -> bytes:
    """The whole of the file at a place.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is not a regular file.
    """
    source = open_source(path)
    return source.view(0, source.size).tobytes()


def make_folders(path: str) -> list[str]:
    """Make a folder of this machine and those around it; the ones that were missing, inner first.

    Raises:
        OSError: it cannot be made. What was made of it is removed.
    """
    made: list[str] = []
    try:
        _make(path or ".", made)
    except BaseException:
        remove_folders(made)
        raise
    return made


def _make(path: str, made: list[str]) -> None:
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path.rstrip(os.sep)) or "."
    if parent != path:
        _make(parent, made)
    try:
        os.mkdir(path)
    except FileExistsError:  # meanwhile, by somebody else; or a file
        if not os.path.isdir(path):
            raise
    else:
        made.insert(0, path)


def remove_folders(paths: Sequence[str]) -> None:
    """Remove those of some folders that are empty."""
    for path in paths:
        with suppress(OSError):
            os.rmdir(path)


def remove_file(path: str) -> None:
    """Remove a file of this machine, if it is there."""
    Path(path).unlink(missing_ok=True)


def write_bytes(path: str, data: bytes) -> None:
    """Write a file of this machine, whose folder exists. What may be seen goes through `commit`."""
    with open(path, "wb") as file:
        file.write(data)


def _file_system(path: str) -> tuple[Any, str]:
    # fsspec takes a while to import, and local use never needs it.
    import fsspec

    try:
        files, inner = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:  # no package for it; no such file system
        raise UnsupportedError(
            f"{path} cannot be opened: {error}",
            feature=f"the file system {path.partition('://')[0]}",
            file=path,
            instead="install the package that fsspec needs for it, or copy the file to this "
            "machine",
        ) from error
    return files, inner
