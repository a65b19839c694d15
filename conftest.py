"""The order of tests, and the code blocks of documentation and README as tests, page by page."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--shuffle=SEED``: files in another order, and the tests of each file too."""
    parser.addoption("--shuffle", metavar="SEED", help="run tests in an order drawn from SEED")


@pytest.hookimpl(tryfirst=True)  # pytest then puts those together that share a parameter
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the files, and the tests of each; the blocks of a page stay as they are."""
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    draw, files = random.Random(seed), dict[Path, list[pytest.Item]]()  # noqa: S311
    for item in items:
        files.setdefault(item.path, []).append(item)
    groups = list(files.values())
    draw.shuffle(groups)
    for group in groups:
        if group[0].path.suffix == ".py":
            draw.shuffle(group)
    items[:] = [item for group in groups for item in group]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The seed, to run the tests in this order again."""
    seed = config.getoption("--shuffle")
    if seed is not None:
        terminalreporter.write_line(f"order of tests: --shuffle={seed}")


def open_page(namespace: dict[str, Any]) -> None:
    """Each page runs in a folder of its own, with the same names and random numbers."""
    import keras

    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    namespace["__name__"] = "__main__"  # the module of classes that a page defines
    namespace["_page"] = (folder, os.getcwd())
    os.chdir(folder.name)
    keras.utils.clear_session()  # names that Keras gives are numbered from the start
    keras.utils.set_random_seed(1)


def close_page(namespace: dict[str, Any]) -> None:
    """Keras is plain again, and the folder is gone."""
    opted_in = sys.modules.get("hozon.keras")
    if opted_in is not None:
        opted_in.restore()
    folder, before = namespace["_page"]
    os.chdir(before)
    folder.cleanup()


def run_shell(example: Example) -> None:
    """Commands, with this environment's `hozon` first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    command = ["bash", "-euc", example.parsed]
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})  # noqa: S603


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="sh", evaluator=run_shell),
        SkipParser(),
    ],
    patterns=["docs/en/*.md", "README.md"],
    setup=open_page,
    teardown=close_page,
).pytest()
