"""How to call what is in an artifact: what the page prints runs as it stands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.forms import form_of
from hozon.page.calls import Call, calls_of
from hozon.record import SignatureInfo, TensorSummary


def calls(path: Path) -> list[Call]:
    record = form_of(str(path)).read(str(path))
    return calls_of(record, str(path), hozon.inspect(path).signatures)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calls")
    one, two = keras.Input((3,), name="one"), keras.Input((2, 2), name="two", dtype="float32")
    y = keras.layers.Concatenate()([one, keras.layers.Flatten()(two)])
    model = keras.Model([one, two], keras.layers.Dense(1, name="y")(y))
    model.compile("sgd", "mse")
    hozon.save_model(model, folder / "m")
    hozon.save_model(model, folder / "m.keras")
    return folder


@pytest.mark.parametrize("form", ["m", "m.keras"])
def test_python_runs(form: str, saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (call,) = calls(saved / form)
    exec(dict(call.ways)["in_python"], {})
    assert "[[0.]]" in capsys.readouterr().out


def test_a_shell_runs(saved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hozon.cli import main

    monkeypatch.chdir(tmp_path)
    np.save("one.npy", np.zeros((1, 3), "float32"))
    np.save("two.npy", np.zeros((1, 2, 2), "float32"))
    (call,) = calls(saved / "m")
    name, *arguments = shlex.split(dict(call.ways)["in_shell"])
    assert (name, main(arguments)) == ("hozon", 0)


def body(text: str) -> dict[str, Any]:
    words = shlex.split(text.rpartition("\n")[2])
    told: dict[str, Any] = json.loads(words[words.index("-d") + 1])
    return told


def test_a_request_holds_what_the_signature_takes(saved: Path) -> None:
    (call,) = calls(saved / "m")
    assert body(dict(call.ways)["at_server"]) == {
        "signature_name": "serving_default",
        "inputs": {"one": [[0.0] * 3], "two": [[[0.0, 0.0], [0.0, 0.0]]]},
    }


def test_names_and_types_of_any_kind(saved: Path) -> None:
    inputs = (
        TensorSummary("a b", "string", (None,)),
        TensorSummary("it's", "int32", ()),
        TensorSummary("flag", "bool", None),
    )
    record = form_of(str(saved / "m")).read(str(saved / "m"))
    (call,) = calls_of(record, "some where/m", (SignatureInfo("f", inputs, ()),))
    ways = dict(call.ways)
    compile(ways["in_python"], "example", "exec")
    assert "**{'a b': np.full((1,), 'text', object)}" in ways["in_python"]
    assert body(ways["at_server"])["inputs"] == {"a b": ["text"], "it's": 0, "flag": False}
    words = shlex.split(ways["in_shell"])
    assert words[2] == "some where/m"
    assert words[words.index("--signature") + 1] == "f"
    assert "it's=it's.npy" in words


def test_a_long_request_is_made(saved: Path) -> None:
    record = form_of(str(saved / "m")).read(str(saved / "m"))
    inputs = (TensorSummary("x", "float32", (None, 224, 224, 3)),)
    (call,) = calls_of(record, "m", (SignatureInfo("f", inputs, ()),))
    script = dict(call.ways)["at_server"].partition('python -c "')[2].partition('"')[0]
    compile(script, "example", "exec")
    assert "np.zeros((1, 224, 224, 3), 'float32')" in script
