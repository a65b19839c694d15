"""Statistics of tensors of every kind, against NumPy's."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from hozon.page.statistics import statistics_of
from hozon.stored.lazy import lazy_array

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(3, 2, (1000, 1200)),
        RANDOM.normal(size=(7, 5)).astype("float32"),
        RANDOM.normal(size=99).astype("float16"),
        RANDOM.normal(size=99).astype(ml_dtypes.bfloat16),
        RANDOM.integers(-9, 9, (4, 4)),
        np.array([True, False, False]),
        np.full(10, 3.0),
        np.array(2.5),
    ],
    ids=lambda v: f"{v.dtype}{v.shape}",
)
def test_numbers(values: np.ndarray) -> None:
    found, wide = statistics_of(lazy_array("x", values)), values.astype("float64")
    assert (found.least, found.most) == (wide.min(), wide.max())
    assert found.mean == pytest.approx(wide.mean(), rel=1e-9, abs=1e-12)
    assert found.deviation == pytest.approx(wide.std(), rel=1e-6, abs=1e-9)
    assert found.zeros == int((wide == 0).sum())
    assert sum(found.bins) > 0
    assert len(found.bins) in (1, 32)


def test_what_is_no_number() -> None:
    found = statistics_of(lazy_array("x", np.array([1.0, np.nan, np.inf, -1.0])))
    assert (found.odd, found.least, found.most) == (2, -1.0, 1.0)
    assert statistics_of(lazy_array("x", np.array([np.nan]))).problem
    assert statistics_of(lazy_array("x", np.array([b"a"], object))).problem
    assert statistics_of(lazy_array("x", np.empty(0))).problem
    huge = np.array([-1.7e308, 1.7e308])
    assert sum(statistics_of(lazy_array("x", huge)).bins) == 2
