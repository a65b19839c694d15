"""What is at a far place, asked once in a call.

Whoever looks for a model asks many times what is at a place: whether it is a folder, how long a
file is, whether a file is beside it. Within `looking` the answers are kept, a folder is listed once
for all that is in it, and the blocks that were fetched of a file are there for its next reader.
What is changed through `hozon.raw.stores` is asked anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from hozon.raw.sources import RemoteSource, reached


@dataclass(frozen=True, slots=True)
class Facts:
    """What a place is: a folder, or a file of so many bytes."""

    is_directory: bool
    size: int


@dataclass(slots=True)
class _Seen:
    systems: set[int] = field(default_factory=set)
    facts: dict[str, Facts | None] = field(default_factory=dict)
    listed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sources: dict[str, RemoteSource] = field(default_factory=dict)


_SEEN: ContextVar[_Seen | None] = ContextVar("seen", default=None)


@contextmanager
def looking() -> Iterator[None]:
    """Keep what is seen of far places; in another one of these, go on with that."""
    if _SEEN.get() is not None:
        yield
        return
    token = _SEEN.set(_Seen())
    try:
        yield
    finally:
        _SEEN.reset(token)


def forget_all() -> None:
    """Something has changed."""
    seen = _SEEN.get()
    if seen is not None:
        seen.facts.clear()
        seen.listed.clear()
        seen.sources.clear()


def facts(url: str, files: Any, path: str) -> Facts | None:
    """What is at a place; None where nothing is."""
    seen = _SEEN.get()
    if seen is None:
        return _asked(url, files, path)
    key = url.rstrip("/")
    if key not in seen.facts:
        folder, _, name = key.rpartition("/")
        # A folder that is known answers for all that it holds.
        if folder in seen.facts and name not in _held(folder, files, path):
            seen.facts[key] = None
        elif key not in seen.facts:  # or the list does not say how long its files are
            seen.facts[key] = _asked(url, files, path)
    return seen.facts[key]


def _held(folder: str, files: Any, path: str) -> tuple[str, ...]:
    """What the known folder of a path holds; nothing if it is none."""
    known = facts(folder, files, "")
    inner = path.rstrip("/").rpartition("/")[0]
    return listed(folder, files, inner) if known is not None and known.is_directory else ()


def listed(url: str, files: Any, path: str) -> tuple[str, ...]:
    """Names of what a folder holds, sorted."""
    seen, key = _SEEN.get() or _Seen(), url.rstrip("/")
    if key not in seen.listed:
        _as_it_is(files)
        with reached(url):
            found = files.ls(path, detail=True)
        held = {_name(entry): entry for entry in found}
        seen.listed[key] = tuple(sorted(held))
        for name, entry in held.items():
            if entry.get("size") is not None or entry["type"] == "directory":
                seen.facts[f"{key}/{name}"] = _facts_of(entry)
    return seen.listed[key]


def source(url: str, files: Any, path: str, size: int) -> RemoteSource:
    """The bytes of a file, with what was fetched of it before."""
    seen = _SEEN.get()
    if seen is None:
        return RemoteSource(url, files, path, size)
    return seen.sources.setdefault(url, RemoteSource(url, files, path, size))


def _as_it_is(files: Any) -> None:
    """Let a file system forget what it knows from earlier calls: others may have changed it."""
    seen = _SEEN.get()
    if seen is None or id(files) not in seen.systems:
        if hasattr(files, "invalidate_cache"):
            files.invalidate_cache()
        if seen is not None:
            seen.systems.add(id(files))


def _asked(url: str, files: Any, path: str) -> Facts | None:
    _as_it_is(files)
    try:
        with reached(url):
            entry = files.info(path)
            # A page of the web may list files.
            page = "text/html" in str(entry.get("mimetype"))
            return Facts(True, 0) if page and files.isdir(path) else _facts_of(entry)
    except FileNotFoundError:
        return None


def _facts_of(entry: Any) -> Facts:
    return Facts(entry["type"] == "directory", int(entry.get("size") or 0))


def _name(entry: Any) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]
