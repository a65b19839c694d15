"""Conversion: every artifact into every form, or a refusal with a reason."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon import UnsupportedError
from hozon.cli import main
from hozon.forms.whole import MODEL_FORMS

NAMES = {"savedmodel": "model", "h5": "model.h5", "keras": "model.keras"}
FORMS = [form.name for form in MODEL_FORMS]
X = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
Y = X[:, :1] * 2


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(2)
    x = keras.Input((4,), name="x")
    y = layers.Dense(3, activation="relu", name="first")(x)
    y = layers.BatchNormalization(name="norm")(y)
    made = keras.Model(x, layers.Dense(1, name="last")(y), name="converted")
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    made.fit(X, Y, epochs=2, verbose=0)
    return made


@pytest.fixture(scope="module")
def saved(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    for name in FORMS:
        hozon.save_model(model, folder / NAMES[name])
    return {name: folder / NAMES[name] for name in FORMS}


def same(found: keras.Model, expected: keras.Model) -> None:
    for new, old in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    own, other = found.optimizer.variables, expected.optimizer.variables
    for new, old in zip(own, other, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    np.testing.assert_array_equal(found.predict(X, verbose=0), expected.predict(X, verbose=0))


@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("source", FORMS)
def test_whole_models(
    source: str, target: str, saved: dict[str, Path], model: keras.Model, tmp_path: Path
) -> None:
    report = hozon.convert(saved[source], tmp_path / NAMES[target])
    assert report.format == target
    same(hozon.load_model(tmp_path / NAMES[target]), model)


def test_around_all_forms_and_back(
    saved: dict[str, Path], model: keras.Model, tmp_path: Path
) -> None:
    at = saved["savedmodel"]
    for i, name in enumerate([*FORMS[1:], "savedmodel"]):
        there = tmp_path / f"{i}{NAMES[name]}"
        hozon.convert(at, there, format=name)
        at = there
    same(hozon.load_model(at), model)


@pytest.mark.parametrize("form", ["tf_checkpoint", "h5_weights", "json"])
@pytest.mark.parametrize("source", FORMS)
def test_parts_of_a_model(
    source: str, form: str, saved: dict[str, Path], model: keras.Model, tmp_path: Path
) -> None:
    hozon.convert(saved[source], tmp_path / "part", format=form)
    if form == "json":
        made = hozon.model_from_json((tmp_path / "part").read_text())
        assert made.get_config() == model.get_config()
        return
    copy = keras.models.clone_model(model)
    hozon.load_weights(copy, tmp_path / "part").assert_existing_objects_matched()
    for new, old in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))


def test_weights_alone_say_why_not(model: keras.Model, tmp_path: Path) -> None:
    hozon.save_weights(model, tmp_path / "w.h5")
    hozon.save_weights(model, tmp_path / "ck" / "w")
    for source, target, form in (
        ("w.h5", "m", "savedmodel"), ("w.h5", "c", "tf_checkpoint"), ("ck/w", "x.h5", "h5_weights")
    ):  # fmt: skip
        with pytest.raises(UnsupportedError) as raised:
            hozon.convert(tmp_path / source, tmp_path / target, format=form)
        assert "load_weights" in str(raised.value.instead)
    hozon.convert(tmp_path / "w.h5", tmp_path / "again.h5", format="h5_weights")
    hozon.load_weights(model, tmp_path / "again.h5").assert_consumed()


def test_the_command(saved: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["convert", str(saved["h5"]), str(tmp_path / "m")]) == 0
    assert "savedmodel" in capsys.readouterr().out
    assert main(["convert", str(saved["h5"]), str(tmp_path / "m"), "--format", "zip"]) == 2
    assert main(["convert", str(tmp_path / "missing"), str(tmp_path / "m")]) == 1
