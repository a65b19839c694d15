"""Models of architectures alone."""

from __future__ import annotations

import keras
import numpy as np

import hozon


def text_model() -> keras.Model:
    """Text to the place of each word in a vocabulary."""
    text = keras.Input((1,), dtype="string")
    looked_up = hozon.layers.StringLookup(vocabulary=["plum", "fig"])(text)
    return keras.Model(text, looked_up)


def test_a_model_made_of_json_takes_strings() -> None:
    made = hozon.model_from_json(hozon.model_to_json(text_model()))
    assert np.array_equal(made(np.array([["fig"], ["kiwi"]])), [[2], [0]])


def test_a_clone_takes_strings() -> None:
    made = hozon.clone_model(text_model())
    assert np.array_equal(made(np.array([["fig"], ["kiwi"]])), [[2], [0]])
