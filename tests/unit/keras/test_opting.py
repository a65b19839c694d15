"""Opting in and out, for good and for a block."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras as plain
import pytest

import hozon


@pytest.fixture(autouse=True)
def saved() -> Iterator[Any]:
    """Keras' own `save`, and Keras plain before and after."""
    _restore()
    yield plain.Model.save
    _restore()


def _restore() -> None:
    module = sys.modules.get("hozon.keras")
    if module is not None:
        module.restore()


def test_importing_again_after_restore_opts_in_again(saved: Any) -> None:
    for _ in range(3):
        from hozon import keras

        assert plain.Model.save is not saved
        keras.restore()
        assert plain.Model.save is saved


@pytest.mark.parametrize(
    "statement",
    [
        "from hozon import keras",
        "import hozon.keras",
        "from hozon.keras import layers",
        "from hozon.keras.layers import Dense",
        "import hozon.keras.backend as K",
        "from hozon.keras.models import load_model",
        "import hozon.keras.applications.resnet50",
        "from hozon import tf",
        "import hozon; hozon.keras.models",
    ],
)
def test_each_import_opts_in_also_after_restore(statement: str, saved: Any) -> None:
    for _ in range(2):
        exec(statement, {})  # as users write it
        assert plain.Model.save is not saved
        hozon.keras.restore()
        assert plain.Model.save is saved


def test_a_block_opts_in_and_out(saved: Any) -> None:
    for _ in range(2):
        with hozon.keras.opted_in():
            assert plain.Model.save is not saved
            with hozon.keras.opted_in():
                pass
            assert plain.Model.save is not saved
        assert plain.Model.save is saved


def test_an_error_ends_a_block(saved: Any) -> None:
    with pytest.raises(ValueError, match="inside"), hozon.keras.opted_in():
        raise ValueError("inside")
    assert plain.Model.save is saved


def test_a_block_within_an_opt_in_ends_nothing(saved: Any) -> None:
    from hozon import keras

    with keras.opted_in():
        pass
    with hozon.keras.opted_in():
        pass
    assert plain.Model.save is not saved


def test_restore_within_a_block(saved: Any) -> None:
    with hozon.keras.opted_in():
        hozon.keras.restore()
        assert plain.Model.save is saved
    assert plain.Model.save is saved
    from hozon import keras

    assert plain.Model.save is not saved
    assert keras.Model is plain.Model


def test_blocks_of_threads_overlap(saved: Any) -> None:
    from hozon.keras.opting import opted_in

    def block(_: int) -> bool:
        with opted_in():
            return plain.Model.save is not saved

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(block, range(200)))
    assert plain.Model.save is saved


def test_a_block_is_seen_by_its_own_thread_alone(saved: Any) -> None:
    names = ("save", "load_weights", "add_weight", "add_loss", "add_metric", "add_variable")

    def seen() -> list[Any]:
        return [getattr(plain.Model, name, None) for name in names]

    own, layer = seen(), plain.layers.Dense(1)
    with ThreadPoolExecutor(1) as pool, hozon.keras.opted_in():
        assert not {*map(id, seen()[:3])} & {*map(id, own)}
        assert pool.submit(seen).result() == own
        assert pool.submit(lambda: layer.add_weight).result().__func__ is own[2]
        with hozon.keras.opted_in():
            hozon.keras.restore()
            assert seen() == own
        assert plain.Model.save is not saved
    assert seen() == own
    assert vars(plain.Model)["save"] is saved


def test_modules_give_what_hozon_replaces_and_keras_rest() -> None:
    from hozon.keras.applications.resnet50 import preprocess_input
    from hozon.keras.layers import Dense
    from hozon.keras.models import load_model

    assert load_model.__module__.startswith("hozon.")
    assert Dense is plain.layers.Dense
    assert preprocess_input is plain.applications.resnet50.preprocess_input
    assert sys.modules["keras.models"] is plain.models
    assert plain.models.load_model is not load_model
