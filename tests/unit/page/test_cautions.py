"""What a page warns of."""

from __future__ import annotations

from hozon.page.cautions import cautions
from hozon.record import ModelRecord
from hozon.verification import VerifyReport


def told(config: dict[str, object] | None = None, **ops: int) -> list[tuple[str, str]]:
    record = ModelRecord("h5", "m", "keras3", "layers", config=config)
    checks = VerifyReport("m", "h5", True, uncovered={"HDF5 files have no checksum": 9})
    return list(cautions(record, ops, checks, ["w"]))


def test_each_kind() -> None:
    mine = {"module": "mine", "registered_name": "Mine"}
    layers = [
        {"class_name": "Lambda", "config": {"name": "code"}},
        {"class_name": "Mine", **mine, "config": {"name": "a"}},
        {"class_name": "Dense", "module": "keras.layers", "config": {"name": "b"}},
    ]
    found = told({"class_name": "Sequential", "config": {"layers": layers}}, PyFunc=1, Nonsense=1)
    assert found == [
        ("lambda", "code"),
        ("foreign", "a (Mine)"),
        ("outside", "PyFunc"),
        ("unknown", "Nonsense"),
        ("odd", "w"),
        ("uncovered", "HDF5 files have no checksum"),
    ]


def test_what_every_saved_model_has_is_no_warning() -> None:
    assert [key for key, _ in told(MatMul=1, SaveV2=1, RestoreV2=1, Switch=1, VarHandleOp=1)] == [
        "odd",
        "uncovered",
    ]
