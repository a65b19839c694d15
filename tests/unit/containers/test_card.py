"""Model cards: what is in an artifact, in which nothing of a file is markup."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

import hozon
from hozon.containers.card import MARK, card
from hozon.record import ModelRecord, SignatureInfo, TensorSummary


@pytest.fixture(scope="module")
def model() -> keras.Model:
    x = keras.Input((4,), name="x")
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="deep")], name="inner")
    made = keras.Model(x, keras.layers.Dense(1, name="last")(inner(x)), name="net")
    made.compile(keras.optimizers.SGD(0.1), "mae", metrics=["mse"])
    return made


def test_it_tells_what_is_in_a_model(model: keras.Model, tmp_path: Path) -> None:
    hozon.save_model(model, tmp_path / "net", card=True)
    lines = (tmp_path / "net" / "README.md").read_text().splitlines()
    assert lines[:6] == ["---", "library_name: hozon", "tags:", "- keras", "- savedmodel", "---"]
    assert MARK in lines
    assert "# net" in lines
    assert "model = hozon.load_model('net')" in lines
    assert "| `serving_default` | `x: float32[?, 4]` | `last: float32[?, 1]` |" in lines
    assert "| `inner/deep` | `Dense` |  |" in lines
    assert "| `last` | `Dense` | `inner` |" in lines
    assert "- optimizer: `SGD`" in lines
    assert "- loss: `mae`" in lines


def test_of_any_artifact(model: keras.Model, tmp_path: Path) -> None:
    hozon.save_model(model, tmp_path / "m.h5")
    text = hozon.report(tmp_path / "m.h5", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == text
    assert "hozon.load_model('hf://user/repository/m.h5')" in text
    assert "| `inner/deep` | `Dense` |  |" in text


def test_names_of_a_file_are_no_markup() -> None:
    evil = "a`|b\n\n# c <script>"
    layers = [{"class_name": evil, "config": {"name": evil}}]
    info = SignatureInfo(evil, (TensorSummary(evil, "float32", (1,)),), ())
    from hozon.record import Graph

    record = ModelRecord(
        "savedmodel",
        "m",
        "keras2",
        "objects",
        producer=evil,
        config={"class_name": evil, "config": {"layers": layers}},
        graph=Graph(signatures=(info,)),
    )
    text = card(record, "/x/<b>*m*")
    assert "\n# c" not in text
    assert "# \\<b\\>\\*m\\*" in text
    for line in text.splitlines():
        if "script" in line:
            assert "a'" in line
            assert line.count("`") % 2 == 0


def test_the_command(model: keras.Model, tmp_path: Path) -> None:
    from hozon.cli import main

    hozon.save_model(model, tmp_path / "m.keras")
    target = tmp_path / "repo"
    assert main(["convert", str(tmp_path / "m.keras"), str(target), "--card", "-q"]) == 0
    assert "# repo" in (target / "README.md").read_text()
