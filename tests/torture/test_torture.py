"""A sample of `python -m tests.torture`: every way to save, at some of its calls."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.torture.injector import SUPPORTED, Fault
from tests.torture.saves import SAVES, Save, Torture, model

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="it needs Linux on x86-64")
#: Points of each way to save.
SAMPLE = 10


@pytest.fixture(scope="module")
def models() -> list[keras.Model]:
    return [model(version) for version in (1, 2, 3)]


@pytest.mark.parametrize("save", SAVES, ids=lambda save: save.name)
def test_the_old_or_the_new(save: Save, models: list[keras.Model], tmp_path: Path) -> None:
    torture = Torture(save, tmp_path, models)
    points = list(torture.points())
    assert {fault for fault, _ in points} == set(Fault)
    step = len(points) / SAMPLE
    found = [torture.at(*points[int(i * step)]) for i in range(SAMPLE)]
    assert [point for point in found if point.wrong] == []
    assert len({point.status for point in found}) > 1
