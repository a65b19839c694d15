"""Folders of `keras.callbacks.OrbaxCheckpoint`: which step is meant, and what is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

import hozon
from hozon.errors import ForeignFileError, FormatError, UnsafeError, UnsupportedError

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = X[:, :1]
TMP = ".orbax-checkpoint-tmp"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs of a Sequential; Keras calls its variables otherwise when it is built again."""
    folder = tmp_path_factory.mktemp("run") / "steps"
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    callback = keras.callbacks.OrbaxCheckpoint(folder, max_to_keep=None)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback])
    return folder


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "steps")


def steps_of(path: Path) -> int:
    return int(hozon.load_model(path).optimizer.iterations)


def test_the_latest_step_is_meant_or_the_one_that_is_given(run: Path) -> None:
    assert sorted(os.listdir(run)) == ["0", "1", "2"]
    assert [steps_of(run / str(n)) for n in range(3)] == [1, 2, 3]
    assert steps_of(run) == 3
    assert hozon.inspect(run).path == str(run / "2")


def test_steps_are_numbers(run: Path, tmp_path: Path) -> None:
    for old, new in (("0", "9"), ("1", "10"), ("2", "2")):
        shutil.copytree(run / old, tmp_path / "run" / new)
    assert steps_of(tmp_path / "run") == 2


def test_a_step_that_is_being_written_is_passed_over(copied: Path) -> None:
    shutil.copytree(copied / "2", copied / f"3{TMP}")
    (copied / "2" / "commit_success.txt").unlink()
    assert steps_of(copied) == 2


@pytest.mark.parametrize("name", [f"0{TMP}", "0"])
def test_a_folder_without_a_finished_step(run: Path, tmp_path: Path, name: str) -> None:
    step = shutil.copytree(run / "2", tmp_path / "run" / name)
    (step / "commit_success.txt").unlink()
    for path in (tmp_path / "run", step):
        for door in (hozon.load_model, hozon.inspect, hozon.tensors, hozon.verify):
            with pytest.raises(FormatError, match="was being written when its writer stopped"):
                door(path)


def test_steps_of_an_orbax_that_has_no_markers(copied: Path) -> None:
    for marker in copied.rglob("commit_success.txt"):
        marker.unlink()
    assert steps_of(copied) == 3


def test_what_another_library_wrote_is_named(tmp_path: Path) -> None:
    tree = {"params": {"dense": np.ones(3, "float32")}}
    ocp.save_checkpointables(tmp_path / "flax", {"pytree": tree})
    with pytest.raises(UnsupportedError, match="Keras did not write: it holds params"):
        hozon.inspect(tmp_path / "flax")
    ocp.save_checkpointables(tmp_path / "own", {"state": tree})
    with pytest.raises(ForeignFileError, match="Orbax checkpoint that Keras did not write"):
        hozon.inspect(tmp_path / "own")


def test_a_link_out_of_the_checkpoint_is_not_followed(copied: Path, tmp_path: Path) -> None:
    data = next((copied / "2" / "pytree" / "ocdbt.process_0" / "d").iterdir())
    shutil.move(data, tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeError, match="is a link out of its checkpoint"):
        hozon.load_model(copied)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("pytree/_METADATA", "{}", "there is no tree"),
        ("pytree/_METADATA", "[", "no JSON"),
        ("pytree/_METADATA", '{"tree_metadata": {"x": {"key_metadata": []}}}', "not described"),
        ("model_config/_strings.json", "{}", "text 'config' is missing"),
        ("model_config/_strings.json", '{"config": "["}', "no JSON"),
        ("model_config/_METADATA", None, "has no _METADATA"),
        ("pytree/manifest.ocdbt", None, "cannot be read"),
        ("pytree/manifest.ocdbt", "junk", "cannot be read"),
    ],
)
def test_damage_is_named(copied: Path, file: str, text: str | None, said: str) -> None:
    damaged = copied / "2" / file
    damaged.unlink() if text is None else damaged.write_text(text)
    for door in (hozon.load_model, hozon.inspect):
        with pytest.raises(FormatError, match=said):
            door(copied)
    with pytest.raises(FormatError, match=said):
        hozon.verify(copied).assert_ok()


def test_a_leaf_that_the_store_lacks(copied: Path) -> None:
    listed = copied / "2" / "pytree" / "_METADATA"
    document = json.loads(listed.read_text())
    tree = document["tree_metadata"]
    name = next(name for name in tree if "kernel" in name)
    tree["('trainable_variables', 'more')"] = {
        **tree[name],
        "key_metadata": [{"key": "trainable_variables"}, {"key": "more"}],
    }
    listed.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=r"'trainable_variables.more' cannot be read"):
        hozon.tensors(copied)


WITHOUT = """
import sys
sys.modules["tensorstore"] = None
import hozon
for door in (hozon.inspect, hozon.load_model, hozon.verify):
    try:
        print(door(sys.argv[1]).unchecked)
    except hozon.UnsupportedError as error:
        print(error.instead)
"""


def test_the_extra_is_named_where_it_is_missing(run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(run)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("pip install 'hozon[orbax]'") >= 3
