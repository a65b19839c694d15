"""What is at a place, and its bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import ENOENT
from typing import Any

from hozon.errors import UnsupportedError
from hozon.raw.sources import Source, map_file, reached
from hozon.raw.stores.archives import archived, is_archived
from hozon.raw.stores.paths import is_remote, join, parent_and_name, place
from hozon.raw.stores.seen import Facts, facts, listed, source


def exists(path: str) -> bool:
    """Whether there is a file or folder at a place."""
    if is_remote(path):
        return _facts(path) is not None
    return os.path.exists(path or ".")


def is_file(path: str) -> bool:
    """Whether there is a file at a place."""
    if is_remote(path):
        known = _facts(path)
        return known is not None and not known.is_directory
    return os.path.isfile(path)


def is_directory(path: str) -> bool:
    """Whether there is a folder at a place."""
    if is_remote(path):
        known = _facts(path)
        return known is not None and known.is_directory
    return os.path.isdir(path or ".")


def is_link(path: str) -> bool:
    """Whether a place of this machine is a link to another one."""
    return not is_remote(path) and os.path.islink(path)


def is_inside(path: str, folder: str) -> bool:
    """Whether a place lies in a folder, links followed."""
    if is_remote(path):
        return path.startswith(folder.rstrip("/") + "/") and ".." not in path.split("/")
    real, around = os.path.realpath(path), os.path.realpath(folder or ".")
    return real == around or real.startswith(os.path.join(around, ""))


def is_cached(path: str) -> bool:
    """Whether a place is a link as the Hugging Face Hub's cache has them: into its own folder.

    ``models--user--name/snapshots/<commit>/<file>`` leads to ``models--user--name/blobs/<hash>``.
    """
    if not is_link(path):
        return False
    before, found, after = os.path.abspath(path).rpartition(f"{os.sep}snapshots{os.sep}")
    return bool(found) and os.sep in after and is_inside(path, os.path.join(before, "blobs"))


def size(path: str) -> int:
    """Length in bytes of the file at a place.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if is_remote(path):
        known = _facts(path)
        if known is None or known.is_directory:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), path)
        return known.size
    return os.stat(path).st_size


def size_on_disk(path: str | os.PathLike[str]) -> int:
    """Bytes of the file at a place, of all files below a folder, or of those of a prefix."""
    where = place(path)
    if is_file(where):
        return size(where)
    if is_directory(where):
        return sum(size_on_disk(join(where, name)) for name in names(where))
    folder, prefix = parent_and_name(where)
    return sum(size(join(folder, n)) for n in names(folder) if n.startswith(f"{prefix}."))


def names(path: str) -> list[str]:
    """Names of what a folder holds, sorted; empty where there is no such folder."""
    if is_remote(path):
        return list(listed(path, *file_system(path))) if is_directory(path) else []
    return sorted(os.listdir(path or ".")) if is_directory(path) else []


def files_below(folder: str) -> Iterator[str]:
    """The files below a folder; one that is a link, to a folder too, is taken for a file."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        for below in (join(here, name) for name in names(here)):
            if is_directory(below) and not is_link(below):
                waiting.append(below)
            else:
                yield below


def open_source(path: str) -> Source:
    """The file at a place, for reading at any offset: mapped if local, by ranges if remote.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is not a regular file.
    """
    if not is_remote(path):
        return map_file(path)
    if is_archived(path):
        archive, inner = archived(path)
        return archive.source(inner, path)
    length = size(path)
    files, inner = file_system(path)
    return source(path, files, inner, length)


def read_bytes(path: str) -> bytes:
    """The whole of the file at a place.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is not a regular file.
    """
    source = open_source(path)
    return source.view(0, source.size).tobytes()


def file_system(path: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        UnsupportedError: there is none, its package is missing, or it cannot be reached.
    """
    if is_archived(path):
        return archived(path)
    # fsspec takes a while to import, and local use never needs it.
    import fsspec

    with reached(path):
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


def _facts(path: str) -> Facts | None:
    return facts(path, *file_system(path))
