"""Arrays for `hozon predict`, from every kind of file and into every kind."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.cli.main import main

X = np.array([[1, 2, 3], [4, 5, 6]], "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of one input and of two, and the first one's inputs in every kind of file."""
    made = tmp_path_factory.mktemp("arrays")
    keras.utils.set_random_seed(1)
    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Dense(2, name="y")(x))
    for name in ("m", "m.keras", "m.h5"):
        hozon.save_model(model, made / name)
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    outputs = {"sum": keras.layers.Add()([a, b]), "a": keras.layers.Identity()(a)}
    hozon.save_model(keras.Model({"a": a, "b": b}, outputs), made / "two.keras")
    np.save(made / "x.npy", X)
    np.savez(made / "x.npz", x=X)
    (made / "x.json").write_text(json.dumps(X.tolist()))
    (made / "named.json").write_text(json.dumps({"x": X.tolist()}))
    (made / "x.csv").write_text("1,2,3\n4,5,6\n")
    (made / "ab.csv").write_text("a,b\n1,10\n2,20\n")
    return made


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray[Any, Any]:
    model = hozon.load_model(folder / "m.keras", compile=False)
    return np.asarray(model.predict(X, verbose=0))


@pytest.mark.parametrize("model", ["m", "m.keras", "m.h5"])
@pytest.mark.parametrize(
    "given", ["x=x.npy", "x=x.npz", "x.npz", "x=x.json", "x.json", "named.json", "x=x.csv", "x.csv"]
)
def test_inputs_of_every_kind(
    folder: Path,
    expected: np.ndarray[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    given: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["predict", model, "--input", given, "--output", "-"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("end", ["npz", "json", "csv", ""])
def test_outputs_of_every_kind(
    folder: Path, expected: np.ndarray[Any, Any], tmp_path: Path, end: str
) -> None:
    target = tmp_path / (f"new/out.{end}" if end else "out")
    arguments = ["predict", str(folder / "m"), "--input", f"x={folder / 'x.npy'}", "-q"]
    assert main([*arguments, "--output", str(target)]) == 0
    if end == "npz":
        found = np.load(target)["y"]
    elif end == "json":
        found = json.loads(target.read_text())["y"]
    elif end == "csv":
        rows = list(csv.reader(target.open()))
        assert rows[0] == ["y.0", "y.1"]
        found = np.array(rows[1:], float)
    else:
        found = np.load(target / "y.npy")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_columns_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["predict", str(folder / "two.keras"), "--input", str(folder / "ab.csv")]
    assert main([*arguments, "--output", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"sum": [[11.0], [22.0]], "a": [[1.0], [2.0]]}


@pytest.mark.parametrize("end", ["npy", "npz", "json"])
def test_standard_input(
    folder: Path,
    expected: np.ndarray[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: str,
) -> None:
    content = io.TextIOWrapper(io.BytesIO((folder / f"x.{end}").read_bytes()))
    monkeypatch.setattr(sys, "stdin", content)
    assert main(["predict", str(folder / "m.keras"), "--input", "-", "--output", "-"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["x=x.pkl"], "no known kind"),
        (["=x.npy"], "NAME=FILE"),
        (["x=x.npy", "x=x.npy"], "given twice"),
        (["z=x.npy"], "not taken: z"),
        (["x=missing.npy"], "does not exist"),
        (["x=bad.json"], "no JSON"),
        (["x=bad.csv"], "several lengths"),
        (["x=words.json"], "takes float32 values"),
        (["x=two.npz"], "has no 'x'"),
    ],
)
def test_wrong_inputs(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    Path("x.pkl").write_bytes(b"cos\nsystem\n")
    Path("bad.json").write_text("[1,")
    Path("bad.csv").write_text("1,2\n3\n")
    Path("words.json").write_text('[["one"]]')
    np.savez("two.npz", a=X, b=X)
    arguments = [part for one in given for part in ("--input", one)]
    assert main(["predict", "m.keras", *arguments]) in (1, 2)
    assert words in capsys.readouterr().err


def test_an_archive_of_objects_is_not_unpickled(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([{}], object))
    assert main(["predict", str(folder / "m"), "--input", str(tmp_path / "x.npz")]) == 1
    assert "no NumPy file" in capsys.readouterr().err
