"""What is read from a disk is read from a URL too, at every door; file systems are fsspec's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import keras
import numpy as np
import pytest

import hozon
from hozon.cli import main
from hozon.prediction import predict

X = np.ones((2, 4), np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="d")])


@pytest.fixture(scope="module")
def bucket(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder in fsspec's memory with a SavedModel, files and managed checkpoints."""
    folder = tmp_path_factory.mktemp("bucket")
    hozon.save_model(model, folder / "m")
    hozon.save_model(model, folder / "m.keras")
    hozon.save_weights(model, folder / "w.weights.json")
    manager = hozon.train.CheckpointManager(
        hozon.train.Checkpoint(model=model), folder / "run", max_to_keep=2
    )
    for _ in range(3):
        manager.save()
    memory = fsspec.filesystem("memory")
    for file in folder.rglob("*"):
        if file.is_file():
            memory.pipe(f"/bucket/{file.relative_to(folder)}", file.read_bytes())
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def kernel(model: keras.Model) -> np.ndarray:
    return np.asarray(model.weights[0])


def test_checkpoints_of_a_folder(bucket: str, model: keras.Model) -> None:
    folder = f"{bucket}/run"
    latest = hozon.train.latest_checkpoint(folder)
    assert latest == f"{folder}/ckpt-3"
    state = hozon.train.get_checkpoint_state(folder)
    assert state is not None
    assert state.all_model_checkpoint_paths == (f"{folder}/ckpt-2", f"{folder}/ckpt-3")
    again = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for path in (latest, folder, f"{latest}.index"):
        hozon.train.Checkpoint(model=again).restore(path).assert_existing_objects_matched()
        np.testing.assert_array_equal(kernel(again), kernel(model))
    names = dict(hozon.train.list_variables(folder))
    key = next(name for name, shape in names.items() if shape == [4, 3])
    np.testing.assert_array_equal(hozon.train.load_variable(folder, key), kernel(model))


def test_saved_models_at_graph_level(bucket: str, model: keras.Model) -> None:
    wanted = model.predict(X, verbose=0)
    loaded = hozon.saved_model.load(f"{bucket}/m")
    (found,) = loaded.signatures["serving_default"](x=X).values()
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5)
    (found,) = predict(f"{bucket}/m", {"x": X}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("name", ["m", "m.keras"])
def test_models_and_conversions(name: str, bucket: str, model: keras.Model, tmp_path: Path) -> None:
    loaded = hozon.load_model(f"{bucket}/{name}", compile=False)
    np.testing.assert_array_equal(kernel(loaded), kernel(model))
    hozon.convert(f"{bucket}/{name}", tmp_path / "w.safetensors")
    hozon.load_weights(loaded, tmp_path / "w.safetensors").assert_consumed()


def test_the_commands(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("m", "m.keras", "w.weights.json", "run"):
        assert main(["inspect", f"{bucket}/{name}"]) == 0
        assert f"{bucket}/{name}" in capsys.readouterr().out.replace("\n", "")
    assert main(["convert", f"{bucket}/run", str(tmp_path / "w.h5")]) == 1  # says why
    assert "H5" in capsys.readouterr().err


def test_what_is_asked_of_a_checkpoint_with_a_bar(tmp_path: Path, model: keras.Model) -> None:
    hozon.save_weights(model, tmp_path / "w")
    told: list[tuple[int, int]] = []
    hozon.convert(tmp_path / "w", tmp_path / "c", progress=lambda *at: told.append(at))
    assert told[-1][0] == told[-1][1] > 0


def test_a_file_of_this_machine_by_url(tmp_path: Path, model: keras.Model) -> None:
    hozon.save_model(model, f"file://{tmp_path}/m.keras")
    assert os.listdir(tmp_path) == ["m.keras"]
    assert hozon.inspect(f"file://{tmp_path}/m.keras").variables
