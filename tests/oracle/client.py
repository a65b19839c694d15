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
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-oracle" / "bin" / "python"


class OracleError(AssertionError):
    """What TensorFlow raised, with its traceback; or that it crashed or took too long."""


class Oracle:
    """One running TensorFlow. Started at the first question, and again after a crash."""

    def __init__(self, python: Path = PYTHON, timeout: float = 300.0) -> None:
        self._python = python
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, verb: str, **arguments: Any) -> Any:
        """The answer to one question; raises OracleError when TensorFlow fails.

        After a crash or a timeout the next question starts TensorFlow anew.
        """
        question = pickle.dumps((verb, arguments), protocol=4)
        process = self._running()
        late = threading.Event()
        timer = threading.Timer(self._timeout, _stop, [process, late])
        timer.start()
        try:
            self._send(process, question)
            ok, answer = self._receive(process)
        except (BrokenPipeError, EOFError) as error:
            code = process.wait()
            self.close()
            reason = f"within {self._timeout:g} s" if late.is_set() else f"and ended with {code}"
            raise OracleError(f"the oracle did not answer {verb!r} {reason}") from error
        except BaseException:
            self.close()  # else its answer would be taken for that to the next question
            raise
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
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

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
        (size,) = struct.unpack("<Q", _exactly(process.stdout, 8))
        return pickle.loads(_exactly(process.stdout, size))


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()
