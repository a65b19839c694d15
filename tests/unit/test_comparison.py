"""`hozon.diff`: what differs between two models of any two forms, and how far tensors moved."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.cli import main
from hozon.formats.bundle import write_bundle
from tests import by_orbax
from tests.oracle.client import Oracle


def build(units: int = 5, *, extra: bool = False, activation: str = "relu") -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 4), name="x")
    y = keras.layers.BatchNormalization(name="norm")(keras.layers.LSTM(units, name="lstm")(x))
    inner = keras.Sequential(
        [keras.Input((units,)), keras.layers.Dense(3, activation=activation, name="inside")],
        name="inner",
    )
    y = inner(y)
    if extra:
        y = keras.layers.Dropout(0.5, name="drop")(y)
    made = keras.Model(x, keras.layers.Dense(2, name="last")(y), name="net")
    made.compile(keras.optimizers.Adam(0.01), "mse")
    made.optimizer.build(made.trainable_variables)
    return made


FORMS: dict[str, Any] = {
    "m": lambda m, p: hozon.save_model(m, p),
    "m.h5": lambda m, p: hozon.save_model(m, p),
    "m.keras": lambda m, p: hozon.save_model(m, p),
    "k2.keras": lambda m, p: hozon.save_model(m, p, dialect="keras2"),
    "c": lambda m, p: hozon.save_weights(m, p),
    "w.h5": lambda m, p: hozon.save_weights(m, p),
    "w.weights.h5": lambda m, p: hozon.save_weights(m, p),
    "w.weights.json": lambda m, p: hozon.save_weights(m, p),
    "w.safetensors": lambda m, p: hozon.save_weights(m, p),
    "o": by_orbax.write,
    "wo": lambda m, p: by_orbax.write(m, p, weights_only=True),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    model = build()
    for name, save in FORMS.items():
        save(model, folder / name)
    return folder


def test_one_model_is_the_same_in_any_two_forms(saved: Path) -> None:
    weights = len(build().weights)
    for a, b in itertools.combinations(FORMS, 2):
        report = hozon.diff(saved / a, saved / b)
        assert report.same, str(report)
        assert (report.added, report.removed, report.changed, report.training) == ((), (), (), ())
        assert sum(t.equal for t in report.tensors) >= weights - 1, (a, b)  # a seed


@pytest.mark.parametrize("form", ["m", "m.h5", "m.keras", "w.safetensors"])
def test_a_tensor_that_moved(form: str, saved: Path, tmp_path: Path) -> None:
    model = build()
    kernel = model.get_layer("last").kernel
    before = np.asarray(kernel)
    step = np.zeros_like(before)
    step[1, 0] = 0.25
    kernel.assign(before + step)
    FORMS[form](model, tmp_path / form)
    report = hozon.diff(saved / "m.keras", tmp_path / form)
    moved = [t for t in report.tensors if not t.equal and "vars/" in t.name]
    assert not report.same
    assert report.tensors[0].name == "layers/dense/vars/0" == moved[0].name
    assert len(moved) == 1
    first = report.tensors[0]
    after = np.asarray(kernel, "float64")
    gap = after - before.astype("float64")
    assert first.max_change == pytest.approx(np.abs(gap).max())
    assert first.relative_change == pytest.approx(np.linalg.norm(gap) / np.linalg.norm(before))
    cosine = (after * before).sum() / np.linalg.norm(after) / np.linalg.norm(before)
    assert first.cosine == pytest.approx(cosine)
    assert (first.changed, first.close) == (1, False)
    assert hozon.diff(saved / "m.keras", tmp_path / form, atol=0.26).same


def test_layers_and_arguments(saved: Path) -> None:
    changed = hozon.diff(saved / "m.keras", build(6, extra=True, activation="tanh"))
    assert changed.added == ("drop (Dropout)",)
    assert changed.removed == ()
    told = {(c.layer, c.argument): (c.a, c.b) for c in changed.changed}
    assert told["lstm", "units"] == (5, 6)
    assert told["inner/inside", "activation"] == ("relu", "tanh")
    assert told["last", "called on"] == (["inner"], ["drop"])
    shapes = [t for t in changed.tensors if t.shapes[0] != t.shapes[1]]
    assert changed.tensors[: len(shapes)] == tuple(shapes)
    assert math.isinf(shapes[0].max_change)
    assert not changed.same


def test_layers_across_dialects(saved: Path, tmp_path: Path) -> None:
    hozon.save_model(build(activation="tanh"), tmp_path / "m.h5")
    report = hozon.diff(saved / "m.keras", tmp_path / "m.h5")
    assert [(c.layer, c.argument, c.a, c.b) for c in report.changed] == [
        ("inner/inside", "activation", "relu", "tanh")
    ]


def test_training(saved: Path) -> None:
    model = build()
    model.compile(keras.optimizers.Adam(0.5), "mse")
    report = hozon.diff(saved / "m.keras", model)
    assert [c.argument for c in report.training] == ["optimizer.learning_rate"]
    assert not report.same
    plain = build()
    plain.compile(keras.optimizers.SGD(), "mae")
    told = {c.argument for c in hozon.diff(saved / "m.keras", plain).training}
    assert {"optimizer.class", "loss"} <= told


def test_what_only_one_has(tmp_path: Path) -> None:
    a = {"x": np.arange(3.0), "y": np.ones(2), "n": np.array([1.0, np.nan]), "s": ["a"]}
    b = {"x": np.arange(3.0), "z": np.ones(2), "n": np.array([1.0, np.nan]), "s": ["b"]}
    for name, tensors in (("a", a), ("b", b)):
        held = {k: np.array(v, object) if k == "s" else v for k, v in tensors.items()}
        write_bundle(tmp_path / name, held)
    report = hozon.diff(tmp_path / "a", tmp_path / "b")
    assert (report.only_a, report.only_b) == (("y",), ("z",))
    equal = {t.name: t.equal for t in report.tensors}
    assert equal == {"x": True, "n": True, "s": False}


def test_numbers_of_all_kinds(tmp_path: Path) -> None:
    a = {
        "zero": np.zeros(3, "float32"),
        "sign": np.array([0.0]),
        "inf": np.array([np.inf, 1.0]),
        "int": np.array([1, 2, 3], "int64"),
        "bool": np.array([True, False]),
        "half": np.ones(4, "float16"),
        "type": np.ones(2, "float32"),
    }
    b = {
        "zero": np.ones(3, "float32"),
        "sign": np.array([-0.0]),
        "inf": np.array([np.inf, 2.0]),
        "int": np.array([1, 2, 5], "int64"),
        "bool": np.array([True, True]),
        "half": np.full(4, 2, "float16"),
        "type": np.ones(2, "float64"),
    }
    write_bundle(tmp_path / "a", a)
    write_bundle(tmp_path / "b", b)
    found = {t.name: t for t in hozon.diff(tmp_path / "a", tmp_path / "b").tensors}
    assert math.isinf(found["zero"].relative_change)
    assert (found["sign"].equal, found["sign"].close) == (False, True)
    assert found["inf"].max_change == 1.0
    assert (found["int"].max_change, found["int"].changed) == (2.0, 1)
    assert found["bool"].changed == 1
    assert found["half"].relative_change == pytest.approx(1.0)
    assert found["half"].cosine == pytest.approx(1.0)
    assert (found["type"].equal, found["type"].close) == (False, True)
    told = hozon.diff(tmp_path / "a", tmp_path / "b").to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_damaged_file_is_no_difference(tmp_path: Path) -> None:
    for name in "ab":
        write_bundle(tmp_path / name, {"x": np.ones((3, 1 << 19))})
    path = tmp_path / "b.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[9_000_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(hozon.FormatError, match="checksum"):
        hozon.diff(tmp_path / "a", tmp_path / "b")


@pytest.mark.oracle
def test_files_of_tensorflow(oracle: Oracle, tmp_path: Path) -> None:
    oracle.python(
        """
keras.utils.set_random_seed(0)
m = keras.Sequential([keras.layers.Conv2D(4, 3, name="c", input_shape=(8, 8, 3)),
                      keras.layers.BatchNormalization(name="b"), keras.layers.GlobalMaxPool2D(),
                      keras.layers.Dense(3, name="d")])
m.compile("adam", "mse")
m.save(path + "/m")
m.save(path + "/m.h5")
m.save(path + "/m.keras")
m.save_weights(path + "/w")
m.layers[0].bias.assign_add([0., 0., 1., 0.])
m.save(path + "/n.h5")
""",
        path=str(tmp_path),
    )
    for a, b in itertools.combinations(("m", "m.h5", "m.keras", "w"), 2):
        report = hozon.diff(tmp_path / a, tmp_path / b)
        assert report.same, str(report)
        assert len(report.tensors) >= 8
    for a in ("m", "m.keras", "w"):
        report = hozon.diff(tmp_path / a, tmp_path / "n.h5")
        assert [t.other for t in report.tensors if not t.equal] == ["c/bias:0"]


def test_the_command(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = str(saved / "m.keras")
    assert main(["diff", a, str(saved / "m")]) == 0
    assert "the same" in capsys.readouterr().out
    hozon.save_model(build(6), tmp_path / "b.keras")
    assert main(["diff", a, str(tmp_path / "b.keras"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["same"]) == ("diff", False)
    assert main(["diff", a, str(tmp_path / "b.keras"), "-q"]) == 1
    assert capsys.readouterr().out == ""
    assert main(["diff", a, str(tmp_path / "nothing")]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert main(["diff", a, a, "--rtol", "-1"]) == 2


BIG = """
import resource, sys
import hozon
hozon.diff(sys.argv[3], sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert not hozon.diff(sys.argv[1], sys.argv[2]).same
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
print(*sorted({"jax", "keras"} & set(sys.modules)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes there")
def test_memory_is_that_of_a_part_of_a_tensor(tmp_path: Path) -> None:
    write_bundle(tmp_path / "s", {"a": np.ones(3)})
    for number, name in enumerate("ab"):
        write_bundle(tmp_path / name, {"a": np.full((100, 1 << 17), float(number))})
    paths = [str(tmp_path / name) for name in "abs"]
    done = subprocess.run(
        [sys.executable, "-c", BIG, *paths], capture_output=True, text=True, check=True
    )
    grown, *heavy = done.stdout.split()
    assert int(grown) < 80  # of 2 x 100 MB
    assert heavy == []


def test_what_is_no_artifact() -> None:
    with pytest.raises(hozon.ArgumentError, match="a=3: give a path or URL"):
        hozon.diff(3, "b")  # type: ignore[arg-type]
