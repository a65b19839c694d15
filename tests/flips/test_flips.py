"""A sample of `python -m tests.flips`: every form, one bit of some of its bytes."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from hozon.forms import Form
from tests.flips.flipping import WRITTEN, Flips, Outcome, small

#: Bytes of which one is taken: more where a load is slow.
EVERY = 101


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small()


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_no_flipped_bit_is_accepted_silently(
    form: Form, model: keras.Model, tmp_path: Path
) -> None:
    counts = Flips(form, tmp_path / "m", model).count(EVERY, 1, print)
    assert counts.silent == []
    assert counts.outcomes[Outcome.FOUND] > 0
