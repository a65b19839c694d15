"""One call to the file system of a child process goes wrong: refused, cut short, or its last.

The child tells the kernel by a seccomp filter which system calls its tracer wants to see, and is
traced by its parent: no privilege is needed, and what C libraries call is seen too. It takes Linux
on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"

#: Numbers of system calls on x86-64, from linux/arch/x86/entry/syscalls/syscall_64.tbl.
BY_DESCRIPTOR = {
    1: "write",
    18: "pwrite64",
    20: "writev",
    74: "fsync",
    75: "fdatasync",
    77: "ftruncate",
    285: "fallocate",
}
#: Those that take paths: the registers of the folder's descriptor (None: the current one) and path.
BY_PATH: dict[int, tuple[str, tuple[str | None, str]]] = {
    2: ("open", (None, "rdi")),
    82: ("rename", (None, "rdi")),
    83: ("mkdir", (None, "rdi")),
    84: ("rmdir", (None, "rdi")),
    86: ("link", (None, "rdi")),
    87: ("unlink", (None, "rdi")),
    88: ("symlink", (None, "rsi")),
    257: ("openat", ("rdi", "rsi")),
    258: ("mkdirat", ("rdi", "rsi")),
    263: ("unlinkat", ("rdi", "rsi")),
    264: ("renameat", ("rdi", "rsi")),
    265: ("linkat", ("rdi", "rsi")),
    316: ("renameat2", ("rdi", "rsi")),
}
#: The place of each register in ``struct user_regs_struct`` of sys/user.h, which has 27.
REGISTERS = {"r10": 7, "rax": 10, "rdx": 12, "rsi": 13, "rdi": 14, "orig_rax": 15}
#: Requests of linux/ptrace.h.
TRACEME, CONT, GETREGS, SETREGS, SETOPTIONS = 0, 7, 12, 13, 0x4200
TRACE_CLONES, TRACE_SECCOMP, DIE_WITH_TRACER = 0x8, 0x80, 0x100000
SECCOMP_STOP = 7
ALL_THREADS = 0x40000000
#: prctl and seccomp: linux/prctl.h, linux/seccomp.h, linux/filter.h.
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
TRACE, ALLOW = 0x7FF00000, 0x7FFF0000

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


class Fault(StrEnum):
    """What happens at a call."""

    KILL = "killed before"
    TEAR = "killed after half"
    SHORTEN = "half written"
    REFUSE = "refused"
    FULL = "refused, and all writes after"


@dataclass(frozen=True)
class Ended:
    """How a child ended, negative for a signal, and its calls to the file system."""

    status: int
    calls: tuple[str, ...]


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("then", ctypes.c_ubyte),
        ("otherwise", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def run(
    work: Callable[[], int],
    folder: Path,
    fault: Fault | None = None,
    at: int = -1,
    see: Callable[[str, str], None] | None = None,
) -> Ended:
    """Run `work` in a child; its call number `at` to files below `folder` meets the fault.

    The child ends with the status that `work` gives. `see` is told of each call before it is made:
    its name, and a path to the file that it has by a descriptor.
    """
    pid = os.fork()
    if pid == 0:
        _child(work)
    os.waitpid(pid, 0)
    _ptrace(SETOPTIONS, pid, TRACE_CLONES | TRACE_SECCOMP | DIE_WITH_TRACER)
    return _Tracer(pid, str(folder), fault, at, see).follow()


def _child(work: Callable[[], int]) -> None:
    status = 99
    try:
        _ptrace(TRACEME, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        _show([*BY_DESCRIPTOR, *BY_PATH])
        status = work()
    finally:
        os._exit(status)


def _show(calls: list[int]) -> None:
    """Stop for the tracer at these calls."""
    lines = [(LOAD, 0, 0, 0)]
    for call in calls:
        lines += [(JUMP_IF_EQUAL, 0, 1, call), (RETURN, 0, 0, TRACE)]
    lines.append((RETURN, 0, 0, ALLOW))
    code = (_Instruction * len(lines))(*lines)
    program = _Program(len(lines), code)
    if _LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if _LIBC.prctl(SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _ptrace(request: int, pid: int, data: Any) -> None:
    if _LIBC.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace request {request}")


class _Tracer:
    """Follows a child and its threads from stop to stop."""

    def __init__(
        self,
        pid: int,
        folder: str,
        fault: Fault | None,
        at: int,
        see: Callable[[str, str], None] | None,
    ) -> None:
        self._pid = pid
        self._folder = folder
        self._fault = fault
        self._at = at
        self._see = see
        self._calls: list[str] = []
        self._torn = False

    def follow(self) -> Ended:
        _ptrace(CONT, self._pid, 0)
        while True:
            pid, status = os.waitpid(-1, ALL_THREADS)
            if not os.WIFSTOPPED(status):
                if pid == self._pid:
                    return Ended(os.waitstatus_to_exitcode(status), tuple(self._calls))
                continue
            passed = 0
            if status >> 16 == SECCOMP_STOP:
                self._stopped(pid)
            elif os.WSTOPSIG(status) not in (signal.SIGTRAP, signal.SIGSTOP):
                passed = os.WSTOPSIG(status)
            try:
                _ptrace(CONT, pid, passed)
            except OSError as error:
                if error.errno != errno.ESRCH:  # it was killed meanwhile
                    raise

    def _stopped(self, pid: int) -> None:
        registers = (ctypes.c_ulonglong * 27)()
        _ptrace(GETREGS, pid, registers)
        name = self._name(pid, registers)
        if name is None:
            return
        if self._torn:
            os.kill(self._pid, signal.SIGKILL)
            return
        number = len(self._calls)
        self._calls.append(name)
        if self._see is not None:
            self._see(name, f"/proc/{pid}/fd/{registers[REGISTERS['rdi']] & 0xFFFFFFFF}")
        if number == self._at or (
            self._fault is Fault.FULL and self._at < number and "write" in name
        ):
            self._harm(pid, registers, name)

    def _harm(self, pid: int, registers: Any, name: str) -> None:
        if self._fault is Fault.KILL:
            os.kill(self._pid, signal.SIGKILL)
        elif self._fault in (Fault.REFUSE, Fault.FULL):
            registers[REGISTERS["orig_rax"]] = 2**64 - 1
            registers[REGISTERS["rax"]] = 2**64 - (errno.ENOSPC if "write" in name else errno.EIO)
            _ptrace(SETREGS, pid, registers)
        elif name in ("write", "pwrite64"):
            self._torn = self._fault is Fault.TEAR
            registers[REGISTERS["rdx"]] = max(1, registers[REGISTERS["rdx"]] // 2)
            _ptrace(SETREGS, pid, registers)

    def _name(self, pid: int, registers: Any) -> str | None:
        """The name of a call that changes something below the folder."""
        call = registers[REGISTERS["orig_rax"]]
        if call in BY_DESCRIPTOR:
            inside = self._inside(_target(pid, registers[REGISTERS["rdi"]]))
            return BY_DESCRIPTOR[call] if inside else None
        name, (place, path) = BY_PATH[call]
        if name in ("open", "openat"):
            flags = registers[REGISTERS["rsi" if name == "open" else "rdx"]]
            if flags & (os.O_WRONLY | os.O_RDWR) == 0:
                return None
        text = _text(pid, registers[REGISTERS[path]])
        if not text.startswith("/"):
            descriptor = registers[REGISTERS[place]] & 0xFFFFFFFF if place else AT_CWD
            start = f"/proc/{pid}/cwd" if descriptor == AT_CWD else None
            base = os.readlink(start) if start else _target(pid, descriptor)
            text = os.path.join(base, text)
        return name if self._inside(text) else None

    def _inside(self, path: str) -> bool:
        return path == self._folder or path.startswith(self._folder + "/")


#: ``AT_FDCWD`` of linux/fcntl.h, as 32 bits.
AT_CWD = 2**32 - 100


def _target(pid: int, descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return ""


def _text(pid: int, address: int) -> str:
    """The string at an address of the child."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        left = 4096 - address % 4096
        data = memory.read(left)
        if b"\0" not in data:
            data += memory.read(4096)
    return os.fsdecode(data.partition(b"\0")[0])
