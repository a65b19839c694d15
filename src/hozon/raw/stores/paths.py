"""Paths and URLs as text: nothing here looks at what is there."""

from __future__ import annotations

import os
import re

from hozon.errors import UnsupportedError

# Two characters at least, so that a Windows drive is no scheme.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = "file://"
#: What is only read: a web server is asked for files, an archive is what it is.
_READ_ONLY = frozenset({"http://", "https://", "archive://", "zip://", "tar://"})


def place(path: str | os.PathLike[str]) -> str:
    """The string form of a path or URL; `file://` is taken off, ``~`` is the user's home."""
    text = os.fspath(path)
    if (scheme := _SCHEME.match(text)) is not None:
        return (scheme[0].lower() + text[scheme.end() :]).removeprefix(_LOCAL)
    return os.path.expanduser(text) if text.startswith("~") else text


def require_writable(path: str | os.PathLike[str]) -> str:
    """The string form of a path or URL where something is to be written.

    Raises:
        UnsupportedError: it is a URL under which nothing can be put.
    """
    text = place(path)
    if (scheme := _SCHEME.match(text)) is not None and scheme[0] in _READ_ONLY:
        raise UnsupportedError(
            f"nothing can be saved under {scheme[0]}",
            feature=f"saving under {scheme[0]}",
            file=text,
            instead="save to this machine or to an object store, such as s3:// or gs://",
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
