"""Files that are something else: the same diagnosis at every door that reads."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import hozon
from hozon.cli import main
from hozon.errors import ForeignFileError, FormatError
from tests.contract.doors import READ, model

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
#: The first bytes of an ONNX model: ir_version 8, producer "pytorch".
ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:" + bytes(range(128, 200))


def zipped(members: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("m/saved_model.pb"))
    return made.getvalue()


def arrays() -> bytes:
    made = io.BytesIO()
    np.savez(made, w=np.ones(3))
    return made.getvalue()


#: Name of a file, what is in it, and what every door says of it.
FILES: dict[str, tuple[bytes, str]] = {
    "m.h5": (LFS, "Git LFS pointer"),
    "m.keras": (LFS, "git lfs pull"),
    "page.safetensors": (b"<!DOCTYPE html><html>", "HTML or XML text, .* download the file"),
    "empty.h5": (b"", "an empty file"),
    "zeros.weights.h5": (bytes(4096), "zeros"),
    "photos.zip": (zipped({"a.txt": b"a"}), "a zip archive, unpack it"),
    "m.pth": (zipped({"m/data.pkl": b"\x80\x02", "m/version": b"3"}), "a PyTorch file"),
    "old.pt": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a Python pickle, which runs code"),
    "m.onnx": (ONNX, "an ONNX model"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "a LiteRT"),
    "frozen.pb": (b"\x0a\x20" + bytes(range(128, 200)), "a TensorFlow graph"),
    "m.npz": (arrays(), "a NumPy archive"),
    "m.npy": (b"\x93NUMPY\x01\x00", "a NumPy file"),
    "m.tar": (tarred(), "a tar archive, unpack it"),
    "m.tar.gz": (b"\x1f\x8b\x08\0" + bytes(range(128, 200)), "a gzip file, unpack it"),
    "notes.txt": (b"no model here\n", "it is text"),
    "data.json": (b"[1, 2]", "JSON text"),
    "noise": (bytes(range(128, 250)), "unknown binary data"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (content, _) in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_foreign_files(name: str, folder: Path) -> None:
    path, (_, text) = folder / name, FILES[name]
    told = set()
    for door, read in READ.items():
        with pytest.raises(ForeignFileError, match=text) as caught:
            read(path)
        assert str(path) in str(caught.value), door
        assert caught.value.instead, door
        told.add(str(caught.value).partition(": ")[2].partition(" (")[0])
    assert len(told) == 1  # the words of the diagnosis
    assert sorted(os.listdir(folder)) == sorted(FILES)


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda at: at.mkdir(), "an empty folder"),
    "parent": (
        lambda at: (at.mkdir(), hozon.save_model(model(), at / "1")),
        "there is a SavedModel in .*1",
    ),
    "files": (
        lambda at: (at.mkdir(), hozon.save_model(model(), at / "best.keras")),
        "it holds best.keras, of which one is to be given",
    ),
    "photos": (lambda at: (at.mkdir(), (at / "a.jpg").write_bytes(b"")), "it is a folder that"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_foreign_folders(name: str, tmp_path: Path) -> None:
    make, text = FOLDERS[name]
    make(tmp_path / name)
    for door, read in READ.items():
        with pytest.raises(ForeignFileError, match=text) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value), door


def test_the_graph_inside_of_a_saved_model(tmp_path: Path) -> None:
    hozon.save_model(model(), tmp_path / "m")
    for read in READ.values():
        with pytest.raises(
            ForeignFileError, match=f"give the directory that holds it, {tmp_path}/m"
        ):
            read(tmp_path / "m" / "saved_model.pb")


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in READ.values():
        with pytest.raises(FormatError, match="regular file"):
            read(tmp_path / "pipe")


@pytest.mark.parametrize("command", ["inspect", "predict", "convert", "verify", "diff", "report"])
def test_the_commands_say_it_too(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [str(folder / "out.keras")] if command in ("convert", "diff") else []
    assert main([command, str(folder / "m.h5"), *more]) == 1
    assert "git lfs pull" in capsys.readouterr().err
