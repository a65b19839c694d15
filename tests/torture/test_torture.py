"""A sample of `python -m tests.torture`: every way to save, at some of its calls."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.torture.injector import SUPPORTED, Fault
from tests.torture.power import PowerCuts
from tests.torture.saves import ROTATING, SAVES, Save, Torture, model

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


#: One of each way to commit: a file, a folder, files with an index, what is put beside others.
CUT = [save for save in SAVES if save.name in ("w.weights.h5", "tfjs", "ckpt")] + ROTATING


@pytest.mark.parametrize("save", CUT, ids=lambda save: save.name)
def test_a_power_cut(save: Save, models: list[keras.Model], tmp_path: Path) -> None:
    cut = PowerCuts(save, tmp_path, models).run()
    assert cut.trees > 10
    assert cut.wrong == []


def test_a_power_cut_is_seen(
    models: list[keras.Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hozon.raw.commit.sync", lambda path: None)
    cut = PowerCuts(CUT[0], tmp_path, models).run()
    assert any("cannot be read" in line for line in cut.wrong)
    assert any("it left the old" in line for line in cut.wrong)
