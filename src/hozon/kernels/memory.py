"""Keeping the memory of one run for the next."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from functools import cache

# Parameters of `mallopt`, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
_KEPT = 512 * 2**20

#: Set to 0, this variable leaves the C library as it is.
SWITCH = "HOZON_KEEP_FREED_MEMORY"


@cache
def keep_freed_memory() -> bool:
    """Let the process keep up to 512 MiB that it has freed, once. Returns whether it does.

    XLA takes one block for all temporaries of a run and frees it afterwards. glibc returns blocks
    above 32 MiB to the system at once, and the next run pays for a page fault on each 4 KiB of
    it: a third of MobileNetV2's time at batch 16 (85 against 51 ms on 2 cores), an eighth of
    ResNet50's. JAX has no option to keep the block.

    The setting holds for the whole process: there is one arena for all threads, since other
    arenas cannot hold such blocks, and blocks below 512 MiB come from it. It must come before JAX
    starts its threads. Who has set up the C library's memory by its own variables (``MALLOC_*``,
    ``GLIBC_TUNABLES``) or sets ``HOZON_KEEP_FREED_MEMORY=0`` keeps what they have.
    """
    return is_wanted(os.environ) and _set_up()


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether these variables leave the C library's memory to Hozon."""
    own = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environment)
    return not own and environment.get(SWITCH) != "0"


def _set_up() -> bool:
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - present in glibc only
        # Before version 2.35 the threshold cannot be above 32 MiB.
        return bool(
            library.mallopt(_ARENA_MAX, 1)
            and library.mallopt(_TRIM_THRESHOLD, _KEPT)
            and (library.mallopt(_MMAP_THRESHOLD, _KEPT) or library.mallopt(_MMAP_MAX, 0))
        )
    except (AttributeError, OSError, TypeError):
        return False
