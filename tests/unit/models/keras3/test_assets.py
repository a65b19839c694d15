"""Vocabularies in ``.keras`` files: a token a line, or refused."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import UnsupportedError

WORDS = np.array([["a"], ["b\nc"], ["b"], [""], ["b\rc"]])
KINDS = [hozon.layers.StringLookup, hozon.layers.TextVectorization]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("words", [["a", "b\nc"], ["a", "b\rc"], ["a", ""]], ids=repr)
def test_a_token_that_is_no_line(kind: type, words: list[str], tmp_path: Path) -> None:
    if kind is hozon.layers.TextVectorization and "" in words:
        pytest.skip("which a TextVectorization has as its mask")
    layer = kind(vocabulary=words)
    model = keras.Sequential([keras.Input((1,), dtype="string"), layer])
    with pytest.raises(UnsupportedError, match=r"the vocabulary of layer .* a token a line"):
        hozon.save_model(model, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []
    for name in ("m", "m.h5"):
        hozon.save_model(model, tmp_path / name)
        again = hozon.load_model(tmp_path / name, compile=False)
        np.testing.assert_array_equal(np.asarray(again(WORDS)), np.asarray(model(WORDS)))


def test_an_empty_token_among_others(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            hozon.layers.StringLookup(vocabulary=["a", "", "b"]),
        ]
    )
    hozon.save_model(model, tmp_path / "m.keras")
    again = hozon.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_array_equal(np.asarray(again(WORDS)), np.asarray(model(WORDS)))
