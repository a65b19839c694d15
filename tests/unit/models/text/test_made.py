"""Models that read text take strings; all others are Keras' own, whatever they are given."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest

from hozon.layers import StringLookup
from hozon.models.text.made import reads_text
from hozon.models.text.strings import StringInputs

TEXT = np.array([["a"], ["b"]], object)


def reader() -> keras.Model:
    return keras.Sequential(
        [keras.Input((1,), dtype="string"), StringLookup(vocabulary=["a"], name="s")]
    )


def test_a_model_that_reads_no_text_is_left_alone() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises((TypeError, ValueError)):
        model(TEXT)
    with pytest.raises((TypeError, ValueError)):
        model.predict(TEXT, verbose=0)
    assert type(model) is keras.Sequential


def test_text_layers_are_found_at_any_depth() -> None:
    class Holder(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = StringLookup(vocabulary=["a"])

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.holder = Holder()

    assert reads_text(Model())
    assert reads_text(reader())
    assert not reads_text(keras.Sequential([keras.layers.Dense(1)]))


def test_a_model_takes_strings_in_any_thread() -> None:
    found: list[object] = []
    worker = threading.Thread(target=lambda: found.append(np.asarray(reader()(TEXT)).tolist()))
    worker.start()
    worker.join()
    assert found == [[[1], [0]]]
    model = reader()
    np.testing.assert_array_equal(model.predict(TEXT, verbose=0), [[1], [0]])
    assert isinstance(model, StringInputs)
