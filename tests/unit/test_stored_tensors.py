"""`hozon.tensors` on files that others wrote: compressed and text data sets, shards, scalars."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import hozon
from hozon.formats.bundle import write_bundle

X = np.arange(60.0, dtype="float32").reshape(5, 4, 3)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    tensors = {
        "x": X,
        "s": np.float32(3),
        "t": np.array([b"a", b"bc"], object),
        "u": np.array(b"text", object),
        "e": np.zeros((0, 4)),
    }
    write_bundle(tmp_path / "c", tensors)
    return tmp_path / "c"


def test_kinds_of_tensors(checkpoint: Path) -> None:
    held = hozon.tensors(checkpoint)
    assert list(held) == ["e", "s", "t", "u", "x"]
    assert held["s"][()] == 3
    assert held["s"][...].shape == ()
    assert held["t"].dtype == object
    assert held["t"][1] == b"bc"
    assert held["u"][...].item() == held["u"][()].item() == b"text"
    assert held["e"][1:3].shape == (0, 4)
    assert [row.shape for row in held["x"]] == [(4, 3)] * 5
    assert held["x"].dtype == np.float32
    assert np.asarray(held["x"], "float64").dtype == np.float64
    with pytest.raises(TypeError, match="scalar"):
        len(held["s"])
    with pytest.raises(KeyError, match="did you mean 'x'"):
        held["xx"]
    assert "5 tensors" in repr(held)


@pytest.mark.parametrize(
    "index",
    [
        np.s_[1],
        np.s_[-2, 1],
        np.s_[1, 2, 0],
        np.s_[1:3, 2],
        np.s_[4:0:-2],
        np.s_[::2, None, ..., 1:],
        np.s_[..., -1],
        np.s_[1:100],
        np.s_[3:2],
    ],
)
@pytest.mark.parametrize("compressed", [None, "gzip", "lzf"])
def test_parts_are_those_of_numpy(index: object, compressed: str | None, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"d"]
        group = file.create_group("d")
        group.attrs["weight_names"] = [b"d/x:0"]
        chunks = (2, 2, 3) if compressed else None
        group.create_dataset("d/x:0", data=X, compression=compressed, chunks=chunks)
    found = hozon.tensors(tmp_path / "w.h5")["d/x:0"][index]
    np.testing.assert_array_equal(found, X[index])  # type: ignore[index]


def test_a_damaged_archive_is_found_when_a_tensor_is_read_whole(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, use_bias=False)])
    hozon.save_model(model, tmp_path / "m.keras")
    data = bytearray((tmp_path / "m.keras").read_bytes())
    values = np.asarray(model.weights[0]).tobytes()
    data[data.index(values[:64]) + 9] ^= 1
    (tmp_path / "m.keras").write_bytes(data)
    (tensor,) = hozon.tensors(tmp_path / "m.keras").values()
    assert tensor[3:5].shape == (2, 64)
    with pytest.raises(hozon.FormatError, match="checksum differs"):
        np.asarray(tensor)
