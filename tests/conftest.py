"""Fixtures that all tests share."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.client import PYTHON, Oracle

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# A program that one test compiled is there for the next, and for the processes that tests start.
# Each worker has its own folder: JAX writes its files without a lock.
COMPILED = tempfile.TemporaryDirectory(prefix="compiled-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# Most programs run once: XLA hands them to LLVM unoptimized, which spares a quarter of the time.
# `XLA_FLAGS= make test` runs all as users do.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


#: Models that all tests of this folder share are made once, by one process.
TOGETHER = "tests/across/written/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files of tests, and whole folders where the models are shared."""
    from xdist.scheduler import LoadFileScheduling

    class ByFixtures(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)

    return ByFixtures(config, log)


@pytest.fixture(autouse=True)
def plain_keras() -> Iterator[None]:
    """Who opts in to `hozon.keras` does so for one test: none depends on what ran before it."""
    yield
    opted_in = sys.modules.get("hozon.keras")
    if opted_in is not None:
        opted_in.restore()


@pytest.fixture(autouse=True, scope="module")
def light_collection() -> Iterator[None]:
    """What a file's tests leave behind is not looked through by each collection of garbage after
    them, which took a sixth of the time and more."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def nothing_frozen() -> None:
    """The collector of garbage as Python starts it, for tests of what is left of it."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """TensorFlow, started once per test run."""
    if not PYTHON.exists():
        pytest.skip(f"the oracle's environment {PYTHON.parents[1]} is missing: run `make test`")
    running = Oracle()
    yield running
    running.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks TensorFlow, so that ``-m "not oracle"`` runs without its environment."""
    for item in items:
        if "oracle" in getattr(item, "fixturenames", ()):
            item.add_marker("oracle")


def shared_folder() -> Path:
    """The folder of real models and recorded answers."""
    default = Path(__file__).parents[2] / "shared"
    return Path(os.environ.get("HOZON_SHARED", default))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded models, or a skip that says that it is missing."""
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing (set HOZON_SHARED)")
    return folder
