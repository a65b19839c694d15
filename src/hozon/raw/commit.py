"""Files and folders that are replaced in one step: a save is whole or absent.

What is new is made in a hidden folder beside the target (see `staging.py`) and takes the target's
place at the end: a file by rename, a folder by exchange of the two. A process that is killed at any
instruction leaves the old or the new. Where the kernel or the file system has no exchange
(renameat2, Linux 3.15), a folder is renamed aside first; a kill between the two renames then leaves
the target missing, and the next save to it brings the old one back before all else.

What a killed process has written stays, since the kernel holds it; after a power cut only what has
been forced to the disk does. That costs seconds for each gigabyte on a slow disk, and other
libraries never do it. `durable` says: True, always; False, never; None, when something is replaced,
so that a power cut cannot take the old together with the new.

At a URL a file is put in one request. A folder cannot be replaced in one step there: its files are
put one after another, those that make it whole last, and what no longer belongs to it goes then.

What a folder holds besides the artifact, as a README or the ``.git`` of a repository, is the
user's: it is kept, as other names of the same files.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from hozon.errors import SaveError
from hozon.raw.kernel import exchange
from hozon.raw.staging import ASIDE, Staging, in_place, mode_of, refused, staging
from hozon.raw.stores import (
    files_below,
    is_directory,
    is_remote,
    join,
    move,
    names,
    parent_and_name,
    place,
    relative,
    remove_file,
)
from hozon.raw.team import leads, led, team

_FRESH = "new"
_GONE = "gone"
_OCCUPIED = frozenset({errno.ENOTEMPTY, errno.EEXIST})
#: What file systems say that give a file no second name.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EINVAL})


@contextmanager
def replacing_file(path: str | os.PathLike[str], *, durable: bool | None = None) -> Iterator[str]:
    """Replace a file when the body is done; leave it alone if the body fails.

    Args:
        path: the file; it need not exist, its folder must.
        durable: whether to wait for the disk; None, if the file exists.

    Yields:
        A path to write instead.

    Raises:
        SaveError: it cannot be written. Nothing has changed, unless the error says that it is in
            place.
    """
    with staging(path, accept=stat.S_ISREG) as stage:
        fresh = stage.path(parent_and_name(stage.target)[1])
        yield fresh
        with led() as leading:
            if leading:
                _replace_file(stage, fresh, durable)


def _replace_file(stage: Staging, fresh: str, durable: bool | None) -> None:
    if is_remote(stage.target):
        move(fresh, stage.target)
        return
    before = mode_of(stage.target)
    force = before is not None if durable is None else durable
    if before is not None:
        os.chmod(fresh, stat.S_IMODE(before))
    if force:
        sync(fresh)
    os.replace(fresh, stage.target)
    if force:
        settle(stage.target)


@contextmanager
def replacing_directory(
    path: str | os.PathLike[str],
    *,
    durable: bool | None = None,
    recognize: Callable[[str], bool] | None = None,
    owns: Callable[[str], bool] = lambda _: True,
    last: Sequence[str] = (),
    seal: str | None = None,
    shared: bool = False,
) -> Iterator[str]:
    """Replace a folder and all it holds when the body is done; leave it alone if the body fails.

    Args:
        path: the folder; it need not exist, the one around it must.
        durable: whether to wait for the disk; None, if the folder exists.
        recognize: is asked about an existing folder that is not empty; with False it is kept.
        owns: is asked about the names in an existing folder; what is not of the artifact is kept.
        last: files below it, by ``/``, that make it whole; put last at a URL, in this order.
        seal: the one of them that fits no others; it is removed before these are put.
        shared: whether processes that save together fill one folder; else the leader's stays.

    Yields:
        An empty folder to fill instead.

    Raises:
        SaveError: it cannot be written, or `recognize` says that it holds something else. Nothing
            has changed, unless the error says that it is in place.
    """
    text = place(path)
    with staging(text.rstrip("/") or text, accept=stat.S_ISDIR) as stage:
        if recognize is not None:
            _check_contents(stage.target, recognize)
        fresh = stage.path(_FRESH)
        os.mkdir(fresh)
        far = is_remote(stage.target)
        yield fresh if far or not shared else _of_leader(fresh)
        others = _put_own(fresh, stage.target, last) if far and shared else frozenset()
        with led() as leading:
            if leading and far:
                _put_all(fresh, stage.target, owns, last, seal, others)
            elif leading:
                _keep(stage.target, fresh, owns)
                _replace_directory(stage, fresh, durable)


def _of_leader(fresh: str) -> str:
    """The folder that the leader of some processes has made; this one where there are none."""
    others = team()
    if others is None:
        return fresh
    folder = others.meet(fresh.encode())[0].decode()
    if not is_directory(folder):
        raise SaveError(
            f"process {others.index} does not see {folder}, which process 0 has made: each process "
            "has a disk of its own",
            file=folder,
            instead="a disk that all processes share, or a URL",
        )
    return folder


def _keep(target: str, fresh: str, owns: Callable[[str], bool]) -> None:
    """Give what an existing folder holds besides the artifact a place in the new one too."""
    for name in names(target) if is_directory(target) else ():
        old, new = os.path.join(target, name), os.path.join(fresh, name)
        if not owns(name) and not os.path.lexists(new):
            _link(old, new)


def _link(old: str, new: str) -> None:
    """Another name of a file, of a link, or of all files below a folder."""
    if os.path.isdir(old) and not os.path.islink(old):
        os.mkdir(new)
        for name in os.listdir(old):
            _link(os.path.join(old, name), os.path.join(new, name))
        shutil.copystat(old, new)
        return
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(old, new, follow_symlinks=False)


def _replace_directory(stage: Staging, fresh: str, durable: bool | None) -> None:
    before = mode_of(stage.target)
    if before is not None:
        os.chmod(fresh, stat.S_IMODE(before))
    force = before is not None if durable is None else durable
    if force:
        _sync_tree(fresh)
    _swap(stage, fresh)
    if force:
        settle(stage.target)


def _put_own(folder: str, target: str, last: Sequence[str]) -> frozenset[str]:
    """Put what a process that does not lead has made; all files that such processes have put."""
    others = team()
    if others is None:
        return frozenset()
    placed = []
    for name, file in () if leads() else _by_name(folder).items():
        if name not in last:
            placed.append(join(target, name))
            move(file, placed[-1])
    heard = others.meet("\0".join(placed).encode())
    return frozenset(file for word in heard for file in word.decode().split("\0") if file)


def _by_name(folder: str) -> dict[str, str]:
    return {relative(folder, file).replace(os.sep, "/"): file for file in files_below(folder)}


def settle(target: str) -> None:
    """Wait until a target's new name is on the disk.

    Raises:
        SaveError: the disk does not say so. The new has taken the place of the old all the same.
    """
    try:
        sync(os.path.dirname(target))
    except OSError as error:
        but = "the disk did not confirm it, so that a power cut may take it"
        raise in_place(target, but, error) from error


def sync(path: str) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: str) -> None:
    for inner, _, held in os.walk(folder, topdown=False):
        for name in held:
            sync(os.path.join(inner, name))
        sync(inner)


def _check_contents(target: str, recognize: Callable[[str], bool]) -> None:
    if names(target) and not recognize(target):
        raise refused(
            target,
            errno.ENOTEMPTY,
            "the folder holds something else, which would be lost",
            "choose another path, or empty the folder",
        )


def _put_all(
    folder: str,
    target: str,
    owns: Callable[[str], bool],
    last: Sequence[str],
    seal: str | None,
    others: frozenset[str],
) -> None:
    """Put the files of a folder below a URL, then remove those that were there and are no more.

    `others` are those that other processes have put.
    """
    order = {name: number for number, name in enumerate(last)}
    held = {file for name, file in _by_name(target).items() if owns(name.partition("/")[0])}
    before = frozenset(held) - others
    fresh = _by_name(folder)
    placed: list[str] = []
    try:
        for name in sorted(fresh, key=lambda name: (order.get(name, -1), name)):
            if order.get(name) == 0 and seal is not None:
                remove_file(join(target, seal))
            placed.append(join(target, name))
            move(fresh[name], placed[-1])
    except BaseException:
        if before.isdisjoint(placed):  # else what is new may be needed by now
            _remove_all(placed)
        raise
    _remove_all(before - set(placed))


def _remove_all(files: Iterable[str]) -> None:
    for file in files:
        with suppress(SaveError):  # nothing needs it
            remove_file(file)


def _swap(stage: Staging, fresh: str) -> None:
    """Put the new folder in the target's place; the old one ends up inside the hidden folder."""
    try:
        os.rename(fresh, stage.target)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
    else:
        return  # there was none, or an empty one
    if not exchange(fresh, stage.target):
        _swap_in_two_steps(stage, fresh)


def _swap_in_two_steps(stage: Staging, fresh: str) -> None:
    aside = stage.path(ASIDE)
    os.mkdir(aside)
    os.rename(stage.target, os.path.join(aside, os.path.basename(stage.target)))
    os.rename(fresh, stage.target)
    # Under another name, so that half of it is not brought back after a crash while it is removed.
    os.rename(aside, stage.path(_GONE))
