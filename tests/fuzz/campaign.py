"""A campaign of cases in a process that is watched: what is no answer of a reader is a finding.

A finding is an error that is none of Hozon's, a crash, no answer within the clock, more than a
second or more than 200 MB. What was found is tried once more, as a machine has its moods.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLOCK, SECONDS, MEGABYTES = 30.0, 1.0, 200.0


@dataclass
class Campaign:
    """Counts by outcome, and what was found."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, Any]] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def run(self, numbers: Iterable[int]) -> None:
        """Run the cases of these numbers."""
        try:
            for number in numbers:
                found = self._case(number)
                if _is_wrong(found):
                    found = self._case(number)
                self.outcomes[found["outcome"].split(":")[0]] += 1
                if _is_wrong(found):
                    self.findings.append(found)
                    print(f"    {found}", flush=True)
        finally:
            self._stop()

    def _case(self, number: int) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        line = self._line(process)
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        code = process.wait()
        self._stop()
        return {"number": number, "outcome": f"it ended with {code}", "seconds": 0.0, "mb": 0.0}

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "ignore",
                    "-m",
                    "tests.fuzz.worker",
                    f"{self._folder.name}/case",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
            )
            if self._line(self._process, 20 * CLOCK) != "ready\n":
                raise RuntimeError("the worker did not start")
        return self._process

    def _line(self, process: subprocess.Popen[str], clock: float = CLOCK) -> str:
        assert process.stdout is not None
        timer = threading.Timer(clock, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        return line

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._process = self._folder = None


def _is_wrong(found: dict[str, Any]) -> bool:
    return (
        found["outcome"].startswith(("bare ", "it ended"))
        or found["seconds"] > SECONDS
        or found["mb"] > MEGABYTES
    )
