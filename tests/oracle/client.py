"""The tests' side of the oracle: TensorFlow 2.21 in its own environment and process.

`Oracle.ask(verb, **arguments)` sends one request and returns the answer; both are pickled plain
Python and NumPy objects between two processes of ours. The verbs are in ``server.py``.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-oracle" / "bin" / "python"


class OracleError(AssertionError):
    """What TensorFlow raised, with its traceback."""


class Oracle:
    """One running TensorFlow. Started at the first question, and again after a crash."""

    def __init__(self, python: Path = PYTHON, timeout: float = 300.0) -> None:
        self._python = python
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, verb: str, **arguments: Any) -> Any:
        """The answer to one question; raises OracleError when TensorFlow fails."""
        process = self._running()
        timer = threading.Timer(self._timeout, process.kill)
        timer.start()
        try:
            self._send(process, pickle.dumps((verb, arguments), protocol=4))
            ok, answer = self._receive(process)
        except (BrokenPipeError, EOFError) as error:
            self.close()
            raise OracleError(f"the oracle died while answering {verb!r}") from error
        finally:
            timer.cancel()
        if not ok:
            raise OracleError(answer)
        return answer

    def python(self, source: str, **inputs: Any) -> dict[str, Any]:
        """Run a snippet with ``tf``, ``keras`` (tf_keras), ``np`` and `inputs` as its globals.

        Returns what the snippet puts into the dictionary ``out``.
        """
        answer: dict[str, Any] = self.ask("python", source=source, inputs=inputs)
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            environment = {
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_USE_LEGACY_KERAS": "1",
                "CUDA_VISIBLE_DEVICES": "",
                "PYTHONPATH": str(ROOT),
            }
            environment.pop("KERAS_BACKEND", None)
            self._process = subprocess.Popen(
                [str(self._python), "-m", "tests.oracle.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env=environment,
            )
        return self._process

    @staticmethod
    def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(struct.pack("<Q", len(data)) + data)
        process.stdin.flush()

    @staticmethod
    def _receive(process: subprocess.Popen[bytes]) -> Any:
        assert process.stdout is not None
        header = process.stdout.read(8)
        if len(header) < 8:
            raise EOFError
        (size,) = struct.unpack("<Q", header)
        return pickle.loads(process.stdout.read(size))
