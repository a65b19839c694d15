"""What Hozon writes, read by Hozon: the very same model."""

from __future__ import annotations

import json
from contextlib import nullcontext

import keras
import numpy as np
import pytest

import hozon
from tests.across.written import zoo
from tests.across.written.conftest import Written

CLASSES = {name: value for name, value in vars(zoo).items() if isinstance(value, type)}
#: Custom classes without a config come back as classes of the same name.
WITHOUT_CONFIG = {"subclassed", "autoencoder"}


@pytest.mark.parametrize("name", list(zoo.MAKERS))
def test_the_very_same_model(written: dict[str, Written], name: str) -> None:
    live = written[name].case.model
    compiled = live.compiled
    # Its class is given, and cannot be made.
    told = pytest.warns(UserWarning, match="saved without a config")
    with told if name == "subclassed" else nullcontext():
        back = hozon.load_model(written[name].path, custom_objects=CLASSES, compile=compiled)
    assert type(back).__name__ == type(live).__name__
    if name not in WITHOUT_CONFIG:
        assert type(back) is type(live)
        # As JSON: Keras too reads tuples as lists.
        assert json.dumps(back.get_config()) == json.dumps(live.get_config())
    stored = {w.path: np.asarray(w) for w in live.weights}
    assert len(back.weights) == len(stored)
    for new, old in zip(back.weights, live.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    if name == "convolutions":  # on a CPU a loaded one has forms of its own, up to rounding
        again = back.predict(written[name].case.x, verbose=0)
        np.testing.assert_allclose(again, written[name].outputs, rtol=1e-4, atol=1e-6)
        hozon.fast_on_cpu(back, False)
    again = back.predict(written[name].case.x, verbose=0)
    keras.tree.map_structure(np.testing.assert_array_equal, again, written[name].outputs)
    back.load_report.assert_consumed()
    assert back.load_report.lost == []


@pytest.mark.parametrize("name", [n for n in zoo.MAKERS if n not in WITHOUT_CONFIG])
def test_training_goes_on(written: dict[str, Written], name: str) -> None:
    case = written[name].case
    if case.y is None:
        pytest.skip("the model is not compiled")
    back = hozon.load_model(written[name].path, custom_objects=CLASSES)
    copy = hozon.load_model(written[name].path, custom_objects=CLASSES)
    stored = case.model.optimizer.variables
    for new, old in zip(back.optimizer.variables, stored, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    for model in (back, copy):
        model.fit(case.x, case.y, verbose=0, shuffle=False)
    for one, other in zip(back.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    moved = zip(back.trainable_weights, case.model.trainable_weights, strict=True)
    assert any(np.any(np.asarray(a) != np.asarray(b)) for a, b in moved)


def test_without_the_class_the_saved_functions_run(written: dict[str, Written]) -> None:
    for name in ("custom_layer", "subclassed", "autoencoder"):
        back = hozon.load_model(written[name].path)
        again = back.predict(written[name].case.x, verbose=0)
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            again,
            written[name].outputs,
        )


def test_equal_models_give_equal_bytes(written: dict[str, Written], tmp_path) -> None:
    for name in ("one", "two"):
        hozon.save_model(written["sequential"].case.model, tmp_path / name)
    files = sorted(p for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) == 5
    for file in files:
        other = tmp_path / "two" / file.relative_to(tmp_path / "one")
        assert file.read_bytes() == other.read_bytes(), file.name
