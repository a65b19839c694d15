"""Arguments of saving and loading that all forms share: blocking, progress, safe_mode."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import SaveError, UnsafeError, UnsupportedError
from hozon.forms.background import save_queue

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
WHOLE = ("m", "m.h5", "m.keras")


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(64), keras.layers.Dense(1)])
    made.compile("adam", "mse")
    made.fit(X, X[:, :1], verbose=0)
    return made


@pytest.mark.parametrize("name", WHOLE)
def test_a_save_in_the_background_holds_the_moment_of_its_call(name: str, tmp_path: Path) -> None:
    one = model()
    expected = [np.array(v) for v in [*one.weights, *one.optimizer.variables]]
    reports = [hozon.save_model(one, tmp_path / name, blocking=False)]
    one.fit(X, X[:, :1], epochs=3, verbose=0)
    reports.append(hozon.save_model(one, tmp_path / f"later-{name}", blocking=False))
    for report in reports:
        assert report.wait() is report
        assert report.done
        assert report.nbytes > 0
    again = hozon.load_model(tmp_path / name)
    for have, want in zip([*again.weights, *again.optimizer.variables], expected, strict=True):
        np.testing.assert_array_equal(np.asarray(have), want)
    later = hozon.load_model(tmp_path / f"later-{name}")
    np.testing.assert_array_equal(np.asarray(later.weights[0]), np.asarray(one.weights[0]))


def test_what_can_be_refused_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SaveError):
        hozon.save_model(model(), tmp_path / "taken", format="savedmodel", blocking=False)
    layer = keras.layers.RMSNormalization()
    odd = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(UnsupportedError):
        hozon.save_model(odd, tmp_path / "m.h5", dialect="keras2", blocking=False)


def test_what_fails_in_the_background_is_logged_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    one, gate = model(), threading.Event()
    save_queue().wait()
    save_queue().pool.submit(gate.wait)
    with caplog.at_level(logging.ERROR, "hozon"):
        report = hozon.save_model(one, folder / "m.keras", blocking=False)
        assert not report.done
        folder.rmdir()
        gate.set()
        with pytest.raises(SaveError):
            report.wait()
        hozon.save_model(one, tmp_path / "next.keras", blocking=False).wait()
    assert "was not saved" in caplog.text


@pytest.mark.parametrize("name", WHOLE)
def test_progress_is_told(name: str, tmp_path: Path) -> None:
    for act in (
        lambda watch: hozon.save_model(model(), tmp_path / name, progress=watch),
        lambda watch: hozon.load_model(tmp_path / name, progress=watch),
        lambda watch: hozon.convert(tmp_path / name, tmp_path / f"{name}.2.keras", progress=watch),
    ):
        told: list[tuple[int, int]] = []
        act(lambda done, total, told=told: told.append((done, total)))
        done = [one for one, _ in told]
        assert len(told) > 3
        assert done == sorted(done)
        assert len({total for _, total in told}) == 1
        assert told[-1][0] == told[-1][1] > 0


def test_a_bar_is_only_for_terminals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hozon.save_model(model(), tmp_path / "m.keras", progress=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    hozon.load_model(tmp_path / "m.keras", progress=True)


def test_safe_mode_allows_nothing_more(tmp_path: Path) -> None:
    one = model()
    hozon.save_model(one, tmp_path / "m.keras")
    again = hozon.load_model(tmp_path / "m.keras", safe_mode=False)
    np.testing.assert_array_equal(again.predict(X, verbose=0), one.predict(X, verbose=0))
    odd = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    odd.save(tmp_path / "l.keras")
    for safe in (True, False):
        with pytest.raises(UnsafeError, match="never run"):
            hozon.load_model(tmp_path / "l.keras", safe_mode=safe)


def test_only_models_are_saved(tmp_path: Path) -> None:
    thing: Any = "model"
    with pytest.raises(TypeError, match="model='model'"):
        hozon.save_model(thing, tmp_path / "m")
