"""SavedModels in archives are read in place, by every door."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.raw.stores import archives

X = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a SavedModel, ``m``, and archives of it."""
    at = tmp_path_factory.mktemp("archives")
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")])
    model.compile("adam", "mse")
    model.fit(X, X[:, :3], verbose=0)
    hozon.save_model(model, at / "m")
    files = [(p, p.relative_to(at / "m").as_posix()) for p in (at / "m").rglob("*") if p.is_file()]
    for name, mode, top in (
        ("hub.tar.gz", "w:gz", "./"),
        ("deep.tgz", "w:gz", "models/m/"),
    ):
        with tarfile.open(at / name, mode) as archive:
            archive.add(at / "m" / "assets", f"{top}assets")
            for path, inner in files:
                archive.add(path, f"{top}{inner}")
    for name, kind, top in (
        ("stored.zip", zipfile.ZIP_STORED, ""),
        ("deflated.zip", zipfile.ZIP_DEFLATED, "m/"),
    ):
        with zipfile.ZipFile(at / name, "w", kind) as archive:
            for path, inner in files:
                archive.write(path, f"{top}{inner}")
            archive.writestr(f"{top}README.md", "a model")
    return at


def test_a_stream_is_unpacked_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, passes, read = tmp_path / "m.tar.gz", [], archives._tar
    shutil.copy(folder / "hub.tar.gz", copy)
    monkeypatch.setattr(archives, "_tar", lambda file: passes.append(file) or read(file))
    hozon.inspect(copy)
    hozon.load_model(copy)
    assert passes == [str(copy)]


NAMES = ("hub.tar.gz", "deep.tgz", "stored.zip", "deflated.zip")


@pytest.mark.parametrize("name", NAMES)
def test_every_door_reads_it(folder: Path, name: str, tmp_path: Path) -> None:
    expected = hozon.load_model(folder / "m")
    model = hozon.load_model(folder / name)
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected.predict(X, verbose=0))
    for new, old in zip(model.optimizer.variables, expected.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    graph = hozon.saved_model.load(folder / name)
    assert graph.signatures.keys() == hozon.saved_model.load(folder / "m").signatures.keys()
    assert hozon.inspect(folder / name).variables == hozon.inspect(folder / "m").variables
    assert str(folder / name) in hozon.inspect(folder / name).path
    stored = hozon.tensors(folder / name)
    assert stored.keys() == hozon.tensors(folder / "m").keys()
    assert hozon.verify(folder / name).ok
    hozon.convert(folder / name, tmp_path / "m.h5")
    weights = hozon.load_model(tmp_path / "m.h5").get_weights()
    for one, other in zip(weights, expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_replaced_archive_is_read_anew(folder: Path, tmp_path: Path) -> None:
    at = tmp_path / "m.zip"
    at.write_bytes((folder / "stored.zip").read_bytes())
    before = hozon.load_model(at).get_weights()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")])
    hozon.save_model(model, tmp_path / "other")
    with zipfile.ZipFile(tmp_path / "new", "w") as archive:
        for path in (tmp_path / "other").rglob("*"):
            archive.write(path, path.relative_to(tmp_path / "other").as_posix())
    os.replace(tmp_path / "new", at)
    after = hozon.load_model(at, compile=False).get_weights()
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(after[0], model.get_weights()[0])


def tar_of(*members: tuple[str, Any]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (tar_of(("saved_model.pb", b""), ("../x", b"")), hozon.UnsafeError, "outside"),
        (tar_of(("saved_model.pb", b""), ("/etc/x", b"")), hozon.UnsafeError, "outside"),
        (tar_of(("saved_model.pb", "/etc/passwd")), hozon.UnsafeError, "link"),
        (tar_of(("a/saved_model.pb", b""), ("b/saved_model.pb", b"")), hozon.FormatError, "2 mod"),
        (tar_of(("saved_model.pb", b"x" * 300))[:-40], hozon.FormatError, "damaged"),
        (
            tar_of(("saved_model.pb", b""), ("variables/zeros", bytes(80 << 20))),
            hozon.FormatError,
            "justifies",
        ),
        (tar_of(("thesis.txt", b"of value")), hozon.FormatError, "gzip"),
    ],
    ids=["above", "absolute", "link", "two models", "cut", "bomb", "no model"],
)
def test_what_is_refused(data: bytes, error: type[Exception], told: str, tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(data)
    for door in (hozon.load_model, hozon.inspect, hozon.saved_model.load):
        with pytest.raises(error, match=told):
            door(tmp_path / "m.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["m.tar.gz"]
