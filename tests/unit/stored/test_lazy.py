"""Tensors read when asked, and the ways to name a part of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hozon.errors import FormatError, MismatchError
from hozon.formats.bundle import open_bundle, write_bundle
from hozon.stored.dtypes import FLOAT32, STRING
from hozon.stored.extents import extents_of, full_extents, intersect, relative
from hozon.stored.lazy import OnDemand, lazy_array
from hozon.stored.streams import Parts

ARRAY = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_an_array_as_a_tensor() -> None:
    tensor = lazy_array("x", ARRAY)
    assert (tensor.shape, tensor.ndim, tensor.size, tensor.nbytes) == ((2, 3, 4), 3, 24, 96)
    assert tensor.dtype is FLOAT32
    np.testing.assert_array_equal(tensor.read(), ARRAY, strict=True)
    np.testing.assert_array_equal(np.asarray(tensor), ARRAY, strict=True)
    assert np.asarray(tensor, np.float64).dtype == np.float64
    assert not tensor.read().flags.writeable
    assert ARRAY.flags.writeable
    assert repr(tensor) == "LazyTensor('x', shape=(2, 3, 4), dtype=float32)"


def test_a_strided_array_and_a_scalar() -> None:
    np.testing.assert_array_equal(lazy_array("t", ARRAY.T).read(), ARRAY.T, strict=True)
    assert lazy_array("t", ARRAY.T).read().flags.c_contiguous
    assert lazy_array("s", np.array(3)).read().shape == ()
    assert lazy_array("o", np.array([b"a"], object)).dtype is STRING


@pytest.mark.parametrize(
    ("part", "index"),
    [
        ("-:-:-", np.s_[:, :, :]),
        ("0,1:1,2:-", np.s_[0:1, 1:3, :]),
        ("2 3 4 1,1:-:0,2", np.s_[1:2, :, 0:2]),
        (np.s_[1], np.s_[1]),
        (np.s_[1:, -1], np.s_[1:, -1]),
        (np.s_[:, 1:99, 2:0], np.s_[:, 1:99, 2:0]),
        ((), np.s_[:]),
    ],
)
def test_parts(part: Any, index: Any) -> None:
    found = lazy_array("x", ARRAY).read_slice(part)
    np.testing.assert_array_equal(found, ARRAY[index], strict=True)


@pytest.mark.parametrize(
    "part",
    [
        "",
        "-",
        "-:-:-:-",
        "0,3:-:-",
        "a,1:-:-",
        "-1,1:-:-",
        "0,1:-:-,",
        "2 3 5 -:-:-",
        "2 3 -:-:-",
        "x 3 4 -:-:-",
        2,
        np.s_[::2],
        np.s_[0, 0, 0, 0],
        np.s_[0, 3],
        "99999999999999999999,1:-:-",
    ],
)
def test_parts_that_do_not_fit(part: Any) -> None:
    with pytest.raises(MismatchError, match=r"no part of tensor 'x'.*\(2, 3, 4\)"):
        lazy_array("x", ARRAY).read_slice(part)


def test_extents() -> None:
    whole = full_extents((4, 5))
    assert whole == ((0, 4), (0, 5))
    assert intersect(((0, 3), (0, 5)), ((2, 2), (1, 9))) == ((2, 1), (1, 4))
    assert intersect(((0, 2), (0, 5)), ((2, 2), (0, 5))) is None
    assert relative(((2, 1), (1, 4)), ((2, 2), (1, 9))) == ((0, 1), (0, 4))
    assert extents_of((1, slice(1, 2)), (4, 5), "x") == (((1, 1), (1, 1)), (False, True))


def test_parts_on_demand(tmp_path: Path) -> None:
    """A part of what is stored in slices is read without the rest, its checksum compared."""
    value = np.arange(12, dtype=np.float32).reshape(4, 3)
    halves = [(((0, 2), (0, 3)), value[:2]), (((2, 2), (0, 3)), value[2:])]
    write_bundle(tmp_path / "c", {"w": Parts((4, 3), FLOAT32, halves), "v": value})
    assert not open_bundle(tmp_path / "c")["v"].in_parts
    tensor = open_bundle(tmp_path / "c")["w"]
    assert tensor.in_parts
    lazy = OnDemand(tensor)
    np.testing.assert_array_equal(lazy[1:3, 0:2], value[1:3, 0:2])
    np.testing.assert_array_equal(np.asarray(lazy), value)
    file = tmp_path / "c.data-00000-of-00001"
    file.write_bytes(file.read_bytes().replace(value[3:].tobytes(), b"x" * 12))
    damaged = OnDemand(open_bundle(tmp_path / "c")["w"])
    np.testing.assert_array_equal(damaged[0:2, 0:3], value[:2])
    with pytest.raises(FormatError, match="checksum"):
        damaged[2:4, 0:1]
