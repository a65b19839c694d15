"""Names by row, and rows by name."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hozon.formats.bundle.names import Names, joined


@given(st.sets(st.text(max_size=6), max_size=30), st.integers(1, 8))
def test_names_in_pieces(given_names: set[str], size: int) -> None:
    ordered = sorted(name.encode() for name in given_names)
    pieces = [joined(ordered[start : start + size]) for start in range(0, len(ordered), size)]
    names = Names([joined([]), *pieces])
    assert list(names) == sorted(given_names)
    assert [names[row] for row in range(len(names))] == list(names)
    for row, name in enumerate(names):
        assert names.row(name) == row
        assert (names.row(name + "\0") is None) == (name + "\0" not in given_names)


def test_no_names() -> None:
    assert list(Names([])) == []
    assert Names([]).row("a") is None
    assert np.array(Names([])).size == 0
