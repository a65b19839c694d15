"""Changes, on this machine and far away. What others may see half done is `hozon.raw.commit`'s.

A file is put into a far place by one request, or by the parts and the one commit of its store. An
object store has no folders: there they are neither made nor removed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hozon.raw.sources import putting
from hozon.raw.stores.looking import file_system
from hozon.raw.stores.paths import is_remote
from hozon.raw.stores.seen import forget_all


def create(path: str) -> BinaryIO:
    """A new file of this machine, open for writing and reading back; its folder exists."""
    return open(path, "wb+")


def create_descriptor(path: str) -> int:
    """As `create`, for writing alone, as a descriptor of the system; the file must not exist."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666)


def write_bytes(path: str, data: bytes) -> None:
    """Write a file; on this machine its folder exists."""
    if is_remote(path):
        files, inner = file_system(path)
        with putting(path):
            files.pipe_file(inner, data)
        forget_all()
        return
    with open(path, "wb") as file:
        file.write(data)


def make_folders(path: str) -> list[str]:
    """Make a folder and those around it; the ones of this machine that were missing, inner first.

    Raises:
        OSError: it cannot be made. What was made of it is removed.
    """
    made: list[str] = []
    if is_remote(path):
        return made
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


def move(path: str, to: str) -> None:
    """Give a file of this machine another name or place; what is there is replaced in one step."""
    if is_remote(to):
        files, inner = file_system(to)
        with putting(to):
            files.put_file(path, inner)
        forget_all()
        os.unlink(path)
        return
    os.replace(path, to)


def link_all(paths: Sequence[str], links: Sequence[str]) -> bool:
    """Give files a second name each; whether the file system can."""
    try:
        for path, link in zip(paths, links, strict=True):
            os.link(path, link)
    except OSError:
        return False
    return True


def copy_mode(like: str, paths: Sequence[str]) -> None:
    """Give files the permissions of another one, if that is on this machine."""
    if is_remote(like):
        return
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(like).st_mode)
        for path in paths:
            os.chmod(path, mode)


def remove_file(path: str) -> None:
    """Remove a file, if it is there."""
    if is_remote(path):
        files, inner = file_system(path)
        with putting(path), suppress(FileNotFoundError):
            files.rm_file(inner)
        forget_all()
        return
    Path(path).unlink(missing_ok=True)


def remove_folders(paths: Sequence[str]) -> None:
    """Remove those of some folders that are empty."""
    for path in paths:
        with suppress(OSError):
            os.rmdir(path)
