"""What TensorFlow.js, run by Node, makes and says of layers models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".tfjs" / "node_modules"
SCRIPT = Path(__file__).parent / "tfjs.js"


def ask(jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """The answers to some jobs, see `tfjs.js`; a skip where there is no TensorFlow.js."""
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        pytest.skip("TensorFlow.js is missing: install Node and npm, and run `make test`")
    answers = folder / "answers.json"
    done = subprocess.run(
        [node, str(SCRIPT), str(answers)],
        input=json.dumps(jobs),
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: list[dict[str, Any]] = json.loads(answers.read_text())
    return told


def as_json(array: Any) -> dict[str, Any]:
    """An array as a job has it."""
    return {"shape": array.shape, "data": array.ravel().tolist(), "dtype": str(array.dtype)}


def as_array(tensor: dict[str, Any]) -> Any:
    """An array of an answer."""
    return np.array(tensor["data"], tensor["dtype"]).reshape(tensor["shape"])
