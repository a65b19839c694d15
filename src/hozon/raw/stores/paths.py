"""Paths and URLs as text: nothing here looks at what is there."""

from __future__ import annotations

import os
import re

from hozon.errors import UnsupportedError

# Two characters at least, so that a Windows drive is no scheme.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = "file://"


def place(path: str | os.PathLike[str]) -> str:
    """The string form of a path or URL; `file://` is taken off, ``~`` is the user's home."""
    text = os.fspath(path)
    if (scheme := _SCHEME.match(text)) is not None:
        return (scheme[0].lower() + text[scheme.end() :]).removeprefix(_LOCAL)
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
