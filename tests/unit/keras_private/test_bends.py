"""What bends Keras for one thread leaves it as it is for all others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from threading import Barrier
from typing import Any

import jax
import keras
import ml_dtypes
import numpy as np
from jax import export

import hozon
from hozon.keras_private.bends import asked, bend
from hozon.keras_private.tracing import symbolic_sizes, tracing_for_file
from hozon.keras_private.values import deferred_initializers

TEXT = np.dtype(ml_dtypes.uint2)


def beside(function: Callable[[], Any]) -> Any:
    """What a function gives in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def ones_of_a_new_layer() -> float:
    layer = keras.layers.Dense(3, kernel_initializer="ones")
    layer.build((None, 2))
    return float(np.sum(layer.get_weights()[0]))


def test_a_bend_asks_and_keeps_the_signature() -> None:
    class Thing:
        def double(self, x: int) -> int:
            """Twice."""
            return 2 * x

    wanted: ContextVar[bool] = ContextVar("wanted", default=False)
    bend(Thing, "double", lambda plain: lambda self, x: -1 if wanted.get() else plain(self, x))
    with asked(wanted, True):
        assert Thing().double(4) == -1
        assert beside(lambda: Thing().double(4)) == 8
    assert Thing().double(4) == 8
    assert Thing.double.__doc__ == "Twice."


def test_initializers_are_deferred_for_the_thread_that_asks() -> None:
    with deferred_initializers() as deferred:
        assert ones_of_a_new_layer() == 0
        assert beside(ones_of_a_new_layer) == 6
        deferred.finish()
    assert ones_of_a_new_layer() == 6


def test_deferrals_that_overlap_end_each_by_itself() -> None:
    first_in, second_in, first_out = Barrier(2), Barrier(2), Barrier(2)

    def first() -> None:
        with deferred_initializers():
            first_in.wait(10)
            second_in.wait(10)
        first_out.wait(10)

    def second() -> float:
        first_in.wait(10)
        with deferred_initializers():
            second_in.wait(10)
            first_out.wait(10)
        return ones_of_a_new_layer()

    with ThreadPoolExecutor(2) as pool:
        done, summed = pool.submit(first), pool.submit(second)
        done.result()
        assert summed.result() == 6
    assert ones_of_a_new_layer() == 6


def test_dtypes_and_warnings_are_bent_for_the_thread_that_traces() -> None:
    def name() -> str:
        try:
            return str(keras.backend.standardize_dtype(TEXT))
        except ValueError as error:
            return str(error)

    before = list(warnings.filters)
    with tracing_for_file(TEXT):
        assert name() == "string"
        assert keras.backend.standardize_dtype("int64") == "int32"
        assert beside(name).startswith("Invalid dtype")
        assert beside(lambda: keras.backend.standardize_dtype("int64")) == "int64"
        assert beside(keras.config.is_traceback_filtering_enabled)
        assert warnings.filters == before
    assert name().startswith("Invalid dtype")


def test_time_distributed_is_bent_for_the_thread_that_asks() -> None:
    layer = keras.layers.TimeDistributed(keras.layers.Dense(5))
    layer.build((None, None, 3))
    inputs = jax.ShapeDtypeStruct(export.symbolic_shape("batch, steps, 3"), "float32")

    def call() -> str:
        try:
            return str(jax.eval_shape(lambda x: layer.call(x), inputs).shape)
        except TypeError as error:
            return type(error).__name__

    plain = call()
    with symbolic_sizes():
        assert call() == "(batch, steps, 5)" != plain
        assert beside(call) == plain
    assert call() == plain


def test_what_threads_load_and_build_at_once_is_right(tmp_path: Path) -> None:
    """Of a model that loads slowly, one that loads fast, and layers that nobody loads."""

    def net(layers: int) -> keras.Model:
        return keras.Sequential(
            [keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(layers))]
        )

    truth = {}
    for name, model in {"few.keras": net(3), "many.keras": net(40), "many.h5": net(40)}.items():
        hozon.save_model(model, tmp_path / name)
        truth[name] = model.get_weights()

    def loads(name: str) -> bool:
        got = hozon.load_model(tmp_path / name, compile=False).get_weights()
        return all(np.array_equal(a, b) for a, b in zip(got, truth[name], strict=True))

    work: list[Callable[[], bool]] = [
        *(lambda name=name: loads(name) for name in [*truth] * 4),
        *[lambda: ones_of_a_new_layer() == 6] * 60,
    ]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda one: one(), work))
