"""Hidden folders in which something new is made before it takes its place.

A hidden folder lies beside its target, `.<name>.hozon-<number>`, and is locked while it is in use.
One without a lock was left by a crash; the next save to its folder removes it.

What is for a URL is made in a temporary folder of this machine, and put there when it is whole.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType

from hozon.errors import HozonError, SaveError
from hozon.raw.stores import exists, is_directory, is_remote, require_writable
from hozon.raw.team import leads

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: no locks, hence no sweeping either
    fcntl = None

ASIDE = "old"
"""Where in a hidden folder the target is put aside, to be brought back if nothing replaced it."""

_MARK = ".hozon-"
_HIDDEN = re.compile(r"\..+\.hozon-[0-9a-f]{8}", re.DOTALL)
_NAME_CHARACTERS = 40
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)


@dataclass(frozen=True, slots=True)
class Staging:
    """A hidden folder in which something new is made.

    Attributes:
        target: the path that the new is for, absolute, links followed; or a URL.
        folder: the hidden folder, beside the target; for a URL, a temporary one.
    """

    target: str
    folder: str

    def path(self, name: str) -> str:
        """A path inside."""
        return os.path.join(self.folder, name)


@contextmanager
def staging(
    path: str | os.PathLike[str], *, accept: Callable[[int], bool] | None = None
) -> Iterator[Staging]:
    """A locked hidden folder beside a path, removed with what is left in it at the end.

    Args:
        path: what is to be saved. For a URL the folder is a temporary one.
        accept: given the mode of what is there already, whether it may be replaced; None where
            the path is only the beginning of names.

    Raises:
        SaveError: also for errors of the system inside the body, such as a full disk.
    """
    where = require_writable(path)
    if is_remote(where):
        with _staging_far(where, accept) as far:
            yield far
        return
    target = _resolve(where, follow=accept is not None)
    with _told(target):
        _check_target(target, accept)
        _sweep(target)
        folder, descriptor = _make(target)
        try:
            yield Staging(target, folder)
        finally:
            _discard(folder)
            os.close(descriptor)


@contextmanager
def _staging_far(target: str, accept: Callable[[int], bool] | None) -> Iterator[Staging]:
    _check_far(target, accept)
    with tempfile.TemporaryDirectory(prefix="hozon-", ignore_cleanup_errors=True) as folder:
        try:
            with _told(target):
                yield Staging(target, folder)
        except SaveError as error:
            if error.file == target:
                raise
            why = f"{target} cannot be saved: {error.message}"
            raise SaveError(why, file=target, errno=error.errno, instead=error.instead) from error


@contextmanager
def publishing(target: str) -> Iterator[None]:
    """Hold off other processes that publish something in the folder around `target`.

    For what takes more than one rename. An object store has no locks: there the last one stays.
    """
    if is_remote(target) or not leads():
        yield
        return
    descriptor = os.open(os.path.dirname(target), os.O_RDONLY | _DIRECTORY)
    try:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _resolve(text: str, *, follow: bool) -> str:
    """The absolute path, links followed; those of the last name only with `follow`."""
    if follow:
        return os.path.realpath(text)
    folder, name = os.path.split(text)
    return os.path.join(os.path.realpath(folder or "."), name)


def check_replaceable(path: str) -> None:
    """Refuse to replace a file that is none, or that is write-protected; it need not exist.

    Raises:
        SaveError: it may not be replaced.
    """
    if is_remote(path):
        _check_far(path, stat.S_ISREG)
    else:
        _check_target(path, stat.S_ISREG)


def _check_far(target: str, accept: Callable[[int], bool] | None) -> None:
    """Refuse to put a file where a folder is, and the other way round."""
    if accept is None or not exists(target):
        return
    mode = stat.S_IFDIR if is_directory(target) else stat.S_IFREG
    if not accept(mode):
        raise _other_kind(target, mode, accept)


def _check_target(target: str, accept: Callable[[int], bool] | None) -> None:
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        number = errno.ENOTDIR if os.path.exists(parent) else errno.ENOENT
        raise refused(target, number, f"{parent} is no folder", "make the folder first")
    mode = mode_of(target)
    if mode is None or accept is None:
        return
    if accept(mode) and not os.access(target, os.W_OK):
        raise refused(target, errno.EACCES, "it is write-protected", "choose another path")
    if accept(mode):
        return
    raise _other_kind(target, mode, accept)


def _other_kind(target: str, mode: int, accept: Callable[[int], bool]) -> SaveError:
    kind = "a folder" if stat.S_ISDIR(mode) else "no folder" if accept(stat.S_IFDIR) else "no file"
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENOTDIR
    return refused(target, number, f"it is {kind}", "choose another path, or remove what is there")


def refused(target: str, number: int, reason: str, instead: str) -> SaveError:
    """The error to raise for a target that may not be replaced."""
    return SaveError(
        f"{target} cannot be saved: {reason}", file=target, errno=number, instead=instead
    )


def in_place(target: str, but: str, error: OSError) -> SaveError:
    """The error to raise where the new has taken its place and something after that failed."""
    return SaveError(
        f"{target} is in place, but {but}: {error.strerror or error}",
        file=target,
        errno=error.errno,
    )


@contextmanager
def _told(target: str) -> Iterator[None]:
    """Turn errors of the system about the target or its hidden folder into SaveErrors."""
    try:
        yield
    except HozonError:
        raise
    except OSError as error:
        if not _is_about(error.filename, target):
            raise
        raise SaveError(
            f"{target} cannot be saved: {error.strerror or error}", file=target, errno=error.errno
        ) from error


def _is_about(file: object, target: str) -> bool:
    """Whether an error's file is the target, its folder, or in a hidden folder (or unknown)."""
    if not isinstance(file, str):
        return True
    parent = os.path.dirname(target)
    return file == parent or file.startswith((target, os.path.join(parent, _stem(target))))


def mode_of(path: str) -> int | None:
    """The mode of what is at a path, None if nothing is."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _stem(target: str) -> str:
    return f".{os.path.basename(target)[:_NAME_CHARACTERS]}{_MARK}"


def _make(target: str) -> tuple[str, int]:
    """A new hidden folder and the descriptor that holds its lock."""
    parent, stem = os.path.dirname(target), _stem(target)
    while True:
        folder = os.path.join(parent, stem + secrets.token_hex(4))
        try:
            os.mkdir(folder, 0o700)
            descriptor = _lock(folder, needed=False)
        except FileExistsError:
            continue
        if descriptor is not None:
            return folder, descriptor
        # Another process took it for a leftover in the moment before it was locked.


def _lock(folder: str, *, needed: bool) -> int | None:
    """Lock a hidden folder; None if another process has it, or has removed it.

    Without locks on this file system: None if the lock is `needed`.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | _DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        locked = _flock(descriptor)
        if (locked or (locked is None and not needed)) and _is_at(descriptor, folder):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _flock(descriptor: int) -> bool | None:
    """Whether the lock was free; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sweep(target: str) -> None:
    """Remove what crashed saves to this folder left, after bringing back what they put aside."""
    parent, own = os.path.dirname(target), _stem(target)
    with suppress(PermissionError):  # a folder whose names may not be listed
        for name in os.listdir(parent):
            if name.startswith(own):
                _sweep_one(os.path.join(parent, name))
            elif _HIDDEN.fullmatch(name):
                with suppress(OSError):  # another's, which need not be in the way
                    _sweep_one(os.path.join(parent, name))


def _sweep_one(folder: str) -> None:
    descriptor = _lock(folder, needed=True)
    if descriptor is None:
        return
    try:
        _discard(folder)
    finally:
        os.close(descriptor)


def _discard(folder: str) -> None:
    """Remove a hidden folder; what was put aside in it goes back if nothing took its place."""
    with suppress(OSError):
        aside = os.path.join(folder, ASIDE)
        for name in os.listdir(aside) if os.path.isdir(aside) else ():
            _bring_back(os.path.join(aside, name), os.path.dirname(folder))
        shutil.rmtree(folder)


def _bring_back(saved: str, parent: str) -> None:
    target = os.path.join(parent, os.path.basename(saved))
    if not os.path.lexists(target):
        os.rename(saved, target)
