"""Bundles that TensorFlow writes, and bundles that TensorFlow reads like Hozon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from hozon.errors import FormatError, MismatchError, UnsupportedError
from hozon.formats.bundle import is_bundle, open_bundle
from hozon.formats.bundle.slices import slice_key
from hozon.raw.sources import Source
from hozon.raw.stores import open_source
from hozon.stored.dtypes import STRING
from tests.oracle.client import Oracle
from tests.unit.formats import bundle_files as files

WRITE_EVERY_DTYPE = """
raw = np.arange(12, dtype=np.uint8).reshape(3, 4) % 2
out["bytes"] = {}
for t in (tf.dtypes.as_dtype(n) for n in range(1, 34)):
    if t not in (tf.string, tf.resource, tf.variant):
        array = raw.astype(t.as_numpy_dtype)
        tf.raw_ops.SaveV2(prefix=prefix + t.name, tensor_names=["x"], shape_and_slices=[""],
                          tensors=[tf.constant(array, dtype=t)])
        out["bytes"][t.name] = array.tobytes()
"""

WRITE_STRINGS = """
tensors = {
    "scalar": tf.constant(b"one"), "empty": tf.zeros([0], tf.string),
    "matrix": tf.constant([[b"", b"a" * 127], [b"b" * 128, b"c" * 70000]]),
    "many": tf.constant([b"word%d" % i for i in range(1000)]), "nothing": tf.constant(b""),
}
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(tensors), shape_and_slices=[""] * len(tensors),
                  tensors=list(tensors.values()))
out["tensors"] = {name: np.asarray(t.numpy(), object) for name, t in tensors.items()}
"""

WRITE_SLICES = """
full = np.arange(100 * 20, dtype=np.float32).reshape(100, 20)
names, specs, tensors = [], [], []
for row in range(0, 100, 30):
    rows = min(30, 100 - row)
    names.append("dir/part"); specs.append(f"100 20 {row},{rows}:-")
    tensors.append(tf.constant(full[row:row + rows]))
for row in (0, 50):
    for column in (0, 15):
        columns = 15 if column == 0 else 5
        names.append("both"); specs.append(f"100 20 {row},50:{column},{columns}")
        tensors.append(tf.constant(full[row:row + 50, column:column + columns]))
names.append("one"); specs.append("100 20 -:-"); tensors.append(tf.constant(full))
long = np.arange(70000, dtype=np.int64)
for start, count in ((0, 8191), (8191, 50000), (58191, 11809)):
    names.append("long"); specs.append(f"70000 {start},{count}")
    tensors.append(tf.constant(long[start:start + count]))
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, tensors=tensors)
out["full"], out["long"] = full, long
"""

WRITE_SHARDS = """
for shard in range(3):
    tf.raw_ops.SaveV2(prefix=f"{prefix}-{shard}", tensor_names=[f"v{shard}"], shape_and_slices=[""],
                      tensors=[tf.fill([2, shard + 1], float(shard))])
tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[f"{prefix}-{i}" for i in range(3)],
                              destination_prefix=prefix)
"""

WRITE_ODD = """
names = ["scalar", "no_rows", "no_columns", "名前"]
tensors = [tf.constant(1.5), tf.zeros([0, 3]), tf.zeros([3, 0, 2], tf.int64),
           tf.constant([True, False])]
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * 4, tensors=tensors)
"""

WRITE_VARIANT = """
handle = tf.raw_ops.TensorListReserve(element_shape=tf.constant([2]), num_elements=2,
                                      element_dtype=tf.float32)
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["list"], shape_and_slices=[""], tensors=[handle])
"""

READ = """
reader = tf.train.load_checkpoint(prefix)
out["tensors"] = {n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()}
"""


class Counting:
    """Opens sources that count the bytes they hand out."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, path: str) -> Source:
        return CountingSource(open_source(path), self)


class CountingSource:
    def __init__(self, inner: Source, counter: Counting) -> None:
        self.name, self.size = inner.name, inner.size
        self._inner, self._counter = inner, counter

    def view(self, offset: int, length: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        self._counter.bytes += length
        return self._inner.view(offset, length)


def test_every_dtype(oracle: Oracle, tmp_path: Path) -> None:
    written = oracle.python(WRITE_EVERY_DTYPE, prefix=f"{tmp_path}/")["bytes"]
    assert len(written) == 30
    for name, raw in written.items():
        tensor = open_bundle(tmp_path / name)["x"]
        array = tensor.read()
        assert (tensor.dtype.name, tensor.shape) == (name, (3, 4))
        assert (array.dtype, array.shape, array.tobytes()) == (tensor.dtype.numpy, (3, 4), raw)


def test_strings(oracle: Oracle, tmp_path: Path) -> None:
    expected = oracle.python(WRITE_STRINGS, prefix=str(tmp_path / "s"))["tensors"]
    found = open_bundle(tmp_path / "s").read_all()
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert (array.dtype, array.shape) == (object, expected[name].shape)
        assert array.tolist() == expected[name].tolist()
    assert open_bundle(tmp_path / "s")["many"].dtype is STRING
    assert open_bundle(tmp_path / "s")["many"].read_slice("10,2").tolist() == [b"word10", b"word11"]


def test_partitioned_tensors_are_put_together(oracle: Oracle, tmp_path: Path) -> None:
    written = oracle.python(WRITE_SLICES, prefix=str(tmp_path / "p"))
    bundle = open_bundle(tmp_path / "p")
    assert list(bundle) == ["both", "dir/part", "long", "one"]
    for name in ("both", "dir/part", "one"):
        np.testing.assert_array_equal(bundle[name].read(), written["full"], strict=True)
        part = bundle[name].read_slice("100 20 20,50:10,10")
        np.testing.assert_array_equal(part, written["full"][20:70, 10:20], strict=True)
        np.testing.assert_array_equal(
            bundle[name].read_slice((slice(25, 95), -1), verify=False), written["full"][25:95, -1]
        )
    np.testing.assert_array_equal(bundle["long"].read(), written["long"], strict=True)


def test_shards(oracle: Oracle, tmp_path: Path) -> None:
    oracle.python(WRITE_SHARDS, prefix=str(tmp_path / "m"))
    bundle = open_bundle(tmp_path / "m")
    assert (bundle.header.num_shards, bundle.producer) == (3, 1)
    for shard in range(3):
        expected = np.full((2, shard + 1), shard, np.float32)
        np.testing.assert_array_equal(bundle[f"v{shard}"].read(), expected, strict=True)


def test_odd_shapes_and_names(oracle: Oracle, tmp_path: Path) -> None:
    oracle.python(WRITE_ODD, prefix=str(tmp_path / "o"))
    found = open_bundle(tmp_path / "o").read_all()
    assert {name: (a.shape, str(a.dtype)) for name, a in found.items()} == {
        "scalar": ((), "float32"),
        "no_rows": ((0, 3), "float32"),
        "no_columns": ((3, 0, 2), "int64"),
        "名前": ((2,), "bool"),
    }
    assert found["scalar"] == 1.5


def test_a_variant_is_refused_by_name(oracle: Oracle, tmp_path: Path) -> None:
    oracle.python(WRITE_VARIANT, prefix=str(tmp_path / "v"))
    bundle = open_bundle(tmp_path / "v")
    assert bundle["list"].dtype.name == "variant"
    with pytest.raises(UnsupportedError, match=r"variant.*'list'"):
        bundle["list"].read()


def test_big_endian_files(oracle: Oracle, tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([1 + 2j, -3j], np.complex64),
        "c": np.array([1, 258], np.uint16),
    }
    files.write_arrays(tmp_path / "b", arrays, big_endian=True)
    theirs = oracle.python(READ, prefix=str(tmp_path / "b"))["tensors"]
    for name, array in open_bundle(tmp_path / "b").read_all().items():
        np.testing.assert_array_equal(theirs[name], arrays[name], strict=True)
        np.testing.assert_array_equal(array, arrays[name], strict=True)


def test_opening_reads_only_the_index(tmp_path: Path) -> None:
    size = 100 << 30
    shape = (1 << 20, size >> 22)
    files.write_index(tmp_path / "big", {b"w": files.entry(files.FLOAT, shape, size=size)})
    with files.data_file(tmp_path / "big").open("wb") as sparse:
        sparse.truncate(size)
    counter = Counting()
    bundle = open_bundle(tmp_path / "big", opener=counter)
    assert (bundle["w"].nbytes, bundle["w"].shape) == (size, shape)
    assert counter.bytes < 1024
    part = bundle["w"].read_slice((slice(7, 9), slice(0, 5)), verify=False)
    np.testing.assert_array_equal(part, np.zeros((2, 5), np.float32), strict=True)
    assert counter.bytes < 1024 + 2 * shape[1] * 4


def test_arrays_are_views_of_the_file(tmp_path: Path) -> None:
    files.write_arrays(tmp_path / "a", {"x": np.ones((4, 4), np.float32)})
    tensor = open_bundle(tmp_path / "a")["x"]
    first, second = tensor.read(), tensor.read()
    assert not first.flags.owndata
    assert not first.flags.writeable
    assert np.shares_memory(first, second)
    np.testing.assert_array_equal(np.asarray(tensor), np.ones((4, 4), np.float32), strict=True)


def test_the_mapping(tmp_path: Path) -> None:
    files.write_arrays(tmp_path / "a", {"x": np.ones(2, np.float32), "y": np.zeros(1, np.int32)})
    bundle = open_bundle(str(tmp_path / "a"))
    assert (list(bundle.keys()), list(bundle), len(bundle)) == (["x", "y"], ["x", "y"], 2)
    assert "x" in bundle
    assert "z" not in bundle
    assert bundle.get("z") is None
    assert is_bundle(tmp_path / "a")
    assert not is_bundle(tmp_path / "b")
    with pytest.raises(MismatchError, match="no tensor 'xx'"):
        bundle["xx"]


def test_remote_files(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    files.write_arrays(tmp_path / "a", {"x": array})
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/bundles", recursive=True)
    bundle = open_bundle("memory://bundles/a")
    np.testing.assert_array_equal(bundle["x"].read(), array, strict=True)
    np.testing.assert_array_equal(bundle["x"].read_slice(1), array[1], strict=True)
    bundle.verify()
    np.testing.assert_array_equal(bundle.read_all()["x"], array, strict=True)
    with pytest.raises(FormatError, match="no such checkpoint"):
        open_bundle("memory://bundles/b")


@pytest.mark.parametrize(
    ("name", "extents", "key"),
    [
        (b"v", ((0, 5), (0, -1)), b"\0v\0\1\1\2\x80\x85\x80\x7f"),
        (b"a\0b\xff", ((64, 8192),), b"\0a\0\xffb\xff\0\0\1\1\1\xc0\x40\xe0\x20\x00"),
        (b"", ((1 << 62, 1),), b"\0\0\1\1\1\xff\xc0" + (1 << 62).to_bytes(8, "big") + b"\x81"),
    ],
)
def test_slice_keys(name: bytes, extents: tuple[tuple[int, int], ...], key: bytes) -> None:
    assert slice_key(name, extents) == key
