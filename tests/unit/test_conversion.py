"""Conversion: every artifact into every form, or a refusal with a reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon import UnsupportedError
from hozon.cli import main
from hozon.forms import that_hold
from tests import by_orbax
from tests.oracle.client import Oracle

NAMES = {"savedmodel": "model", "h5": "model.h5", "keras": "model.keras"}
#: Those that keep all of a model; `forms/test_tfjs.py` has the one that keeps no optimizer's state.
FORMS = [form.name for form in that_hold("a model") if form.optimizer and form.written]
SOURCES = [*FORMS, "orbax"]
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
    by_orbax.write(model, folder / "orbax")
    return {**{name: folder / NAMES[name] for name in FORMS}, "orbax": folder / "orbax"}


def same(found: keras.Model, expected: keras.Model) -> None:
    for new, old in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    own, other = found.optimizer.variables, expected.optimizer.variables
    for new, old in zip(own, other, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    np.testing.assert_array_equal(found.predict(X, verbose=0), expected.predict(X, verbose=0))


@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("source", SOURCES)
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


PARTS = {
    "tf_checkpoint": "part",
    "h5_weights": "part.h5",
    "weights.h5": "part.weights.h5",
    "weights.json": "part.weights.json",
    "safetensors": "part.safetensors",
    "json": "part.json",
}


HOLD_OPTIMIZER = ("tf_checkpoint", "weights.h5", "weights.json")


@pytest.mark.parametrize("form", PARTS)
@pytest.mark.parametrize("source", SOURCES)
def test_parts_of_a_model(
    source: str, form: str, saved: dict[str, Path], model: keras.Model, tmp_path: Path
) -> None:
    there = tmp_path / PARTS[form]
    hozon.convert(saved[source], there, format=form)
    if form == "json":
        made = hozon.model_from_json(there.read_text())
        assert made.get_config() == model.get_config()
        return
    copy = keras.models.clone_model(model)
    if form in HOLD_OPTIMIZER:
        copy.compile("adam", "mse")
        copy.optimizer.build(copy.trainable_variables)
        for own in copy.optimizer.variables[2:]:
            own.assign(np.ones_like(own))
    hozon.load_weights(copy, there).assert_existing_objects_matched()
    found, expected = list(copy.weights), list(model.weights)
    if form in HOLD_OPTIMIZER:
        found += copy.optimizer.variables
        expected += model.optimizer.variables
    for new, old in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))


KERAS_2 = """
x = keras.Input((4,), name="x")
y = keras.layers.Dense(3, activation="relu", name="first")(x)
y = keras.layers.BatchNormalization(name="norm")(y)
model = keras.Model(x, keras.layers.Dense(1, name="last")(y), name="converted")
model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
model.fit(data, data[:, :1] * 2, epochs=2, verbose=0)
model.save(f"{folder}/tf_model")
model.save(f"{folder}/tf.h5")
model.save(f"{folder}/tf.keras")
model.save_weights(f"{folder}/tf_weights.h5")
model.save_weights(f"{folder}/tf_checkpoint")
model.save_weights(f"{folder}/tf.weights.h5")
out["text"] = model.to_json()
out["weights"] = model.get_weights()
out["slots"] = [v.numpy() for v in model.optimizer._momentums]
"""
WHOLE = ("tf_model", "tf.h5", "tf.keras")
#: What converts without the model: where both name weights in one way, or the one tells the other.
ALIKE = {
    "tf_weights.h5": {"h5_weights"},
    "tf_checkpoint": {"tf_checkpoint", "h5_weights"},
    "tf.weights.h5": {"weights.h5", "weights.json", "safetensors"},
}


@pytest.fixture(scope="module")
def keras2(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("keras2")
    return folder, oracle.python(KERAS_2, folder=str(folder), data=X)


@pytest.mark.parametrize("target", [*FORMS, *PARTS])
@pytest.mark.parametrize("source", [*WHOLE, *ALIKE])
def test_what_keras_2_wrote(
    source: str, target: str, keras2: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, wrote = keras2
    there = tmp_path / {**NAMES, **PARTS}[target]
    if source in ALIKE and target not in ALIKE[source]:
        with pytest.raises(UnsupportedError, match="load_weights"):
            hozon.convert(folder / source, there, format=target)
        assert not there.exists()
        return
    hozon.convert(folder / source, there, format=target)
    if target in FORMS:
        made = hozon.load_model(there)
        slots = [np.asarray(v) for v in made.optimizer.variables if v.path.endswith("momentum")]
        for have, want in zip(slots, wrote["slots"], strict=True):
            np.testing.assert_array_equal(have, want)
    else:
        made = hozon.model_from_json(there.read_text() if target == "json" else wrote["text"])
    if target != "json":
        if target not in FORMS:
            hozon.load_weights(made, there).assert_existing_objects_matched()
        for have, want in zip(made.get_weights(), wrote["weights"], strict=True):
            np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("source", WHOLE)
def test_around_all_forms_from_keras_2(
    source: str, keras2: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, wrote = keras2
    at = folder / source
    for i, name in enumerate(["h5", "keras", "savedmodel", "keras", "h5"]):
        there = tmp_path / f"{i}{NAMES[name]}"
        hozon.convert(at, there, format=name)
        at = there
    made = hozon.load_model(at)
    same(made, hozon.load_model(folder / source))
    for have, want in zip(made.get_weights(), wrote["weights"], strict=True):
        np.testing.assert_array_equal(have, want)


STREAMED = """
import sys, tracemalloc
import hozon
source, *targets = sys.argv[1:]
for target in targets:
    hozon.convert(source, target)  # imports what it needs
tracemalloc.start()
for target in targets:
    hozon.convert(source, target)
assert "keras" not in sys.modules and "jax" not in sys.modules
print(tracemalloc.get_traced_memory()[1])
"""


def test_weights_stream_without_keras_or_jax(tmp_path: Path) -> None:
    sources = {
        "a.weights.h5": ("b.safetensors", "c.weights.json", "d.weights.h5"),
        "a.keras": ("e.safetensors", "f.weights.h5"),
        "a.h5": ("g.h5",),
        "a": ("h.h5", "i"),
    }
    wide = keras.Sequential([keras.Input((1024,)), *(layers.Dense(1024) for _ in range(6))])
    hozon.save_weights(wide, tmp_path / "a.weights.h5")
    hozon.save_weights(wide, tmp_path / "a.h5")
    hozon.save_model(wide, tmp_path / "a.keras")
    hozon.save_weights(wide, tmp_path / "a")
    for source, targets in sources.items():
        done = subprocess.run(
            [sys.executable, "-c", STREAMED, *(str(tmp_path / n) for n in (source, *targets))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        one = 4 * 1024 * 1024
        assert int(done.stdout) < 2.5 * one  # of 24 MiB, hardly more than one tensor at a time


def test_weights_alone_say_why_not(model: keras.Model, tmp_path: Path) -> None:
    hozon.save_weights(model, tmp_path / "w.h5")
    hozon.save_weights(model, tmp_path / "w.weights.h5")
    hozon.save_weights(model, tmp_path / "ck" / "w")
    by_orbax.write(model, tmp_path / "o", weights_only=True)
    for source, target, form in (
        ("w.h5", "m", "savedmodel"),
        ("w.h5", "c", "tf_checkpoint"),
        ("w.h5", "x.safetensors", "safetensors"),
        ("ck/w", "x.weights.h5", "weights.h5"),
        ("w.weights.h5", "x.h5", "h5_weights"),
        ("w.weights.h5", "c", "tf_checkpoint"),
        ("o", "m", "savedmodel"),
        ("o", "x.h5", "h5_weights"),
        ("o", "x.weights.h5", "weights.h5"),
        ("o", "c", "tf_checkpoint"),
    ):
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
