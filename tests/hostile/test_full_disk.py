"""A disk that refuses a write at any byte: the old artifact stays, and SaveError says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.full_disk import FORMS, REFUSED

PROGRAM = Path(__file__).with_name("full_disk.py")
POINTS = 12


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, bool]]]:
    folder = tmp_path_factory.mktemp("full")
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(folder), str(POINTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("form", FORMS)
def test_an_error_of_the_disk_leaves_the_old(
    form: str, told: dict[str, list[tuple[int, bool]]]
) -> None:
    assert [tuple(point) for point in told[form]] == [(REFUSED, True)] * POINTS
