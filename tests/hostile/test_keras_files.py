"""Attacks on every form of Keras files at every door: refused by our errors, nothing changed."""

from __future__ import annotations

import json
import shutil
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import HozonError, MismatchError
from tests.hostile.keras_attacks import (
    BROKEN,
    CONFIGS,
    LAYERS,
    MISFITS,
    SECRET,
    VICTIM,
    lambda_forms,
    rewrite,
)

#: No attack may take longer or more memory at one door; the sound files take a few KB.
SECONDS, BYTES = 10.0, 64 << 20
layers = keras.layers


def small(units: int = 4) -> Any:
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(units, name="d"), layers.Dense(1, name="e")], name="small"
    )
    model.compile("adam", "mse")
    return model


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    model = small()
    model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    for name in ("m.h5", "m.keras"):
        hozon.save_model(model, folder / name)
    for name in ("w.h5", "w.weights.h5", "w.safetensors", "w.weights.json"):
        hozon.save_weights(model, folder / name)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "files"))


@pytest.fixture(scope="module")
def model() -> Any:
    return small()


@pytest.fixture(autouse=True)
def unchanged(model: Any, tmp_path: Path) -> Iterator[None]:
    before = model.get_weights()
    yield
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not (tmp_path / "files" / VICTIM).exists()
    assert not (tmp_path / "made.h5").exists()


def target_of(path: Path, folder: Path) -> Path:
    """What the file would be converted into: of the same kind, so that nothing else refuses."""
    suffix = ".h5" if path.name in ("m.h5", "m.keras", "w.h5") else ".weights.h5"
    return folder.parent / f"made{suffix}"


def doors(path: Path, folder: Path, model: Any) -> dict[str, Callable[[], Any]]:
    return {
        "load_model": lambda: hozon.load_model(path),
        "load_weights": lambda: hozon.load_weights(model, path),
        "inspect": lambda: hozon.inspect(path),
        "convert": lambda: hozon.convert(path, target_of(path, folder)),
        "verify": lambda: wholly_verified(path),
        "diff": lambda: hozon.diff(path, path),
        "report": lambda: hozon.report(path),
    }


def wholly_verified(path: Path) -> None:
    report = hozon.verify(path).assert_ok()
    if report.unchecked:
        raise hozon.UnsupportedError(report.unchecked[0])


def looks(path: Path) -> dict[str, Callable[[], Any]]:
    """The doors that only look, of which some need no part that an attack is in."""
    return {
        "tensors": lambda: [np.asarray(t) for t in hozon.tensors(path).values()],
        "verify": lambda: hozon.verify(path),
        "diff": lambda: hozon.diff(path, path),
        "report": lambda: hozon.report(path),
    }


def bounded(call: Callable[[], Any]) -> Any:
    """The outcome of a call that may cost neither time nor memory."""
    tracemalloc.start()
    started = time.process_time()
    try:
        return call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert time.process_time() - started < SECONDS
        assert peak < BYTES


def refused(call: Callable[[], Any], door: str) -> HozonError:
    """The error of a call: one of ours, which says nothing of what other files hold."""
    error = None
    try:
        bounded(call)
    except HozonError as raised:
        error = raised
    assert error is not None, f"{door} took it"
    assert SECRET.decode() not in str(error)
    return error


def test_the_sound_files_pass(folder: Path, model: Any) -> None:
    for name in ("m.h5", "m.keras", "w.h5", "w.weights.h5", "w.safetensors", "w.weights.json"):
        path = folder / name
        hozon.load_weights(small(), path).assert_existing_objects_matched()
        assert len(hozon.inspect(path).variables) >= 4
        hozon.convert(path, folder / target_of(path, folder).name)
    for name in ("m.h5", "m.keras"):
        assert hozon.load_model(folder / name).count_params() == model.count_params()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name: str, folder: Path, model: Any) -> None:
    path = BROKEN[name](folder)
    for door, call in doors(path, folder, model).items():
        refused(call, door)
    with suppress(HozonError):
        bounded(looks(path)["tensors"])
    assert not target_of(path, folder).exists()


@pytest.mark.parametrize("name", CONFIGS)
def test_configs(name: str, folder: Path) -> None:
    path = CONFIGS[name](folder)
    every = doors(path, folder, small())
    refused(every["load_model"], "load_model")
    refused(every["convert"], "convert")
    harmless = {door: every[door] for door in ("inspect", "load_weights")} | looks(path)
    for call in harmless.values():
        try:
            found = bounded(call)
        except HozonError:
            continue
        assert SECRET.decode() not in str(found)


@pytest.mark.filterwarnings("ignore:The optimizer")
@pytest.mark.parametrize("name", MISFITS)
def test_misfits(name: str, folder: Path, model: Any) -> None:
    path = MISFITS[name](folder)
    every = doors(path, folder, model)
    for call in (every["inspect"], *looks(path).values()):
        bounded(call)
    if name.endswith("optimizer"):
        model.optimizer.build(model.trainable_variables)
    whole = path.suffix == ".keras" or path.name == "m.h5"
    if not (whole and name.endswith("optimizer")):  # weights alone are asked of a whole model
        assert isinstance(refused(every["load_weights"], "load_weights"), MismatchError)
    if whole:
        for door in ("load_model", "convert"):
            assert isinstance(refused(every[door], door), MismatchError)


@pytest.mark.parametrize("layer", LAYERS)
def test_configs_alone(layer: str, folder: Path) -> None:
    (folder / "secret").write_bytes(SECRET)
    put = lambda_forms(folder)[layer]
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 2]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [first, put]}}
    refused(lambda: hozon.model_from_json(json.dumps(config)), "model_from_json")
    refused(lambda: hozon.deserialize(put), "deserialize")


@pytest.mark.parametrize("name", ["../../x", "/x", "..", "a/../../b", "C:\\x", "a\0b"])
def test_names_of_layers_are_no_paths(name: str, folder: Path) -> None:
    """CVE-2026-12479: a layer's name that led out of the folder in which it was unpacked."""
    with zipfile.ZipFile(folder / "m.keras") as archive:
        config = json.loads(archive.read("config.json"))
    for layer in config["config"]["layers"]:
        if layer["config"]["name"] == "d":
            layer["config"]["name"] = name
    rewrite(folder / "m.keras", {"config.json": json.dumps(config).encode()})
    before = {path for path in folder.parent.rglob("*") if folder not in path.parents}
    for target in ("m", "n.h5", "n.keras", "n.weights.h5", "n.safetensors", "n.json"):
        made = folder / "made" / target
        made.parent.mkdir(exist_ok=True)
        with suppress(HozonError):
            hozon.convert(folder / "m.keras", made)
            if target in ("m", "n.h5", "n.keras"):
                assert hozon.load_model(made).layers[0].name == name
    assert {path for path in folder.parent.rglob("*") if folder not in path.parents} == before
    assert not Path("/x").exists()
