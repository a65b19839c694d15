"""Damaged and hostile checkpoints: refused at once, naming the file and the record."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hozon.errors import FormatError, HozonError, UnsupportedError
from hozon.formats.bundle import Bundle, open_bundle
from hozon.limits import LIMITS, Limits
from hozon.raw.sources import MemorySource
from tests.unit.formats import bundle_files as files

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "bias": np.arange(4, dtype=np.float32),
    "kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
}
SECONDS, BYTES = 2.0, 20 << 20


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A sound checkpoint to spoil."""
    files.write_arrays(tmp_path / "ckpt", ARRAYS)
    return tmp_path / "ckpt"


@contextmanager
def refused(*told: str, kind: type[HozonError] = FormatError) -> Iterator[None]:
    """The body raises `kind`, which tells these things, soon and without taking memory."""
    tracemalloc.start()
    begin = time.process_time()
    with pytest.raises(kind) as caught:
        yield
    elapsed, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < SECONDS
    assert peak < BYTES
    for text in told:
        assert text in str(caught.value)


def one(prefix: Path, entry: bytes, name: bytes = b"w", head: bytes | None = None) -> None:
    """A checkpoint with one entry."""
    files.write_index(prefix, {name: entry}, head)


def index_of(prefix: Path, data: bytes) -> Path:
    files.index_file(prefix).write_bytes(data)
    return prefix


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def read_all(prefix: Path) -> None:
    open_bundle(prefix).read_all()


# The index file.


@pytest.mark.parametrize("keep", [0, 1, 47, 48, 60, 100, -1])
def test_a_truncated_index(prefix: Path, keep: int) -> None:
    index = files.index_file(prefix)
    index.write_bytes(index.read_bytes()[:keep])
    with refused("ckpt.index", "footer"):
        open_bundle(prefix)


@pytest.mark.parametrize("position", [0, 10, 30, 60])
def test_a_flipped_bit_in_a_data_block(prefix: Path, position: int) -> None:
    flip(files.index_file(prefix), position)
    with refused("ckpt.index", "data block 0", "checksum"):
        open_bundle(prefix)


def test_a_flipped_bit_in_the_index_block(prefix: Path) -> None:
    flip(files.index_file(prefix), -60)
    with refused("ckpt.index", "index block", "checksum"):
        open_bundle(prefix)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"just some text\n" * 10, "text"),
        (b'{"a": 1}', "JSON text"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"", "an empty file"),
        (bytes(range(128, 250)), "unknown binary data"),
    ],
)
def test_a_foreign_file(tmp_path: Path, data: bytes, kind: str) -> None:
    with refused("x.index", f"looks like {kind}"):
        open_bundle(index_of(tmp_path / "x", data))


def test_an_index_that_is_no_file(tmp_path: Path) -> None:
    files.index_file(tmp_path / "x").mkdir()
    with refused("x.index", "regular file"):
        open_bundle(tmp_path / "x")
    with refused("no such checkpoint"):
        open_bundle(tmp_path / "y")


def test_a_version_1_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(files.simple_table([(b"", b"")]))
    with refused("first format", "save it again", kind=UnsupportedError):
        open_bundle(tmp_path / "old")


def test_a_table_without_a_header(tmp_path: Path) -> None:
    with refused("no header"):
        open_bundle(index_of(tmp_path / "x", files.simple_table([(b"a", b"")])))
    with refused("no header"):
        open_bundle(index_of(tmp_path / "x", files.table([], [])))


def test_an_index_block_outside_the_file(tmp_path: Path) -> None:
    handles = files.varint(0) + files.varint(0) + files.varint(1 << 40) + files.varint(9)
    data = bytes(64) + handles.ljust(40, b"\0") + files.MAGIC
    with refused("footer", "outside the file"):
        open_bundle(index_of(tmp_path / "x", data))


@pytest.mark.parametrize(
    ("offset", "size"), [(1 << 40, 8), (0, 1 << 40), ((1 << 64) - 8, 8), (4, (1 << 64) - 1)]
)
def test_a_data_block_outside_the_file(tmp_path: Path, offset: int, size: int) -> None:
    handle = files.varint(offset) + files.varint(size)
    data = files.tail(0, files.block([(b"k", handle)]))
    with refused("index block", "outside the file"):
        open_bundle(index_of(tmp_path / "x", data))


def test_index_entries_that_share_one_block(tmp_path: Path) -> None:
    stored = files.block([(b"", files.header())])
    handle = files.varint(0) + files.varint(len(stored))
    entries = [(b"%06d" % i, handle) for i in range(10_000)]
    data = files.sealed(stored) + files.tail(len(stored) + 5, files.block(entries))
    with refused("index block", "overlaps"):
        open_bundle(index_of(tmp_path / "x", data))


# Blocks.


def raw_block(contents: bytes, tmp_path: Path, compression: int = 0) -> Path:
    return index_of(tmp_path / "x", files.table([(contents, compression)], [b"z"]))


def test_a_key_that_shares_more_than_there_is(tmp_path: Path) -> None:
    entries = files.entry_bytes(0, b"", files.header()) + files.entry_bytes(100, b"a", b"")
    with refused("data block 0", "shares more"):
        open_bundle(raw_block(entries + struct.pack("<II", 0, 1), tmp_path))


@pytest.mark.parametrize(
    "restarts",
    [(0, 1 << 30), (0, (1 << 32) - 1), (5, 1), (0, 3, 2), (1 << 20, 1), (0, 60, 0, 3), (0, 2, 2)],
)
def test_restart_points_that_lie(tmp_path: Path, restarts: tuple[int, ...]) -> None:
    entries = files.entry_bytes(0, b"", files.header()) + files.entry_bytes(0, b"a", bytes(20))
    with refused("data block 0"):
        open_bundle(raw_block(entries + struct.pack(f"<{len(restarts)}I", *restarts), tmp_path))


@pytest.mark.parametrize("contents", [b"", b"\0", b"\0\0\0"])
def test_a_block_shorter_than_its_end(tmp_path: Path, contents: bytes) -> None:
    with refused("data block 0", "restart points"):
        open_bundle(raw_block(contents, tmp_path))


@pytest.mark.parametrize(
    "lengths", [b"\x00\x01\xff\xff\xff\xff\x0f", b"\x00\x7f\x7f", b"\xff" * 12]
)
def test_an_entry_that_runs_out_of_its_block(tmp_path: Path, lengths: bytes) -> None:
    with refused("data block 0"):
        open_bundle(raw_block(lengths + struct.pack("<II", 0, 1), tmp_path))


def test_a_varint_overflow(tmp_path: Path) -> None:
    with refused("more than 64 bits"):
        open_bundle(
            raw_block(b"\xff" * 9 + b"\x7f" + bytes(20) + struct.pack("<II", 0, 1), tmp_path)
        )


def test_keys_that_expand_without_end(tmp_path: Path) -> None:
    long = bytes(LIMITS.key_bytes - 8).replace(b"\0", b"k")
    entries = files.entry_bytes(0, b"", files.header()) + files.entry_bytes(0, long, b"")
    entries += b"".join(
        files.entry_bytes(len(long) + 3 * bool(i), struct.pack(">I", i)[3 * bool(i) :], b"")
        for i in range(256)
    )
    with refused("data block 0", "expand"):
        open_bundle(raw_block(entries + struct.pack("<II", 0, 1), tmp_path))


def test_a_key_of_any_length(tmp_path: Path) -> None:
    entries = files.entry_bytes(0, b"", files.header())
    entries += files.entry_bytes(0, bytes(LIMITS.key_bytes + 1), b"")
    with refused("data block 0", "too long"):
        open_bundle(raw_block(entries + struct.pack("<II", 0, 1), tmp_path))


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (files.varint(1 << 40) + b"\0a", "declares more"),
        (files.varint(1 << 27) + b"\0a" + b"\xfe\x01\x00" * 100, "declares more"),
        (files.varint(4) + b"\0a" + b"\xfe\x01\x00" * 1000, "does not expand"),
        (files.varint(60) + b"\0a" + b"\xee\x02\x00", "before the start"),
        (files.varint(60) + b"\0a" + b"\xee\x00\x00", "before the start"),
        (files.varint(9) + b"\x20abc", "past the end"),
        (files.varint(9) + b"\0a\xee\x01", "cut short"),
        (b"\xff" * 11, "64 bits"),
        (b"", "inside a variable-length"),
    ],
)
def test_a_snappy_bomb(tmp_path: Path, stored: bytes, told: str) -> None:
    with refused("data block 0", told):
        open_bundle(raw_block(stored, tmp_path, compression=1))


# The header.


@pytest.mark.parametrize("shards", [-1, LIMITS.shards + 1, 2**31 - 1, 2**62])
def test_impossible_numbers_of_data_files(tmp_path: Path, shards: int) -> None:
    one(tmp_path / "x", files.entry(files.FLOAT, (1,), size=4), head=files.header(shards))
    with refused("x.index", "header", "data files"):
        open_bundle(tmp_path / "x")


def test_a_newer_version(tmp_path: Path) -> None:
    one(tmp_path / "x", b"", head=files.header(min_consumer=2))
    with refused("version 2", kind=UnsupportedError):
        open_bundle(tmp_path / "x")


def test_an_unknown_byte_order(tmp_path: Path) -> None:
    one(tmp_path / "x", b"", head=files.number(1, 1) + files.number(2, 7))
    with refused("byte order"):
        open_bundle(tmp_path / "x")


# Entries.

ENTRIES: dict[str, tuple[bytes, str]] = {
    "negative offset": (files.entry(files.FLOAT, (1,), offset=-8, size=4), "negative"),
    "negative size": (files.entry(files.FLOAT, (1,), size=-4), "negative"),
    "negative shard": (files.entry(files.FLOAT, (1,), shard=-1, size=4), "negative"),
    "negative axis": (files.entry(files.FLOAT, (3, -4)), "negative"),
    "too many axes": (files.entry(files.FLOAT, (1,) * 300, size=4), "too many axes"),
    "huge axes": (files.entry(files.FLOAT, (1 << 62, 1 << 62)), "too large"),
    "huge and no axes": (files.entry(files.FLOAT, (0, 1 << 62, 4)), "too large"),
    "missing shard": (files.entry(files.FLOAT, (1,), shard=1, size=4), "does not have"),
    "unknown rank": (files.number(1, 1) + files.message(2, files.number(3, 1)), "unknown rank"),
    "truncated": (files.entry(files.FLOAT, (3, 4), size=48)[:-2], "past the end"),
    "field past the end": (b"\x12\x7f", "past the end"),
    "unknown wire kind": (b"\x0b", "unknown kind"),
    "shape is a number": (b"\x10\x01", "holds a number"),
    "offset is bytes": (b"\x22\x01a", "not a number"),
    "varint overflow": (b"\x08" + b"\xff" * 11, "64 bits"),
    "negative slice": (
        files.entry(files.FLOAT, (4,), slices=[[(-2, 1)]]),
        "negative extent",
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_impossible_entry(tmp_path: Path, name: str) -> None:
    entry, told = ENTRIES[name]
    one(tmp_path / "x", entry)
    with refused("x.index", "'w'", told):
        open_bundle(tmp_path / "x")


@pytest.mark.parametrize("number", [34, 99, 200, 1 << 40])
def test_an_unknown_dtype(tmp_path: Path, number: int) -> None:
    one(tmp_path / "x", files.entry(number, (1,), size=4))
    with refused("'w'", f"number {number}", kind=UnsupportedError):
        open_bundle(tmp_path / "x")


@pytest.mark.parametrize("number", [0, 20, 101, 107])
def test_a_dtype_that_cannot_be_stored(tmp_path: Path, number: int) -> None:
    one(tmp_path / "x", files.entry(number, (), size=4))
    files.data_file(tmp_path / "x").write_bytes(bytes(4))
    with refused("'w'"):
        open_bundle(tmp_path / "x").read_all()


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    one(tmp_path / "x", files.entry(files.FLOAT, (1,)), name=b"w\xff")
    with refused("UTF-8"):
        open_bundle(tmp_path / "x")


def test_tensors_that_overlap(tmp_path: Path) -> None:
    entries = {
        b"a": files.entry(files.FLOAT, (4,), size=16),
        b"b": files.entry(files.FLOAT, (4,), offset=12, size=16),
    }
    files.write_index(tmp_path / "x", entries)
    with refused("x.index", "'b'", "overlaps"):
        open_bundle(tmp_path / "x")


def test_too_many_tensors(prefix: Path) -> None:
    with refused("ckpt.index", "too many tensors"):
        open_bundle(prefix, limits=Limits(tensors=1))
    assert len(open_bundle(prefix, limits=Limits(tensors=2))) == 2


# The data files.


def test_a_missing_data_file(prefix: Path) -> None:
    files.data_file(prefix).unlink()
    bundle = open_bundle(prefix)
    with refused("ckpt.data-00000-of-00001", "'kernel'", "missing"):
        bundle["kernel"].read()


def test_a_truncated_data_file(prefix: Path) -> None:
    data = files.data_file(prefix)
    data.write_bytes(data.read_bytes()[:-1])
    bundle = open_bundle(prefix)
    bundle["bias"].read()
    with refused("ckpt.data-00000-of-00001", "'kernel'", "outside its data file"):
        bundle["kernel"].read()
    with refused("'kernel'"):
        bundle["kernel"].read_slice(slice(2, 3), verify=False)


def test_a_flipped_bit_in_the_data(prefix: Path) -> None:
    flip(files.data_file(prefix), 20)
    bundle = open_bundle(prefix)
    bundle.verify("bias")
    for read in (
        bundle["kernel"].read,
        lambda: bundle["kernel"].read_slice("0,1:-"),
        bundle.verify,
        bundle.read_all,
    ):
        with refused("ckpt.data-00000-of-00001", "'kernel'", "checksum", "offset: 16"):
            read()
    assert bundle["kernel"].read(verify=False).shape == (3, 4)


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 4), 44), ((3, 4), 52), ((1 << 40,), 48), ((), 0), ((0,), 4)]
)
def test_a_shape_that_does_not_fit_the_size(
    tmp_path: Path, shape: tuple[int, ...], size: int
) -> None:
    one(tmp_path / "x", files.entry(files.FLOAT, shape, size=size))
    files.data_file(tmp_path / "x").write_bytes(bytes(64))
    with refused("x.data-00000-of-00001", "'w'", "does not fit"):
        read_all(tmp_path / "x")


def strings(lengths: bytes, text: bytes, crc_of: bytes) -> bytes:
    return lengths + struct.pack("<I", files.masked(crc_of)) + text


STRINGS: dict[str, tuple[tuple[int, ...], bytes, str]] = {
    "more elements than bytes": ((1 << 40,), b"\0" * 8, "more elements than bytes"),
    "cut lengths": ((3,), b"\x80\x80\x80\x80", "cut short"),
    "long varint": ((1,), b"\xff" * 10 + b"\x01" + bytes(8), "63 bits"),
    "huge string": ((1,), b"\xff\xff\xff\xff\x7f" + bytes(8), "longer than its tensor"),
    "sum too large": ((2,), b"\x05\x05" + bytes(4) + b"123456789", "add up"),
    "sum too small": ((2,), b"\x04\x04" + bytes(4) + b"123456789", "add up"),
    "no checksum": ((2,), b"\x00\x00\x00", "add up"),
    "wrong length checksum": ((1,), b"\x01" + bytes(4) + b"a", "checksum of the lengths"),
    "wrong checksum": (
        (1,),
        strings(b"\x01", b"a", struct.pack("<I", 1)),
        "checksum of the tensor",
    ),
}


@pytest.mark.parametrize("name", STRINGS)
def test_damaged_strings(tmp_path: Path, name: str) -> None:
    shape, data, told = STRINGS[name]
    one(tmp_path / "x", files.entry(files.STRING, shape, size=len(data)))
    files.data_file(tmp_path / "x").write_bytes(data)
    with refused("x.data-00000-of-00001", "'w'", told):
        read_all(tmp_path / "x")


# Partitioned tensors.


def part_key(start: int, length: int) -> bytes:
    """The key of a slice of tensor `w` along its only axis, for numbers below 64."""
    return b"\0w\0\1\1\1" + bytes([0x80 | start, 0x80 | length])


def partitioned(prefix: Path, parts: list[tuple[int, int]], shape: tuple[int, ...] = (4,)) -> None:
    """Tensor `w` with these slices, each with bytes of its own."""
    records, data = {}, b""
    for start, length in parts:
        raw = bytes(4 * length)
        records[part_key(start, length)] = files.entry(
            files.FLOAT, (length,), offset=len(data), size=len(raw), crc=files.masked(raw)
        )
        data += raw
    records[b"w"] = files.entry(files.FLOAT, shape, slices=[[part] for part in parts])
    files.write_index(prefix, records)
    files.data_file(prefix).write_bytes(data)


PARTS: dict[str, tuple[list[tuple[int, int]], tuple[int, ...], str]] = {
    "a gap": ([(0, 2), (3, 1)], (4,), "cover it exactly once"),
    "an overlap": ([(0, 3), (2, 2)], (4,), "cover it exactly once"),
    "an overlap and a gap": ([(0, 2), (1, 2)], (4,), "leave parts of it out"),
    "outside": ([(0, 2), (2, 3)], (4,), "outside its tensor"),
    "wrong rank": ([(0, 2), (2, 2)], (4, 1), "outside its tensor"),
}


@pytest.mark.parametrize("name", PARTS)
def test_slices_that_do_not_make_the_tensor(tmp_path: Path, name: str) -> None:
    parts, shape, told = PARTS[name]
    partitioned(tmp_path / "x", parts, shape)
    with refused("x.index", "'w'", told):
        read_all(tmp_path / "x")


def test_a_missing_slice(tmp_path: Path) -> None:
    one(tmp_path / "x", files.entry(files.FLOAT, (4,), slices=[[(0, 2)], [(2, 2)]]))
    with refused("'w'", "missing"):
        read_all(tmp_path / "x")


def test_slices_that_share_their_bytes(tmp_path: Path) -> None:
    raw = bytes(4 * 32)
    shared = files.entry(files.FLOAT, (32,), size=len(raw), crc=files.masked(raw))
    keys = {part_key(0, 32): shared, part_key(32, 32): shared}
    whole = files.entry(files.FLOAT, (64,), slices=[[(0, 32)], [(32, 32)]])
    files.write_index(tmp_path / "x", {**keys, b"w": whole})
    files.data_file(tmp_path / "x").write_bytes(raw)
    with refused("'w'", "in one place"):
        read_all(tmp_path / "x")


def test_a_slice_of_another_shape(tmp_path: Path) -> None:
    keys = {part_key(0, 4): files.entry(files.FLOAT, (5,), size=20)}
    whole = files.entry(files.FLOAT, (4,), slices=[[(0, 4)]])
    files.write_index(tmp_path / "x", {**keys, b"w": whole})
    with refused("'w'", "differs"):
        read_all(tmp_path / "x")


# Anything at all.


def opener(contents: dict[str, bytes]) -> Callable[[str], MemorySource]:
    def open_it(path: str) -> MemorySource:
        if path not in contents:
            raise FileNotFoundError(path)
        return MemorySource(path, contents[path])

    return open_it


def attempt(contents: dict[str, bytes]) -> Bundle | None:
    try:
        bundle = open_bundle("x", opener=opener(contents))
        bundle.read_all()
    except HozonError:
        return None
    return bundle


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    records=st.lists(
        st.tuples(st.binary(max_size=6), st.binary(max_size=30)),
        max_size=6,
        unique_by=lambda r: r[0],
    ),
    data=st.binary(max_size=40),
)
def test_random_records_raise_nothing_else(records: list[tuple[bytes, bytes]], data: bytes) -> None:
    rows = [(b"", files.header()), *sorted(r for r in records if r[0])]
    attempt({"x.index": files.simple_table(rows), "x.data-00000-of-00001": data})


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(contents=st.binary(max_size=60), compression=st.integers(0, 2))
def test_random_blocks_raise_nothing_else(contents: bytes, compression: int) -> None:
    attempt({"x.index": files.table([(contents, compression)], [b"z"])})


def test_every_flipped_bit_is_found(prefix: Path) -> None:
    sound = files.index_file(prefix).read_bytes()
    data = files.data_file(prefix).read_bytes()
    names = {"x.index": sound, "x.data-00000-of-00001": data}
    good = attempt(names)
    assert good is not None
    meta = files.sealed(files.block([]))
    unread = range(sound.index(meta), sound.index(meta) + len(meta))
    for name, content in names.items():
        for position in range(len(content)):
            spoilt = bytearray(content)
            spoilt[position] ^= 1 << position % 8
            found = attempt({**names, name: bytes(spoilt)})
            if found is not None:
                assert name == "x.index"
                assert position in unread or position >= len(content) - 48
                assert found.keys() == good.keys()
