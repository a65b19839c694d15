"""The opt-in, for one test at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import hozon


@pytest.fixture
def keras() -> Iterator[Any]:
    opted_in = hozon.keras
    with opted_in.opted_in():
        yield opted_in
