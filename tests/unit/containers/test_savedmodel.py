"""Reading SavedModel directories: which meta graph, which stored value belongs to which object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hozon.containers.checkpoint import read as checkpoint
from hozon.containers.savedmodel.read import SavedModel, detect
from hozon.errors import FormatError, UnsafeError
from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.object_graph import Variable
from tests.oracle.client import Oracle


def write(folder: Path, *tags: list[str]) -> Path:
    folder.mkdir()
    message = pb.SavedModel(
        saved_model_schema_version=1,
        meta_graphs=[{"meta_info_def": {"tags": t, "tensorflow_version": "2.1"}} for t in tags],
    )
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder


@pytest.mark.parametrize(
    ("tags", "wanted", "found"),
    [
        ([["serve"]], None, {"serve"}),
        ([["train"]], None, {"train"}),
        ([["serve", "gpu"], ["serve"]], None, {"serve"}),
        ([["train"], ["serve", "tpu"]], None, {"serve", "tpu"}),
        ([["serve"], ["a", "b"]], ["b", "a"], {"a", "b"}),
        ([[]], None, set()),
        ([[], ["serve"]], [], set()),
    ],
)
def test_choice_of_the_meta_graph(
    tmp_path: Path, tags: list[list[str]], wanted: list[str] | None, found: set[str]
) -> None:
    artifact = SavedModel.read(write(tmp_path / "m", *tags), wanted)
    assert set(artifact.meta_graph.tags) == found


def test_tags_that_are_not_there(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", ["serve"], ["a", "b"])
    with pytest.raises(FormatError, match=r"\['a'\]; there are \{serve\}, \{a, b\}") as caught:
        SavedModel.read(folder, "a")
    assert str(folder) in str(caught.value)


def test_folders_that_are_no_saved_models(tmp_path: Path) -> None:
    assert not detect(tmp_path)
    with pytest.raises(FormatError, match=r"holds no saved_model\.pb"):
        SavedModel.read(tmp_path)
    with pytest.raises(FormatError, match="does not exist"):
        SavedModel.read(tmp_path / "nothing")
    with pytest.raises(FormatError, match="no meta graph"):
        SavedModel.read(write(tmp_path / "empty"))


def test_stored_values_are_found_by_their_paths(oracle: Oracle, tmp_path: Path) -> None:
    source = """
m = tf.Module()
m.b = tf.Variable([1., 2.], name="same"); m.a = tf.Variable([3, 4], name="same")
m.nested = [{"c": tf.Variable("text", name="same")}, m.a]
tf.saved_model.save(m, path)
"""
    oracle.python(source, path=str(tmp_path / "m"))
    artifact = SavedModel.read(tmp_path / "m")
    graph = artifact.meta_graph.object_graph
    assert graph is not None
    found = {}
    for index, node in enumerate(graph.nodes):
        if isinstance(node.payload, Variable):
            stored = artifact.variable_value(index, node.payload)
            assert stored is not None
            found[stored.name.split("/.")[0]] = np.asarray(stored.read()).tolist()
    assert found == {"a": [3, 4], "b": [1.0, 2.0], "nested/0/c": b"text"}


def test_checkpoints_by_prefix_file_and_folder(oracle: Oracle, tmp_path: Path) -> None:
    source = """
c = tf.train.Checkpoint(v=tf.Variable(1.))
c.save(path + "/ckpt"); c.v.assign(2.); c.save(path + "/ckpt")
"""
    oracle.python(source, path=str(tmp_path))
    for path, value in (
        ("", 2.0),
        ("ckpt-1", 1.0),
        ("ckpt-1.index", 1.0),
        ("ckpt-2.data-00000-of-00001", 2.0),
    ):
        bundle = checkpoint.read(tmp_path / path)
        assert bundle["v/.ATTRIBUTES/VARIABLE_VALUE"].read() == value
    assert not checkpoint.detect(tmp_path / "ckpt-3")
    with pytest.raises(FormatError, match=r"ckpt-3\.index"):
        checkpoint.read(tmp_path / "ckpt-3")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "../outside/ckpt-1"\n')
    with pytest.raises(UnsafeError, match="outside its folder"):
        checkpoint.read(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/somewhere/else/ckpt-1"\n')
    assert checkpoint.read(tmp_path)["v/.ATTRIBUTES/VARIABLE_VALUE"].read() == 1.0
