"""What is prepared at the first call is prepared once, whichever thread calls first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.config.text_layers import StringLookup
from hozon.graphs.library import Library
from hozon.graphs.tables import LookupTable

THREADS = 6


def numbers() -> tuple[keras.Model, Any]:
    model = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(3) for _ in range(5))])
    return model, np.ones((2, 3), "float32")


def words() -> tuple[keras.Model, Any]:
    inputs = keras.Input((1,), dtype="string")
    lookup = StringLookup(vocabulary=["a", "b", "c"])
    model = keras.Model(inputs, keras.layers.Embedding(4, 2)(lookup(inputs)))
    return model, np.array([["b"], ["z"], ["c"]], object)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing takes so long that others come meanwhile."""

    def slowly(original: Any) -> Any:
        def wrapper(*arguments: Any) -> Any:
            time.sleep(0.02)
            return original(*arguments)

        return wrapper

    monkeypatch.setattr(Library, "require_ops", slowly(Library.require_ops))
    monkeypatch.setattr(LookupTable, "insert", slowly(LookupTable.insert))


@pytest.mark.parametrize("make", [numbers, words])
def test_threads_that_call_a_function_first_at_the_same_time(
    make: Any, slow: None, tmp_path: Path
) -> None:
    model, inputs = make()
    hozon.save_model(model, tmp_path / "m")
    truth = hozon.saved_model.load(tmp_path / "m").signatures["serving_default"]
    (name,) = truth.inputs
    (expected,) = truth(**{name: inputs}).values()
    for _ in range(3):
        function = hozon.saved_model.load(tmp_path / "m").signatures["serving_default"]
        start = Barrier(THREADS)

        def call(function: Any = function, start: Barrier = start) -> Any:
            start.wait(30)
            (found,) = function(**{name: inputs}).values()
            return np.asarray(found)

        with ThreadPoolExecutor(THREADS) as pool:
            for found in [pool.submit(call) for _ in range(THREADS)]:
                np.testing.assert_array_equal(found.result(), expected)
