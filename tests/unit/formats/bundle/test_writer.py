"""Checkpoints that are written: TensorFlow and Hozon read them, byte for byte as TensorFlow's."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hozon.errors import FormatError, MismatchError, SaveError, UnsupportedError
from hozon.formats.bundle import open_bundle, write_bundle
from hozon.formats.bundle.index import read_index
from hozon.formats.bundle.layout import Entry, Header, read_entry, write_entry, write_header
from hozon.limits import LIMITS
from hozon.raw import kernel
from hozon.raw.location import Location
from hozon.raw.stores import open_source
from hozon.stored.dtypes import BY_NUMPY, QINT8, VALUE_TYPES, dtype_of_name
from hozon.stored.lazy import ArraySource, LazyTensor
from hozon.stored.streams import Blocks, Parts, fetched_ahead
from tests.conftest import shared_folder
from tests.oracle.client import Oracle
from tests.unit.formats import bundle_files as files

WILD = sorted((shared_folder() / "wild").glob("models/**/*.index"))
DATA = ".data-00000-of-00001"
FIXED = [dtype for dtype in VALUE_TYPES if dtype.fixed]

WRITE = """
names, tensors = [], []
for name, (kind, value) in values.items():
    names.append(name)
    dtype = tf.dtypes.as_dtype(kind)
    if dtype == tf.string:
        tensors.append(tf.constant(value.tolist(), tf.string, shape=value.shape))
    else:
        raw = np.frombuffer(value[1], dtype.as_numpy_dtype).reshape(value[0])
        tensors.append(tf.constant(raw, dtype=dtype))
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names),
                  tensors=tensors)
"""

READ = """
reader = tf.train.load_checkpoint(prefix)
out["tensors"] = {}
for name, dtype in reader.get_variable_to_dtype_map().items():
    value = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[name], shape_and_slices=[""],
                                 dtypes=[dtype])[0]
    array = np.asarray(value.numpy(), object if dtype == tf.string else None)
    kept = array.tolist() if dtype == tf.string else array.tobytes()
    out["tensors"][name] = (dtype.name, tuple(value.shape), kept)
"""

READ_SLICES = """
full = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=["w", "w"], dtypes=[tf.float32] * 2,
                            shape_and_slices=["", "100 20 20,50:10,10"])
out["full"], out["part"] = full[0].numpy(), full[1].numpy()
"""

WRITE_SLICES = """
names, specs, tensors = [], [], []
for row in (0, 30, 60, 90):
    rows = min(30, 100 - row)
    names.append("w"); specs.append(f"100 20 {row},{rows}:-")
    tensors.append(tf.constant(full[row:row + rows]))
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, tensors=tensors)
"""


def contents(folder: Path, name: str) -> dict[str, bytes]:
    """The files of a checkpoint, without the prefix in their names."""
    return {f.name[len(name) :]: f.read_bytes() for f in folder.iterdir() if f.name[:3] == name}


def every_kind() -> dict[str, Any]:
    """Tensors of every type, and of odd shapes."""
    small = np.arange(12, dtype=np.uint8).reshape(3, 4) % 2
    made: dict[str, Any] = {
        dtype.name: LazyTensor("x", (3, 4), dtype, 12, ArraySource(small.astype(dtype.numpy)))
        for dtype in FIXED
    }
    strings = np.array([[b"", b"a" * 127], [b"b" * 128, b"c" * 70000]], object)
    return {
        "z": np.float32(1.5),
        **made,
        "no rows": np.zeros((0, 3)),
        "no columns": np.zeros((3, 0, 2), np.int64),
        "strings": strings,
        "no strings": np.empty((0, 2), object),
        "one string": np.array(b"one", object),
        "nothing": np.array(b"", object),
        "名前": np.array([True, False]),
    }


def described(value: Any) -> tuple[str, Any]:
    """A tensor for the oracle: its type and bytes, or its strings."""
    if isinstance(value, LazyTensor):
        return value.dtype.name, (value.shape, value.read().tobytes())
    if value.dtype == object:
        return "string", value
    return value.dtype.name, (value.shape, value.tobytes())


def test_the_same_bytes_as_tensorflow_for_every_type(oracle: Oracle, tmp_path: Path) -> None:
    values = every_kind()
    write_bundle(tmp_path / "our", values)
    told = {name: described(value) for name, value in values.items()}
    oracle.python(WRITE, prefix=str(tmp_path / "tfs"), values=told)
    assert contents(tmp_path, "our") == contents(tmp_path, "tfs")
    assert len(contents(tmp_path, "our")) == 2


def test_tensorflow_reads_every_type(oracle: Oracle, tmp_path: Path) -> None:
    values = every_kind()
    write_bundle(tmp_path / "c", values)
    found = oracle.python(READ, prefix=str(tmp_path / "c"))["tensors"]
    assert found.keys() == values.keys()
    for name, (kind, shape, kept) in found.items():
        dtype, value = described(values[name])
        expected = (value.shape, value.tolist()) if dtype == "string" else value
        assert (kind, (shape, kept)) == (dtype, expected), name


def test_hozon_reads_every_type(tmp_path: Path) -> None:
    values = every_kind()
    write_bundle(tmp_path / "c", values)
    bundle = open_bundle(tmp_path / "c")
    assert list(bundle) == sorted(values, key=str.encode)
    for name, value in values.items():
        dtype, kept = described(value)
        found = bundle[name]
        assert found.dtype.name == dtype
        if dtype == "string":
            assert (found.shape, found.read().tolist()) == (kept.shape, kept.tolist())
        else:
            assert (found.shape, found.read().tobytes()) == kept


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
            lambda name: name[0] != "\0"
        ),
        hnp.arrays(
            st.sampled_from([d for d in BY_NUMPY if d.kind in "iucb" or d.char in "efd"]),
            hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        ),
        max_size=12,
    )
)
def test_any_names_and_shapes(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    prefix = tmp_path_factory.mktemp("any") / "c"
    write_bundle(prefix, values)
    found = open_bundle(prefix).read_all()
    assert found.keys() == values.keys()
    for name, array in values.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_data_in_the_order_given_and_index_sorted(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", [("b", np.arange(3)), ("c", np.ones(1)), ("a", np.arange(2))])
    index = read_index(open_source(str(tmp_path / "c.index")), LIMITS)
    assert {name: entry.offset for name, entry in index.entries.items()} == {
        "a": 32,
        "b": 0,
        "c": 24,
    }
    assert list(index.entries) == ["a", "b", "c"]


def strided() -> dict[str, np.ndarray[Any, Any]]:
    wide = np.arange(2_000_000, dtype=np.float32).reshape(1000, 2000)
    return {
        "transposed": wide.T,
        "reversed": wide[::-1, ::3],
        "swapped": np.arange(300_000, dtype=">i8"),
        "broadcast": np.broadcast_to(np.float16(2.0), (700, 900)),
        "swapped text": np.array(["ä", "b"], ">U3"),
    }


def test_arrays_in_any_order_of_memory(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", strided())
    found = open_bundle(tmp_path / "c").read_all()
    for name, array in strided().items():
        if name != "swapped text":
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype.newbyteorder("=")
    assert found["swapped text"].tolist() == ["ä".encode(), b"b"]


def test_jax_arrays_and_numbers(tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "c",
        {"j": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3, jnp.bfloat16), "n": 7, "s": "text"},
    )
    found = open_bundle(tmp_path / "c").read_all()
    np.testing.assert_array_equal(found["j"], np.arange(6.0, dtype=np.float32).reshape(2, 3))
    assert (found["b"].dtype, found["b"].tolist()) == (jnp.bfloat16, [1.0, 1.0, 1.0])
    assert (found["n"].dtype, found["n"].shape, found["n"].item()) == (np.int64, (), 7)
    assert found["s"].item() == b"text"


class DeviceArray:
    """An array that is far from the host; notes what happens to it."""

    is_fully_replicated = True

    def __init__(self, name: str, log: list[str], size: int, handle: bool = False) -> None:
        self.name, self.log, self.nbytes, self.handle = name, log, size, handle

    def devices(self) -> set[Any]:
        return {type("Device", (), {"platform": "gpu"})}

    def addressable_data(self, index: int) -> DeviceArray:
        assert index == 0
        return DeviceArray(self.name, self.log, self.nbytes, handle=True)

    def copy_to_host_async(self) -> None:
        assert self.handle
        self.log.append(f"start {self.name}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        assert self.handle
        self.log.append(f"write {self.name}")
        return np.full(self.nbytes, ord(self.name[0]), np.uint8)

    def __del__(self) -> None:
        if self.handle:
            self.log.append(f"drop {self.name}")


def test_copies_from_a_device_start_ahead_and_go_away(tmp_path: Path) -> None:
    log: list[str] = []
    arrays = [(name, DeviceArray(name, log, 6 << 20)) for name in "abcdefg"]
    write_bundle(tmp_path / "c", arrays)
    gc.collect()
    for name in "abcdefg":
        assert log.index(f"start {name}") < log.index(f"write {name}") < log.index(f"drop {name}")
    # Two more at least are on their way while one is written, and what was written is gone.
    assert log.index("start c") < log.index("write a")
    assert log.index("drop a") < log.index("start f")
    started = [sum(x.startswith("start") for x in log[:i]) for i in range(len(log))]
    written = [sum(x.startswith("drop") for x in log[:i]) for i in range(len(log))]
    assert max(a - b for a, b in zip(started, written, strict=True)) <= 4
    found = open_bundle(tmp_path / "c").read_all()
    assert [found[name][0] for name in "abcdefg"] == [ord(name) for name in "abcdefg"]


def test_small_arrays_on_a_device_wait_by_number() -> None:
    log: list[str] = []
    arrays = ((f"{i}", DeviceArray(f"{i}", log, 4)) for i in range(2000))
    next(fetched_ahead(arrays))
    assert 2 <= sum(entry.startswith("start") for entry in log) <= 600


def test_tensors_of_another_checkpoint(tmp_path: Path) -> None:
    write_bundle(tmp_path / "old", every_kind())
    old = open_bundle(tmp_path / "old")
    write_bundle(tmp_path / "new", ((name, old[name]) for name in every_kind()))
    assert contents(tmp_path, "old") == contents(tmp_path, "new")


def test_a_damaged_tensor_does_not_get_a_right_checksum(tmp_path: Path) -> None:
    write_bundle(tmp_path / "old", {"w": np.ones(10)})
    data = files.data_file(tmp_path / "old")
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    with pytest.raises(FormatError, match="checksum"):
        write_bundle(tmp_path / "new", open_bundle(tmp_path / "old").items())
    assert not list(tmp_path.glob("new*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not WILD, reason="the recorded models are missing")
def test_recorded_checkpoints_are_written_again_byte_for_byte(tmp_path: Path) -> None:
    whole = [path for path in WILD if path.with_suffix(DATA).exists()]
    small = [path for path in whole if path.with_suffix(DATA).stat().st_size < 5 << 20]
    assert small
    for path in small[:15]:
        bundle = open_bundle(path.with_suffix(""))
        in_order = sorted(bundle.values(), key=lambda tensor: tensor.record.offset)
        write_bundle(tmp_path / "c", [(tensor.name, tensor) for tensor in in_order])
        assert (tmp_path / "c.index").read_bytes() == path.read_bytes(), path
        data = files.data_file(tmp_path / "c").read_bytes()
        assert data == path.with_suffix(DATA).read_bytes(), path


def test_blocks(tmp_path: Path) -> None:
    def blocks() -> Iterator[Any]:
        scratch = np.empty(1000, np.int16)
        for number in range(3000):
            scratch[:] = number
            yield scratch
        yield b"ab"

    tensor = Blocks((3_000_001,), dtype_of_name("int16"), blocks())
    write_bundle(tmp_path / "c", [("x", np.ones(1)), ("w", tensor)])
    found = open_bundle(tmp_path / "c").read_all()
    expected = np.append(np.repeat(np.arange(3000, dtype=np.int16), 1000), np.int16(25185))
    np.testing.assert_array_equal(found["w"], expected, strict=True)


def test_a_quantized_type_can_be_named(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {"q": Blocks((2,), QINT8, [np.array([1, -1], np.int8)])})
    assert open_bundle(tmp_path / "c")["q"].dtype is QINT8


def test_partitioned_tensors(oracle: Oracle, tmp_path: Path) -> None:
    full = np.arange(2000, dtype=np.float32).reshape(100, 20)
    rows = [(row, min(30, 100 - row)) for row in (0, 30, 60, 90)]
    parts = [(((row, n), (0, 20)), full[row : row + n]) for row, n in rows]
    write_bundle(tmp_path / "our", {"w": Parts(full.shape, dtype_of_name("float32"), parts)})
    oracle.python(WRITE_SLICES, prefix=str(tmp_path / "tfs"), full=full)
    assert contents(tmp_path, "our") == contents(tmp_path, "tfs")
    theirs = oracle.python(READ_SLICES, prefix=str(tmp_path / "our"))
    np.testing.assert_array_equal(theirs["full"], full, strict=True)
    np.testing.assert_array_equal(theirs["part"], full[20:70, 10:20], strict=True)
    np.testing.assert_array_equal(open_bundle(tmp_path / "our")["w"].read(), full, strict=True)


def test_several_data_files(oracle: Oracle, tmp_path: Path) -> None:
    values = {f"v{i}": np.full(100, i, np.float32) for i in range(10)}
    write_bundle(tmp_path / "c", values, shard_bytes=1000)
    names = sorted(f.name for f in tmp_path.iterdir())
    assert names == [*(f"c.data-{i:05d}-of-00004" for i in range(4)), "c.index"]
    found = oracle.python(READ, prefix=str(tmp_path / "c"))["tensors"]
    assert {n: kept for n, (_, _, kept) in found.items()} == {
        n: v.tobytes() for n, v in values.items()
    }
    write_bundle(tmp_path / "c", values)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["c.data-00000-of-00001", "c.index"]
    assert open_bundle(tmp_path / "c").read_all().keys() == values.keys()


def test_alignment(tmp_path: Path) -> None:
    values = {f"v{i}": np.full(i, i, np.uint8) for i in range(1, 9)}
    write_bundle(tmp_path / "c", values, alignment=64)
    bundle = open_bundle(tmp_path / "c")
    assert [tensor.record.offset % 64 for tensor in bundle.values()] == [0] * 8
    for name, array in bundle.read_all().items():
        np.testing.assert_array_equal(array, values[name], strict=True)


def test_a_checkpoint_is_replaced(tmp_path: Path) -> None:
    for round_ in range(3):
        write_bundle(tmp_path / "c", {"w": np.full(4, round_)})
        assert sorted(os.listdir(tmp_path)) == ["c.data-00000-of-00001", "c.index"]
        assert open_bundle(tmp_path / "c")["w"].read().tolist() == [round_] * 4
    write_bundle(tmp_path / "n", {"w": np.full(4, 2)})
    for suffix in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"n{suffix}").read_bytes() == (tmp_path / f"c{suffix}").read_bytes()


def test_without_hard_links_a_replaced_checkpoint_is_whole_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    for round_ in range(4):
        write_bundle(tmp_path / "c", {"w": np.full(4, round_)})
        assert len(os.listdir(tmp_path)) == 2
        assert open_bundle(tmp_path / "c")["w"].read().tolist() == [round_] * 4


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    others = ["c.data-00000-of-0001", "c2.data-00000-of-00002", "c.data-00000-of-00001.bak", "c"]
    for name in others:
        (tmp_path / name).write_text("mine")
    write_bundle(tmp_path / "c", {"w": np.ones(1)})
    assert all((tmp_path / name).read_text() == "mine" for name in others)


def test_without_room_reserved_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_function", lambda name: None)
    values = {"w": np.arange(1_000_000), "v": np.arange(3)}
    write_bundle(tmp_path / "c", values)
    for name, array in open_bundle(tmp_path / "c").read_all().items():
        np.testing.assert_array_equal(array, values[name], strict=True)


def test_the_reserved_room_is_given_back(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {"w": np.zeros(3 << 20, np.uint8), "v": np.zeros(5, np.uint8)})
    status = files.data_file(tmp_path / "c").stat()
    assert status.st_size == (3 << 20) + 5
    assert status.st_blocks * 512 < 4 << 20


def test_no_second_copy_is_made(tmp_path: Path) -> None:
    values = {"whole": np.ones((2000, 5000), np.float32), "turned": np.ones((3000, 1000)).T}
    write_bundle(tmp_path / "warm", {"w": np.ones(1)})
    tracemalloc.start()
    write_bundle(tmp_path / "c", values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 << 20


@pytest.mark.parametrize("name", ["", "\0x", "x" * 70000, "\ud800"])
def test_names_that_no_checkpoint_holds(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsupportedError, match="named"):
        write_bundle(tmp_path / "c", {name: np.ones(1)})
    assert not list(tmp_path.iterdir())


def test_two_tensors_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="two tensors are named 'w'"):
        write_bundle(tmp_path / "c", [("w", np.ones(1)), ("w", np.ones(2))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (np.array([1, "a"], object), UnsupportedError, "int"),
        (np.zeros(2, "M8[s]"), UnsupportedError, "datetime64"),
        (Blocks((3,), QINT8, [b"ab"]), MismatchError, "3"),
        (Parts((2,), QINT8, [(((0, 2),), np.ones(2))]), MismatchError, "part"),
    ],
)
def test_values_that_no_checkpoint_holds(
    tmp_path: Path, value: Any, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        write_bundle(tmp_path / "c", {"w": value})
    assert not list(tmp_path.iterdir())


def test_over_another_one_at_a_place_without_renames(tmp_path: Path) -> None:
    """The data files take no name of the other's, so that its index can be replaced last."""
    write_bundle(tmp_path / "c", {"w": np.ones(1)})
    write_bundle(tmp_path / "new", {"w": np.zeros(1)}, instead_of=str(tmp_path / "c"))
    assert {path.name for path in tmp_path.iterdir()} == {
        "c.index",
        "c.data-00000-of-00001",
        "new.index",
        "new.data-00000-of-00002",
    }
    (tmp_path / "new.index").rename(tmp_path / "c.index")
    (tmp_path / "new.data-00000-of-00002").rename(tmp_path / "c.data-00000-of-00002")
    assert open_bundle(tmp_path / "c")["w"].read() == 0


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="no folder"):
        write_bundle(tmp_path / "no" / "c", {"w": np.ones(1)})


def test_entries_and_headers_are_read_back() -> None:
    where = Location("x.index", "w")
    entry = Entry(1, (300, 0, 2), 3, 1 << 40, 77, 0xDEADBEEF, (((0, 5), (0, -1), (1, 0)),))
    assert read_entry(write_entry(entry), where) == entry
    assert write_entry(Entry(0, (), 0, 0, 0, 0, ())) == b"\x12\x00"
    expected = files.header(shards=7, big_endian=True, min_consumer=1)
    assert write_header(Header(7, True, 1, 1, ())) == expected


def test_a_killed_replacement_is_whole_at_every_name(oracle: Oracle, tmp_path: Path) -> None:
    """The moment between the two indexes: TensorFlow reads the new checkpoint."""
    write_bundle(tmp_path / "c", {"w": np.ones(3)})
    data, index = files.data_file(tmp_path / "c"), tmp_path / "c.index"
    rows = list(read_entry_rows(index))
    files.write_index(tmp_path / "c", dict(rows[1:]), files.header(shards=2))
    data.rename(files.data_file(tmp_path / "c", 0, 2))
    found = oracle.python(READ, prefix=str(tmp_path / "c"))["tensors"]
    assert found == {"w": ("float64", (3,), np.ones(3).tobytes())}
    write_bundle(tmp_path / "c", {"w": np.zeros(3)})
    assert sorted(os.listdir(tmp_path)) == ["c.data-00000-of-00001", "c.index"]


def read_entry_rows(index: Path) -> Iterator[tuple[bytes, bytes]]:
    from hozon.formats.sstable import read_table

    return read_table(open_source(str(index)))


def test_offsets_do_not_overlap(tmp_path: Path) -> None:
    values = {f"v{i}": np.full(i * 37 % 500, i, np.int32) for i in range(3000)}
    write_bundle(tmp_path / "c", values)
    entries = sorted(t.record.offset for t in open_bundle(tmp_path / "c").values())
    assert all(a <= b for a, b in pairwise(entries))
    for name, array in open_bundle(tmp_path / "c").read_all().items():
        np.testing.assert_array_equal(array, values[name], strict=True)
