"""A save that is killed before each of its system calls in turn; run as a program of its own.

`python killing.py WHAT FOLDER [no-exchange] [no-links] [durable]` saves an old artifact, then for
each number of calls makes a child process that begins to save a new one and dies there. After each
it prints what a reader finds: a JSON list of [state, hidden files], and last what is left after one
more save.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hozon.errors import HozonError
from hozon.formats.bundle import open_bundle, write_bundle
from hozon.raw import commit, staging
from hozon.raw.commit import replacing_directory, replacing_file

CALLS = [
    "access",
    "chmod",
    "close",
    "fsync",
    "ftruncate",
    "link",
    "listdir",
    "mkdir",
    "open",
    "rename",
    "replace",
    "rmdir",
    "stat",
    "unlink",
    "write",
    "writev",
]
DIED = 77


def arrays(version: int) -> dict[str, Any]:
    return {"w": np.full(300_000, version, np.float64), "b": np.full(3, version, np.int32)}


def save_file(target: Path, version: int, durable: bool | None) -> None:
    with replacing_file(target, durable=durable) as path:
        Path(path).write_bytes(bytes([version]) * 1000)


def read_file(target: Path) -> Any:
    if not target.exists():
        return None
    data = target.read_bytes()
    return data[0] if data == data[:1] * 1000 else "mix"


def save_folder(target: Path, version: int, durable: bool | None) -> None:
    with replacing_directory(target, durable=durable) as path:
        for name in "ab":
            Path(path, name).write_bytes(bytes([version]))
        write_bundle(Path(path, "variables"), arrays(version))


def read_folder(target: Path) -> Any:
    if not target.exists():
        return None
    found = {(target / name).read_bytes()[0] for name in "ab"} | {read_bundle(target / "variables")}
    return found.pop() if len(found) == 1 else "mix"


def save_bundle(target: Path, version: int, durable: bool | None) -> None:
    write_bundle(target, arrays(version), durable=durable)


def read_bundle(target: Path) -> Any:
    if not target.with_name(target.name + ".index").exists():
        return None
    try:
        read = open_bundle(target).read_all()
    except HozonError as error:
        return f"broken: {error}"
    found = {int(x) for array in read.values() for x in np.unique(array)}
    return found.pop() if len(found) == 1 else "mix"


KINDS: dict[str, tuple[Callable[..., None], Callable[[Path], Any]]] = {
    "file": (save_file, read_file),
    "folder": (save_folder, read_folder),
    "bundle": (save_bundle, read_bundle),
}


def kill_at(limit: int) -> None:
    """Die before the system call of that number."""
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count > limit:
                os._exit(DIED)
            return call(*arguments, **named)

        return wrapper

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    commit.exchange = counted(commit.exchange)
    staging._flock = counted(staging._flock)


def child(work: Callable[[], None]) -> int:
    """How a child process that does this ends."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(kind: str, folder: str, *options: str) -> None:
    save, read = KINDS[kind]
    durable = True if "durable" in options else None
    if "no-exchange" in options:
        commit.exchange = lambda first, second: False
    if "no-links" in options:

        def refuse(*_: Any) -> None:
            raise PermissionError

        os.link = refuse
    results: list[Any] = []
    for old in ([], [1]):
        ended, limit = DIED, 0
        while ended == DIED:
            target = Path(folder, f"{len(old)}-{limit}", "target")
            target.parent.mkdir()
            for version in old:
                save(target, version, durable)

            def work(target: Path = target, limit: int = limit) -> None:
                kill_at(limit)
                save(target, 2, durable)

            ended = child(work)
            found = read(target)
            save(target, 3, durable)
            left = sorted(os.listdir(target.parent))
            results.append([len(old), limit, ended, found, read(target), left])
            limit += 1
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
