"""Trees of arrays by Orbax, written by Orbax and damaged by hand."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tensorstore
from orbax.checkpoint import v1 as ocp

import hozon.formats.orbax
from hozon.errors import FormatError
from hozon.formats.orbax import Tree

RNG = np.random.default_rng(2)
TREE = {
    "a": {"float": RNG.normal(size=(3, 5)).astype("float32"), "scalar": np.array(2.5, "float32")},
    "half": RNG.normal(size=7).astype(ml_dtypes.bfloat16),
    "dotted.name": np.arange(6, dtype="int8").reshape(2, 3),
    "flag": np.array([True, False]),
    "number": 3,
    "text": "words",
    "none": {},
    "wide": np.zeros((64, 1024), "float32"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tree") / "tree"
    ocp.save_checkpointables(path, {"pytree": TREE})
    return path / "pytree"


def test_arrays_come_back_to_the_bit(folder: Path) -> None:
    arrays = Tree(str(folder)).arrays()
    assert set(arrays) == {
        ("a", "float"), ("a", "scalar"), ("half",), ("dotted.name",), ("flag",), ("number",),
        ("wide",),
    }  # fmt: skip
    for keys, tensor in arrays.items():
        wanted = np.asarray(TREE["a"][keys[1]] if keys[0] == "a" else TREE[keys[0]])
        found = tensor.read()
        assert (tensor.shape, found.shape) == (wanted.shape, wanted.shape)
        assert found.dtype == wanted.dtype
        assert not found.flags.writeable
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(
        arrays["a", "float"].read_slice((slice(1, 3), 2)), TREE["a"]["float"][1:3, 2]
    )
    assert Tree(str(folder)).texts() == {"text": "words"}


def test_a_lost_chunk_is_no_zeros(tmp_path: Path) -> None:
    ocp.save_checkpointables(tmp_path / "t", {"pytree": {"w": np.ones(4, "float32")}})
    store = tensorstore.KvStore.open(
        {"driver": "ocdbt", "base": f"file://{tmp_path / 't' / 'pytree'}/"}
    ).result()
    store.delete_range(tensorstore.KvStore.KeyRange(b"w/c", b"w/d")).result()
    (tensor,) = Tree(str(tmp_path / "t" / "pytree")).arrays().values()
    with pytest.raises(FormatError, match="missing"):
        tensor.read()


def test_more_than_the_files_can_hold_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hozon.formats.orbax, "FLOOR", -(1 << 40))
    with pytest.raises(FormatError, match="too large for the files"):
        Tree(str(folder)).arrays()
