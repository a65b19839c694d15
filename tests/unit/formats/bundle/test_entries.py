"""Entries in columns: those that are decoded one by one, or left to be so decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hozon.formats.bundle import index as index_module
from hozon.formats.bundle import open_bundle
from hozon.formats.bundle.entries import Shapes, decoded
from hozon.formats.bundle.layout import Entry, read_entry, write_entry
from hozon.formats.sstable.rows import _in_turn
from hozon.raw.location import Location
from tests.oracle.client import Oracle

WHERE = Location("x.index", "w")
SIZES = st.one_of(st.just(0), st.integers(0, 300), st.integers(0, (1 << 63) - 1))
ENTRIES = st.builds(
    Entry,
    st.integers(0, 300),
    st.lists(st.integers(0, 1 << 20), max_size=5).map(tuple),
    st.integers(0, 1000),
    SIZES,
    SIZES,
    st.integers(0, (1 << 32) - 1),
    st.just(()),
)

MANY = """
names = [f"block_{i // 7}/dense_{i % 7}/kernel" for i in range(count)]
tensors = [tf.zeros([i % 3, 2][: i % 4], [tf.float32, tf.int64][i % 2]) for i in range(count)]
tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * count,
                  tensors=tensors)
"""


@given(st.lists(ENTRIES, min_size=1, max_size=40))
@settings(deadline=None)
def test_many_are_decoded_as_one(entries: list[Entry]) -> None:
    shapes = Shapes()
    records = decoded(_in_turn([(b"", write_entry(entry)) for entry in entries]), shapes)
    assert records is not None
    assert [
        Entry(dtype, shapes.listed[shape], *rest, ()) for dtype, shape, *rest in records.tolist()
    ] == entries


@pytest.mark.parametrize(
    "unusual",
    [
        b"\x08\x01\x12\x00\x40\x05",
        b"\x12\x00\x08\x01",
        write_entry(Entry(1, (4,), 0, 0, 16, 0, (((0, 2),),))),
        b"\x08\x01\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x08\x01\x12\x04\x1a\x02ab",
    ],
    ids=["unknown field", "another order", "slices", "64 bits", "an axis cut short"],
)
def test_what_is_unusual_is_left_to_be_decoded_alone(unusual: bytes) -> None:
    assert decoded(_in_turn([(b"a", b"\x08\x01"), (b"b", unusual)]), Shapes()) is None


def test_a_checkpoint_of_tensorflow_is_decoded_in_columns(
    oracle: Oracle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = str(tmp_path / "many")
    oracle.python(MANY, prefix=prefix, count=9000)
    alone: list[bytes] = []

    def counting(data: bytes, where: Location) -> Entry:
        alone.append(data)
        return read_entry(data, where)

    monkeypatch.setattr(index_module, "read_entry", counting)
    bundle = open_bundle(prefix)
    assert alone == []
    assert len(bundle) == 9000
    for number in (0, 1, 2, 3, 4444, 8999):
        found = bundle[f"block_{number // 7}/dense_{number % 7}/kernel"]
        assert found.shape == (number % 3, 2)[: number % 4]
        assert found.read().dtype == (np.int64 if number % 2 else np.float32)
    assert list(bundle) == sorted(bundle)
    assert [tensor.name for tensor in bundle.values()] == list(bundle)
    assert dict(bundle.shapes()) == {name: tensor.shape for name, tensor in bundle.items()}
    assert "block_0/dense_7/kernel" not in bundle
    rest = bundle.without("block_0/dense_0/kernel", "no such")
    assert len(rest) == len(list(rest)) == len(rest.items()) == 8999
    assert "block_0/dense_0/kernel" not in rest
