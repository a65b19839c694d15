"""Two system calls that Python has no name for; both may be absent, and say so."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import Any

_CURRENT_FOLDER = -100  # AT_FDCWD of Linux's fcntl.h
_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h
_ABSENT = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def exchange(first: str, second: str) -> bool:
    """Let two paths change places in one step (renameat2, Linux 3.15).

    Returns:
        False where the kernel or the file system cannot; nothing has changed then.

    Raises:
        OSError: the paths do not exist, or may not be renamed.
    """
    call = _function("renameat2")
    if call is None:
        return False
    paths = (os.fsencode(first), os.fsencode(second))
    if call(_CURRENT_FOLDER, paths[0], _CURRENT_FOLDER, paths[1], ctypes.c_uint(_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _ABSENT:
        return False
    raise OSError(number, os.strerror(number), first, None, second)


def preallocate(descriptor: int, offset: int, size: int) -> bool:
    """Reserve room in a file, which grows to `offset + size` bytes.

    Unlike `os.posix_fallocate`, never by writing zeros where the file system cannot reserve.

    Returns:
        False where it cannot, or where there is not so much room.
    """
    call = _function("fallocate")
    if call is None:
        return False
    return bool(call(descriptor, 0, ctypes.c_int64(offset), ctypes.c_int64(size)) == 0)


@cache
def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None, use_errno=True), name, None)
    except (OSError, TypeError):  # Windows has no library without a name
        return None
