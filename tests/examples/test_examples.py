"""Every example runs as it stands, from an empty folder; what it needs and is missing is a skip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.oracle.client import PYTHON

EXAMPLES = Path(__file__).parents[2] / "examples"
#: What each script needs besides Hozon, and what it prints at last; others have tests of their own.
SCRIPTS = {
    "serve_jax.py": (("flax",), "predictions"),
    "equinox_to_openvino.py": (("equinox", "openvino"), "OpenVINO answers the same"),
    "migrate_folder.py": ((), "small.h5: small.keras, nothing lost"),
    "to_litert_and_onnx.py": ((), "answers the same"),
}
ELSEWHERE = {"demo.py", "two_processes.py"}


def run(*command: str, folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_all_are_tried() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SCRIPTS, *ELSEWHERE}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script(name: str, tmp_path: Path) -> None:
    needs, told = SCRIPTS[name]
    if missing := [package for package in needs if find_spec(package) is None]:
        pytest.skip(f"{', '.join(missing)} is missing")
    arguments = []
    if name == "to_litert_and_onnx.py":
        if not PYTHON.exists():
            pytest.skip(f"{PYTHON}, which has TensorFlow's converters, is missing")
        arguments = [str(PYTHON)]
    assert told in run(str(EXAMPLES / name), *arguments, folder=tmp_path)


def test_what_it_cannot_convert_it_says(tmp_path: Path) -> None:
    if find_spec("tensorflow") is not None:
        pytest.skip("this environment has TensorFlow")
    told = run(str(EXAMPLES / "to_litert_and_onnx.py"), folder=tmp_path)
    assert "has no tensorflow" in told


def test_the_notebook(tmp_path: Path) -> None:
    """Cell by cell, the last expression of each as a notebook shows it."""
    cells = json.loads((EXAMPLES / "looking.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    script = """
import ast, json, sys
names = {"__name__": "__main__"}
for code in json.load(open("cells.json")):
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        print(shown._repr_html_()[:7])
"""
    (tmp_path / "cells.json").write_text(json.dumps(code))
    assert run("-c", script, folder=tmp_path).split() == ["<table>"] * 4
    assert (tmp_path / "changes.html").stat().st_size > 10_000
