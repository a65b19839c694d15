"""The account of a restored checkpoint: every live variable and every stored tensor is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import InternalError
from hozon.models.assignment.account import reachable
from hozon.train import outcome

L, Opt = keras.layers, keras.optimizers
X, Y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")


class Counted(Opt.Optimizer):
    """One of the user's: a number of its own, and a slot for each variable."""

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.seen = self.add_variable((), name="seen")
        self.slots = [self.add_variable_from_reference(v, "slot") for v in variables]

    def update_step(self, gradient: Any, variable: Any, rate: Any) -> None:
        self.seen.assign(self.seen + 1)
        self.assign_sub(variable, rate * gradient)


OPTIMIZERS = {
    "adam": lambda: Opt.Adam(0.1, amsgrad=True),
    "nadam": lambda: Opt.Nadam(0.1),
    "adafactor": lambda: Opt.Adafactor(0.1),
    "scheduled": lambda: Opt.Adam(Opt.schedules.ExponentialDecay(0.1, 10, 0.9), use_ema=True),
    "scaled": lambda: Opt.LossScaleOptimizer(Opt.SGD(0.1, momentum=0.9)),
    "the user's": lambda: Counted(0.1),
}


def model(optimizer: Any, steps: int = 0) -> Any:
    layers = [
        L.Dense(2, name="a"),
        L.BatchNormalization(name="b"),
        L.Dropout(0.5),
        L.Dense(1, name="c"),
    ]
    made = keras.Sequential([keras.Input((3,)), *layers])
    made.compile(optimizer(), "mse", metrics=["mae"])
    for _ in range(steps):
        made.train_on_batch(X, Y)
    return made


def lines(report: Any) -> int:
    lists = ("matched", "missing", "kept")
    return sum(len(getattr(report, name)) for name in lists)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_account_of_a_restore_closes(name: str, tmp_path: Path) -> None:
    saved = model(OPTIMIZERS[name], steps=2)
    path = hozon.train.Checkpoint(net=saved).save(tmp_path / "c")
    live = model(OPTIMIZERS[name])
    report = hozon.train.Checkpoint(net=live).restore(path)
    assert (report.missing, report.unexpected, report.mismatched) == ([], [], [])
    assert report.deferred  # the optimizer is not built
    assert any("random numbers" in line for line in report.kept)
    live.train_on_batch(X, Y)
    report.assert_consumed()
    known = len([*reachable(live)])
    counted = 1 if name == "scaled" else 0  # one stored counter is that of two optimizers
    assert lines(report) + counted == known
    assert any("metrics begin anew" in line for line in report.kept)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_forgotten_tensor_is_a_fault(
    by_name: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hozon.save_weights(model(OPTIMIZERS["adam"], steps=1), tmp_path / "c")
    monkeypatch.setattr(outcome.Assignment, "surplus", lambda *args, **kwargs: None)
    monkeypatch.setattr(outcome.Assignment, "defer", lambda *args, **kwargs: None)
    with pytest.raises(InternalError, match=r"lost sight of .*tensor optimizer/"):
        hozon.load_weights(model(OPTIMIZERS["adam"]), tmp_path / "c", by_name=by_name)


def test_a_forgotten_variable_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = model(OPTIMIZERS["adam"])
    hozon.save_weights(saved, tmp_path / "c")
    monkeypatch.setattr(outcome.Assignment, "took", lambda *args: None)
    monkeypatch.setattr(outcome.Assignment, "miss", lambda *args: None)
    with pytest.raises(InternalError, match=r"lost sight of variable .*a/kernel \(weight\)"):
        hozon.load_weights(model(OPTIMIZERS["adam"]), tmp_path / "c")


class Twins(L.Layer):
    """Two variables of one name, of which a checkpoint has but one."""

    def __init__(self, twins: bool) -> None:
        super().__init__(name="twins")
        for _ in range(1 + twins):
            self.add_weight(shape=(2,), name="same", initializer="ones")


def test_a_variable_that_no_checkpoint_can_name_is_missing(tmp_path: Path) -> None:
    hozon.train.Checkpoint(layer=Twins(False)).write(tmp_path / "c")
    report = hozon.train.Checkpoint(layer=Twins(True)).read(tmp_path / "c")
    assert report.missing == ["twins/same"]
    with pytest.raises(hozon.MismatchError):
        report.assert_existing_objects_matched()


def test_what_stands_alone_is_counted_too(tmp_path: Path) -> None:
    optimizer, metric = Opt.SGD(0.1), keras.metrics.Mean(name="mean")
    path = hozon.train.Checkpoint(one=[optimizer], two={"m": metric}).write(tmp_path / "c")
    report = hozon.train.Checkpoint(one=[Opt.SGD(0.2)], two={"m": keras.metrics.Mean()}).read(path)
    assert len(report.assert_consumed().matched) == 4
