"""The opt-in, for one test at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def keras() -> Iterator[Any]:
    from hozon import keras as opted_in

    opted_in.hooks.install()
    yield opted_in
    opted_in.restore()
