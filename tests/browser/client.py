"""A headless Chromium that Node drives, one for all tests of a module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".browser"
SCRIPT = Path(__file__).parent / "browser.mjs"
NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Of the bundled Chromium, which brings the libraries that it needs where it believes to be there.
ELSEWHERE = {
    "AWS_LAMBDA_FUNCTION_NAME": "tests",
    "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x",
}


class Browser:
    """Methods of playwright's page by name; what goes wrong in it is raised."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, method: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser is gone"}')
        if "error" in answer:
            raise AssertionError(f"{method} {arguments}: {answer['error']}")
        return answer["value"]

    def ask(self, expression: str) -> Any:
        """The value of an expression on the page."""
        return self("evaluate", expression)

    def count(self, selector: str) -> int:
        """How many elements there are that can be seen."""
        seen = "(e) => e.checkVisibility()"
        return int(self.ask(f"[...document.querySelectorAll({selector!r})].filter({seen}).length"))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser that unpacks what it needs in `folder`; a skip where there is none.

    That of the variable CHROMIUM or on the PATH is taken, else the one of `tests/browser`.
    """
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("the browser is missing: install Node and npm, and run `make test`")
    own = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    more = {"CHROMIUM": own} if own else ELSEWHERE
    process = subprocess.Popen(
        [node, str(SCRIPT), str(FOLDER)],
        env={**os.environ, **more, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Browser(process)
    finally:
        process.communicate(timeout=60)
