"""A checksum that a file holds of itself: found, compared, and passed over by other readers."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from hozon.errors import FormatError
from hozon.formats.archive import open_archive, write_archive
from hozon.formats.hdf5.writer import write_hdf5
from hozon.formats.safetensors import write_safetensors
from hozon.raw.own_checksum import check_own, with_own
from hozon.raw.sources import MemorySource, map_file
from hozon.stored.lazy import lazy_array

VALUES = np.arange(6, dtype="float32")


def hdf5(path: Path) -> None:
    with write_hdf5(str(path)) as root:
        root.tensor("a/b", VALUES)
        root.attribute("config", "{}")


def archive(path: Path) -> None:
    write_archive(str(path), [("config.json", b"{}"), ("raw", lambda file: file.write(b"1234"))])


def safetensors(path: Path) -> None:
    write_safetensors(str(path), {"a": lazy_array("a", VALUES)}, {"format": "keras"})


def document(path: Path) -> None:
    path.write_bytes(with_own(json.dumps({"a": [1, 2]}).encode()))


WRITERS = [hdf5, archive, safetensors, document]


@pytest.mark.parametrize("write", WRITERS)
def test_every_bit_counts(write: object, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)  # type: ignore[operator]
    content = bytearray(path.read_bytes())
    assert check_own(MemorySource("file", bytes(content)))
    unseen = []
    for place in range(len(content)):
        content[place] ^= 4
        with suppress(FormatError):
            if not check_own(MemorySource("file", bytes(content))):
                unseen.append(place)
        content[place] ^= 4
    # Only those that say that there is a checksum, or the length of an archive's comment.
    assert len(unseen) <= 40


def test_other_readers_pass_it_over(tmp_path: Path) -> None:
    hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a/b"], VALUES)
    archive(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as held:
        assert held.testzip() is None
        assert held.read("raw") == b"1234"
    document(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_bytes())["a"] == [1, 2]
    assert json.loads(with_own(b"{}")).keys() == {"hozon_crc32c"}


def test_a_changed_file_holds_none(tmp_path: Path) -> None:
    """Who changes a file leaves no checksum of what it was behind."""
    hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["a/b"][0] = 5.0
    assert not check_own(map_file(tmp_path / "a.h5"))
    archive(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as held:
        held.writestr("more", b"5")
    assert open_archive(str(tmp_path / "a.zip")).read("more") == b"5"
    document(tmp_path / "a.json")
    changed = json.loads((tmp_path / "a.json").read_bytes()) | {"a": [3]}
    for text in (json.dumps(changed), json.dumps(changed, indent=4)):
        assert not check_own(MemorySource("a.json", text.encode()))
    compact = json.dumps(changed, separators=(",", ":"))
    assert not check_own(MemorySource("a.json", compact.encode()))
