"""The code blocks of the documentation and of the README are tests, page by page."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

#: What `from hozon import keras` loads and changes.
OPT_IN = ("keras", "tf")


def open_page(namespace: dict[str, Any]) -> None:
    """Each page runs in a folder of its own, with the same random numbers."""
    import keras

    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    namespace["__name__"] = "__main__"  # the module of classes that a page defines
    namespace["_page"] = (folder, os.getcwd())
    os.chdir(folder.name)
    keras.utils.set_random_seed(1)


def close_page(namespace: dict[str, Any]) -> None:
    """Keras is plain again, and the folder is gone."""
    import hozon

    opted_in = sys.modules.get("hozon.keras")
    if opted_in is not None:
        opted_in.restore()
    for name in OPT_IN:
        sys.modules.pop(f"hozon.{name}", None)
        vars(hozon).pop(name, None)
    folder, before = namespace["_page"]
    os.chdir(before)
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser()],
    patterns=["docs/en/*.md", "README.md"],
    setup=open_page,
    teardown=close_page,
).pytest()
