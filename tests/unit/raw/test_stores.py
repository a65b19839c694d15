from __future__ import annotations

import os
from pathlib import Path

import fsspec
import numpy as np
import pytest

from hozon.errors import FormatError
from hozon.raw import stores
from hozon.raw.sources import MemorySource, map_file


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that holds `a.bin` with the bytes 0 to 99, here or in fsspec's memory."""
    (tmp_path / "a.bin").write_bytes(bytes(range(100)))
    (tmp_path / "empty").write_bytes(b"")
    if request.param == "local":
        return str(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.pipe("/places/a.bin", bytes(range(100)))
    memory.pipe("/places/empty", b"")
    return "memory://places"


def test_what_is_there(folder: str) -> None:
    path = stores.join(folder, "a.bin")
    assert (stores.exists(path), stores.is_directory(path), stores.size(path)) == (True, False, 100)
    assert stores.is_directory(folder)
    assert stores.names(folder) == ["a.bin", "empty"]
    assert stores.names(path) == []
    assert not stores.exists(stores.join(folder, "b.bin"))


def test_parts_of_a_file(folder: str) -> None:
    source = stores.open_source(stores.join(folder, "a.bin"))
    assert source.size == 100
    part = source.view(90, 10)
    assert (part.dtype, part.tolist()) == (np.uint8, list(range(90, 100)))
    assert not part.flags.writeable
    assert source.view(50, 0).tolist() == []
    assert stores.open_source(stores.join(folder, "empty")).size == 0


def test_a_missing_file(folder: str) -> None:
    with pytest.raises(FileNotFoundError):
        stores.open_source(stores.join(folder, "b.bin"))
    with pytest.raises(FileNotFoundError):
        stores.size(stores.join(folder, "b.bin"))


def test_paths_and_urls(tmp_path: Path) -> None:
    assert stores.place(tmp_path) == str(tmp_path)
    assert stores.place(f"file://{tmp_path}") == str(tmp_path)
    assert [stores.is_remote(p) for p in ("gs://a/b", "a/b", "C://a", "/a", "memory://x")] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_a_mapping_outlives_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abcd")
    view = map_file(path).view(1, 2)
    path.unlink()
    assert view.tobytes() == b"bc"
    assert not view.flags.owndata


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="regular file"):
        map_file(tmp_path / "pipe")
    with pytest.raises(FormatError, match="regular file"):
        map_file(tmp_path)


def test_bytes_in_memory() -> None:
    source = MemorySource("name", b"abc")
    assert (source.name, source.size, source.view(1, 2).tobytes()) == ("name", 3, b"bc")
