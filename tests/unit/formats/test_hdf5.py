"""HDF5 files as plain records: what is read, what is refused, what is written."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from hozon.errors import FormatError, HozonError, SaveError, UnsafeError, UnsupportedError
from hozon.formats.hdf5.layout import ATTRIBUTE_BYTES
from hozon.formats.hdf5.reader import Group, open_file, open_hdf5
from hozon.formats.hdf5.writer import write_hdf5
from hozon.raw.sources import MemorySource
from hozon.stored.dtypes import BFLOAT16, STRING
from hozon.stored.lazy import lazy_array

Fill = Callable[[Any], None]


def opened(path: Path, fill: Fill) -> Group:
    """A file made by h5py, opened by us."""
    with h5py.File(path / "file.h5", "w") as file:
        fill(file)
    return open_file(path / "file.h5")


def test_attributes_are_plain_values(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["text"] = "naïve"
        file.attrs["bytes"] = np.bytes_(b"fixed")
        file.attrs["count"] = 3
        file.attrs["names"] = [b"a", b"bc"]
        file.attrs["empty"] = []
        file.attrs["nothing"] = h5py.Empty("f")

    root = opened(tmp_path, fill)
    found = {name: root.attribute(name) for name in root.attribute_names()}
    assert found == {
        "text": "naïve",
        "bytes": "fixed",
        "count": 3,
        "names": ["a", "bc"],
        "empty": [],
        "nothing": None,
    }
    assert root.attribute("absent", 7) == 7


def test_names_come_whole_or_split(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["whole"] = [b"x", b"y"]
        file.attrs["split0"], file.attrs["split1"] = [b"a"], [b"b", b"c"]
        file.attrs["number"] = 3

    root = opened(tmp_path, fill)
    assert root.names_attribute("whole") == ["x", "y"]
    assert root.names_attribute("split") == ["a", "b", "c"]
    assert root.names_attribute("absent") is None
    with pytest.raises(FormatError, match="no list of names"):
        root.names_attribute("number")


def test_contiguous_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    value = np.arange(12, dtype=np.float32).reshape(3, 4)
    root = opened(tmp_path, lambda file: file.create_dataset("a/b", data=value))
    tensor = root.tensor("a/b", "name")
    assert (tensor.name, tensor.shape, tensor.dtype.name, tensor.nbytes) == (
        "name",
        (3, 4),
        "float32",
        48,
    )
    array = tensor.read()
    np.testing.assert_array_equal(array, value)
    assert array.base is not None
    assert not array.flags.writeable
    np.testing.assert_array_equal(tensor.read_slice((slice(1, 3), 2)), value[1:3, 2])


@pytest.mark.parametrize(
    "value",
    [
        np.float64(2.5),
        np.zeros((0, 3), np.float32),
        np.array([True, False]),
        np.arange(4, dtype=">i4"),
        np.array([1 + 2j], np.complex64),
        np.arange(3, dtype=np.float16),
    ],
    ids=lambda value: str(value.dtype),
)
def test_values_of_any_type_come_back(tmp_path: Path, value: Any) -> None:
    tensor = opened(tmp_path, lambda file: file.create_dataset("x", data=value)).tensor("x")
    array = tensor.read()
    assert array.dtype == np.asarray(value).dtype.newbyteorder("=")
    assert array.shape == np.shape(value)
    np.testing.assert_array_equal(array, value)


def test_compressed_tensors_come_back(tmp_path: Path) -> None:
    value = np.arange(1000, dtype=np.int32)
    options: dict[str, dict[str, Any]] = {
        "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "lzf": {"compression": "lzf"},
        "chunks": {"chunks": (7,)},
    }

    def fill(file: Any) -> None:
        for name, option in options.items():
            file.create_dataset(name, data=value, **option)

    root = opened(tmp_path, fill)
    for name in options:
        np.testing.assert_array_equal(root.tensor(name).read(), value)


def test_strings_and_opaque_types(tmp_path: Path) -> None:
    half = np.array([1.5, -2.0], ml_dtypes.bfloat16)

    def fill(file: Any) -> None:
        file["words"] = ["a", "bc"]
        file["fixed"] = np.array([b"x", b"yz"])
        file["half"] = half.view("V2")
        file["named"] = half.view("V2")
        file["named"].attrs["dtype"] = "bfloat16"
        file["wrong"] = half.view("V2")
        file["wrong"].attrs["dtype"] = "float32"

    root = opened(tmp_path, fill)
    assert root.tensor("words").dtype is STRING
    assert root.tensor("words").read().tolist() == [b"a", b"bc"]
    assert root.tensor("fixed").read().tolist() == [b"x", b"yz"]
    for name in ("half", "named"):
        assert root.tensor(name).dtype is BFLOAT16
        np.testing.assert_array_equal(root.tensor(name).read(), half)
    with pytest.raises(FormatError, match="unknown type"):
        root.tensor("wrong")


def test_files_in_memory_and_within_others(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["x"] = np.arange(5)
    root = open_hdf5(MemorySource("member of a zip", buffer.getvalue()))
    np.testing.assert_array_equal(root.tensor("x").read(), np.arange(5))
    assert root.file == "member of a zip"


# What is refused


def external(file: Any) -> None:
    file["x"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(file: Any) -> None:
    file["a/y"] = np.arange(3)
    file["x"] = h5py.SoftLink("/a/y")


def raw_storage(file: Any) -> None:
    file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "y", (4,))
    file.create_virtual_dataset("x", layout)


def reference(file: Any) -> None:
    file["y"] = np.arange(3)
    file.create_dataset("x", (1,), h5py.ref_dtype)[0] = file["y"].ref


@pytest.mark.parametrize("fill", [external, soft, raw_storage, virtual, reference])
def test_what_leads_elsewhere_is_refused(tmp_path: Path, fill: Fill) -> None:
    with pytest.raises(UnsafeError):
        opened(tmp_path, fill).tensor("x")


def test_links_on_the_way_are_refused(tmp_path: Path) -> None:
    root = opened(tmp_path, external)
    with pytest.raises(UnsafeError):
        root.tensor("x/root")
    with pytest.raises(UnsafeError):
        root.is_group("x")


def test_reference_attributes_are_refused(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["r"] = file.create_group("g").ref

    with pytest.raises(UnsafeError):
        opened(tmp_path, fill).attribute("r")


def nothing_stored(file: Any) -> None:
    file.create_dataset("x", (1 << 40,), "f4")


def nothing_in_chunks(file: Any) -> None:
    file.create_dataset("x", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def zeros_deflated(file: Any) -> None:
    file.create_dataset("x", data=np.zeros(1 << 25, "u1"), chunks=(1 << 25,), compression="gzip")


@pytest.mark.parametrize("fill", [nothing_stored, nothing_in_chunks, zeros_deflated])
def test_more_than_is_stored_is_refused(tmp_path: Path, fill: Fill) -> None:
    with pytest.raises(FormatError, match="declares more bytes"):
        opened(tmp_path, fill).tensor("x")


def test_a_chunk_that_expands_is_refused_before_it_does(tmp_path: Path) -> None:
    import zlib

    def fill(file: Any) -> None:
        dataset = file.create_dataset("x", (64,), "u1", chunks=(64,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 20)))

    with pytest.raises(FormatError, match="expands beyond"):
        opened(tmp_path, fill).tensor("x").read()


def test_two_compressors_and_unknown_filters_are_unsupported(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.create_dataset("x", data=np.arange(64), chunks=(64,), scaleoffset=0)

    with pytest.raises(UnsupportedError, match="compressed in a way"):
        opened(tmp_path, fill).tensor("x")


def test_groups_that_hold_themselves_end(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file["a"] = file["/"]

    root = opened(tmp_path, fill)
    assert root.group("a/a/a").names() == ["a"]
    with pytest.raises(FormatError, match="names no member"):
        root.group("/".join(["a"] * 1000))


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04 a zip", b"{}" * 50])
def test_what_is_no_hdf5_is_named(data: bytes) -> None:
    with pytest.raises(FormatError):
        open_hdf5(MemorySource("given", data))


def test_every_truncation_is_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["a/x"] = np.arange(300, dtype="f4")
        file.attrs["names"] = [b"a"]
    data = (tmp_path / "f.h5").read_bytes()
    for length in range(8, len(data), 97):
        with pytest.raises(HozonError):
            open_hdf5(MemorySource("cut", data[:length])).tensor("a/x").read()


def test_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("a/x", data=np.arange(300, dtype="f4"), compression="gzip")
        file.attrs["names"] = [b"a", b"b"]
    data = (tmp_path / "f.h5").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for position in rng.integers(8, len(data), 4):
            broken[position] ^= int(rng.integers(1, 256))
        try:
            root = open_hdf5(MemorySource("broken", bytes(broken)))
            root.names_attribute("names")
            root.tensor("a/x").read()
        except HozonError:
            pass


# Writing


def test_written_files_read_back_and_are_the_same_each_time(tmp_path: Path) -> None:
    values = {
        "f": np.arange(6, dtype=np.float32).reshape(2, 3),
        "scalar": np.float64(3.0),
        "none": np.zeros((0, 2), np.int64),
        "flags": np.array([True, False]),
        "half": np.array([1.5], ml_dtypes.bfloat16),
        "tiny": np.array([2], ml_dtypes.float8_e4m3fn),
        "words": np.array(["a", "bc"], object),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "lazy": lazy_array("lazy", np.arange(3)),
    }

    def write(path: Path) -> bytes:
        with write_hdf5(str(path)) as root:
            root.attribute("text", "x" * 200_000)
            for name, value in values.items():
                root.group("g").tensor(f"inner/{name}", value)
        return path.read_bytes()

    assert write(tmp_path / "a.h5") == write(tmp_path / "b.h5")
    root = open_file(tmp_path / "a.h5")
    assert root.attribute("text") == "x" * 200_000
    for name, value in values.items():
        array = root.tensor(f"g/inner/{name}").read()
        if name == "words":
            assert array.tolist() == [b"a", b"bc"]
            continue
        assert array.dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(array, np.asarray(value))


@pytest.mark.parametrize("count", [0, 3, 2500])
def test_long_lists_of_names_are_split(tmp_path: Path, count: int) -> None:
    names = [f"layer_{i:0100}" for i in range(count)]
    with write_hdf5(str(tmp_path / "f.h5")) as root:
        root.names_attribute("layer_names", names)
    assert open_file(tmp_path / "f.h5").names_attribute("layer_names") == names
    with h5py.File(tmp_path / "f.h5") as file:
        assert all(value.nbytes <= ATTRIBUTE_BYTES for value in file.attrs.values())
        assert ("layer_names" in file.attrs) == (count < 2500)


def test_nothing_is_written_twice_or_too_long(tmp_path: Path) -> None:
    with write_hdf5(str(tmp_path / "f.h5")) as root:
        root.tensor("x", np.arange(3))
        with pytest.raises(SaveError, match="twice"):
            root.tensor("x", np.arange(3))
        with pytest.raises(SaveError, match="longer"):
            root.names_attribute("names", ["a" * 70_000])
        with pytest.raises(SaveError, match="cannot be written"):
            root.attribute("long", np.zeros(70_000, "u1"))


@pytest.mark.parametrize("kind", ["group", "names", "attribute", "tensor", "strings"])
def test_text_with_a_nul_is_refused(kind: str, tmp_path: Path) -> None:
    """h5py cuts it off, or raises an error of its own."""
    with pytest.raises(SaveError, match="NUL"), write_hdf5(str(tmp_path / "f.h5")) as root:
        {
            "group": lambda: root.group("a\0b"),
            "names": lambda: root.names_attribute("names", ["a", "b\0"]),
            "attribute": lambda: root.attribute("name", "a\0b"),
            "tensor": lambda: root.tensor("a/b\0", np.ones(2, "float32")),
            "strings": lambda: root.tensor("a", np.array([b"a\0b"], object)),
        }[kind]()


@pytest.mark.parametrize("size", [0, 8, 1 << 40, (1 << 64) - 4])
@pytest.mark.parametrize("number", [0, 7])
def test_a_heap_that_hdf5_would_never_leave(number: int, size: int, tmp_path: Path) -> None:
    """HDF5 goes through the texts of a heap by their sizes, for ever at a size of nothing."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "abc"
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    behind = heap + 16 + 16 + 8  # its head, the text's and the text
    data[behind : behind + 16] = struct.pack("<HHIQ", number, 0, 0, size)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged HDF5 file"):
        open_file(path).attribute("text")
