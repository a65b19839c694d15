"""The code blocks of the documentation and of the README are tests, page by page."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

#: What `from hozon import keras` loads and changes.
OPT_IN = ("hozon.keras", "hozon.tf")


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
    import hozon

    opted_in = sys.modules.get("hozon.keras")
    if opted_in is not None:
        opted_in.restore()
    for name in [name for name in sys.modules if name.startswith(OPT_IN)]:
        del sys.modules[name]
        vars(hozon).pop(name.removeprefix("hozon."), None)
    folder, before = namespace["_page"]
    os.chdir(before)
    folder.cleanup()


def run_shell(example: Example) -> None:
    """Commands, with this environment's `hozon` first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    command = ["bash", "-euc", example.parsed]
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})  # noqa: S603


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser(language="sh", evaluator=run_shell)],
    patterns=["docs/en/*.md", "README.md"],
    setup=open_page,
    teardown=close_page,
).pytest()
