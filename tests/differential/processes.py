"""The processes that do the work, and the way of many draws through them at once."""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import struct
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PYTHONS = {
    "tf_keras": ROOT / ".venv-oracle" / "bin" / "python",
    "hozon": ROOT / ".venv" / "bin" / "python",
    "dropin": ROOT / ".venv" / "bin" / "python",
}
AT_ONCE = 4
#: Compiled programs of earlier runs: most of the time of a small model goes into compiling.
CACHE = Path(tempfile.gettempdir(), "hozon-differential-cache")
#: Compiled programs stay in a process' memory; one that holds this many bytes is started anew.
MOST_BYTES = 2_500_000_000


def role_of(name: str) -> str:
    """Which process a writer or reader lives in."""
    return name if name in ("tf_keras", "dropin") else "hozon"


class DiedError(RuntimeError):
    """A process ended in the middle of a question."""


class Process:
    """One worker process, started when first asked and again after it died."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._running: subprocess.Popen[bytes] | None = None

    def ask(self, stages: list[dict[str, Any]]) -> list[Any]:
        """The answer to each stage."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        question = pickle.dumps(stages, protocol=4)
        try:
            process.stdin.write(struct.pack("<Q", len(question)) + question)
            process.stdin.flush()
            (size,) = struct.unpack("<Q", _exactly(process.stdout, 8))
            answers: list[Any] = pickle.loads(_exactly(process.stdout, size))
        except (BrokenPipeError, EOFError) as error:
            code = process.wait()
            self.close()
            raise DiedError(f"{self._role} ended with {code}") from error
        if _resident(process.pid) > MOST_BYTES:
            self.close()
        return answers

    def close(self) -> None:
        """End it."""
        process, self._running = self._running, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    pipe and pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._running is None:
            environment = {
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_USE_LEGACY_KERAS": "1",
                "TF_ENABLE_ONEDNN_OPTS": "0",
                "CUDA_VISIBLE_DEVICES": "",
                "JAX_PLATFORMS": "cpu",
                "XLA_FLAGS": "--xla_backend_optimization_level=0",
                "JAX_COMPILATION_CACHE_DIR": str(CACHE),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                "KERAS_BACKEND": "tensorflow" if self._role == "tf_keras" else "jax",
                "PYTHONPATH": str(ROOT),
            }
            self._running = subprocess.Popen(
                [str(PYTHONS[self._role]), "-m", "tests.differential.worker", self._role],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                env=environment,
            )
        return self._running


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not say."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


@dataclass
class Run:
    """One draw on its way: the answers of its stages so far."""

    spec: dict[str, Any]
    number: int = -1
    folder: str = ""
    answers: list[Any] = field(default_factory=list)

    def role(self) -> str:
        """Who does the next stage."""
        at = len(self.answers)
        return role_of(self.spec["hops"][at - 1]["reader"] if at else self.spec["writer"])

    def stage(self) -> dict[str, Any]:
        """The next stage."""
        data = self.answers[0]["data"] if self.answers else None
        return {"spec": self.spec, "number": len(self.answers), "folder": self.folder, "data": data}

    def over(self) -> bool:
        """Whether there is nothing more to do, or nothing more that can be done."""
        if not self.answers:
            return False
        last = self.answers[-1]
        if not isinstance(last, dict) or not {"invalid", "load", "save"}.isdisjoint(last):
            return True
        return len(self.answers) > len(self.spec["hops"])


class Pool:
    """The processes; many draws go through them, each process busy with its own stages."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="hozon-differential-")
        self._processes = {role: Process(role) for role in PYTHONS}
        self._queues: dict[str, queue.SimpleQueue[Run | None]] = {
            role: queue.SimpleQueue() for role in PYTHONS
        }
        self._done: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, args=(role,), daemon=True) for role in PYTHONS
        ]
        for thread in self._threads:
            thread.start()
        self._count = 0

    def run(
        self, runs: Iterable[Run], finished: Callable[[Run], None], ahead: int = 2 * AT_ONCE
    ) -> None:
        """Take each run to its end; `finished` hears of each, in the order in which they end."""
        waiting = 0
        for run in runs:
            self._count += 1
            run.folder = str(Path(self._folder, str(self._count)))
            Path(run.folder).mkdir()
            self._queues[run.role()].put(run)
            waiting += 1
            if waiting >= ahead:
                finished(self._done.get())
                waiting -= 1
        for _ in range(waiting):
            finished(self._done.get())

    def one(self, spec: dict[str, Any]) -> Run:
        """One spec to its end."""
        found: list[Run] = []
        self.run([Run(spec)], found.append)
        return found[0]

    def close(self) -> None:
        """End the processes."""
        for line in self._queues.values():
            line.put(None)
        for process in self._processes.values():
            process.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, role: str) -> None:
        try:
            self._work(role)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(3)  # nothing would ever answer again

    def _work(self, role: str) -> None:
        line = self._queues[role]
        while (first := line.get()) is not None:
            runs = [first]
            with suppress(queue.Empty):
                while len(runs) < AT_ONCE and (more := line.get_nowait()) is not None:
                    runs.append(more)
            for run, answer in zip(runs, self._answers(role, runs), strict=True):
                run.answers.append(answer)
                if run.over():
                    shutil.rmtree(run.folder, ignore_errors=True)
                    self._done.put(run)
                else:
                    self._queues[run.role()].put(run)

    def _answers(self, role: str, runs: list[Run]) -> list[Any]:
        process = self._processes[role]
        try:
            return process.ask([run.stage() for run in runs])
        except DiedError as error:
            if len(runs) == 1:
                return [{"load": error} if runs[0].answers else {"invalid": error}]
            return [self._answers(role, [run])[0] for run in runs]
