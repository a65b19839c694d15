"""Loaded models lie on the devices as Keras lays models out, train and save there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEVICES = "--xla_force_host_platform_device_count=8"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is wrong with each case; one process has the eight devices."""
    folder = tmp_path_factory.mktemp("sharding")
    done = subprocess.run(
        [sys.executable, "-m", "tests.sharding.worker", str(folder)],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": DEVICES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cases: dict[str, list[str]] = json.loads(done.stdout)
    return cases


@pytest.mark.parametrize("form", ["SavedModel", "h5", "keras", "weights.h5", "safetensors"])
def test_models_and_weights_of_each_form(form: str, found: dict[str, list[str]]) -> None:
    cases = {case: wrong for case, wrong in found.items() if case.endswith(f", {form}")}
    assert len(cases) == 5
    assert {case: wrong for case, wrong in cases.items() if wrong} == {}


def test_all_others(found: dict[str, list[str]]) -> None:
    assert {case: wrong for case, wrong in found.items() if wrong} == {}
