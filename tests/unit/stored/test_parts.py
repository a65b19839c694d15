"""Tensors a part at a time, and the bytes that a part lies in, against NumPy."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from hozon.formats.bundle import open_bundle, write_bundle
from hozon.raw.sources import forget, map_file
from hozon.stored.extents import index_of, span_of
from hozon.stored.parts import parts_of, read_parts

SHAPES = [(), (0,), (7,), (5, 4), (3, 2, 5), (1, 9, 2), (4, 0, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limit", [1, 8, 24, 1000])
def test_parts_are_the_whole_in_order(shape: tuple[int, ...], limit: int) -> None:
    whole = np.arange(np.prod(shape, dtype=int), dtype="int32").reshape(shape)
    parts = [whole[index_of(extents)].reshape(-1) for extents in parts_of(shape, 4, limit)]
    assert all(part.nbytes <= max(limit, 4) for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), whole.reshape(-1))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_span_holds_its_part(shape: tuple[int, ...]) -> None:
    whole = np.arange(np.prod(shape, dtype=int), dtype="int32").reshape(shape)
    random = np.random.default_rng(0)
    for _ in range(50):
        starts = [int(random.integers(0, n + 1)) for n in shape]
        extents = tuple(
            (a, int(random.integers(0, n - a + 1))) for a, n in zip(starts, shape, strict=True)
        )
        span = span_of(extents, shape, 4)
        data = whole.tobytes()[span.offset : span.offset + span.nbytes]
        found = np.frombuffer(data, "int32").reshape(span.shape)[span.index]
        np.testing.assert_array_equal(found, whole[index_of(extents)])


def test_what_is_forgotten_is_there_again(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(1000, 1000))
    write_bundle(tmp_path / "c", {"x": values})
    tensor = open_bundle(tmp_path / "c")["x"]
    found = [np.array(part) for part in read_parts(tensor, 1 << 16)]
    np.testing.assert_array_equal(np.concatenate(found), values.reshape(-1))
    view = map_file(tmp_path / "c.data-00000-of-00001").view(mmap.PAGESIZE + 3, 5000)
    before = view.copy()
    forget(view)
    np.testing.assert_array_equal(view, before)
    mine = np.ones(10, np.uint8)
    forget(mine)
    assert mine.all()
