"""Models and places that cannot be saved: an error that says why, and nothing has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from keras import layers, ops

import hozon
from hozon import SaveError, UnsupportedError


def plain() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), layers.Dense(1)])


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(SaveError, match="is a file"):
        hozon.save_model(plain(), tmp_path / "m")
    assert (tmp_path / "m").read_text() == "mine"


def test_a_directory_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.txt").write_text("mine")
    with pytest.raises(SaveError, match="something else"):
        hozon.save_model(plain(), tmp_path / "m")
    assert [p.name for p in tmp_path.rglob("*")] == ["m", "thesis.txt"]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SaveError):
        hozon.save_model(plain(), tmp_path / "no" / "such" / "m")


def test_no_overwriting(tmp_path: Path) -> None:
    hozon.save_model(plain(), tmp_path / "m")
    before = (tmp_path / "m" / "saved_model.pb").read_bytes()
    with pytest.raises(SaveError, match="exists already"):
        hozon.save_model(plain(), tmp_path / "m", overwrite=False)
    assert (tmp_path / "m" / "saved_model.pb").read_bytes() == before


def test_a_model_that_was_never_built(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="never been built"):
        hozon.save_model(keras.Sequential([layers.Dense(1)]), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


class Deciding(keras.Model):
    """Python that looks at a value."""

    def call(self, inputs: Any) -> Any:
        return inputs if float(ops.sum(inputs)) > 0 else -inputs


class Counting(keras.Model):
    """State in a plain attribute."""

    total: Any = None

    def call(self, inputs: Any) -> Any:
        self.total = ops.sum(inputs)
        return inputs * 2


class Looping(keras.Model):
    """Python that loops over the batch."""

    def call(self, inputs: Any) -> Any:
        return ops.stack([inputs[i] for i in range(inputs.shape[0])])


@pytest.mark.parametrize("kind", [Deciding, Counting, Looping])
def test_a_call_that_cannot_be_traced(kind: type[keras.Model], tmp_path: Path) -> None:
    model = kind()
    model(np.ones((2, 3), np.float32))
    before = dict(vars(model))
    with pytest.raises(UnsupportedError) as raised:
        hozon.save_model(model, tmp_path / "m")
    assert model.name in str(raised.value)
    assert raised.value.instead
    assert vars(model) == before
    assert list(tmp_path.iterdir()) == []


def test_several_arguments_of_unknown_shape(tmp_path: Path) -> None:
    class Two(keras.Model):
        def call(self, first: Any, second: Any) -> Any:
            return first + second

    model = Two()
    model(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))
    with pytest.raises(SaveError, match="second"):
        hozon.save_model(model, tmp_path / "m")


def test_native_ops_only(tmp_path: Path) -> None:
    class Odd(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return jax.vmap(lambda a: jax.scipy.linalg.schur(a)[0])(inputs)

    x = keras.Input((3, 3))
    model = keras.Model(x, Odd()(x))
    with pytest.raises(UnsupportedError, match="schur"):
        hozon.save_model(model, tmp_path / "m", native_ops_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"format": "zip"}, {"signatures": {"a": 3}}])
def test_wrong_options(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=r"format|signatures"):
        hozon.save_model(plain(), tmp_path / "m", **options)
    assert list(tmp_path.iterdir()) == []


def test_options_that_a_format_cannot_hold(tmp_path: Path) -> None:
    given = {"s": (lambda x: x, {"x": ((None, 2), "float32")})}
    with pytest.raises(UnsupportedError, match="functions"):
        hozon.save_model(plain(), tmp_path / "m.h5", signatures=given)
    with pytest.raises(UnsupportedError, match="dialect"):
        hozon.save_model(plain(), tmp_path / "m", dialect="keras3")
    assert list(tmp_path.iterdir()) == []


def test_saving_changes_nothing(tmp_path: Path) -> None:
    class Lossy(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(ops.mean(inputs))
            return inputs

    x = keras.Input((2,))
    model = keras.Model(x, layers.Dropout(0.5)(Lossy()(x)))
    model(np.ones((2, 2), np.float32), training=True)
    before = [float(v) for v in model.losses], [np.asarray(v) for v in model.variables]
    hozon.save_model(model, tmp_path / "m")
    assert [float(v) for v in model.losses] == before[0]
    for new, old in zip(model.variables, before[1], strict=True):
        np.testing.assert_array_equal(np.asarray(new), old)


def test_two_layers_of_one_name(tmp_path: Path) -> None:
    class Twins(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one = layers.Dense(2, name="same")
            self.two = layers.Dense(2, name="same")

        def call(self, inputs: Any) -> Any:
            return self.two(self.one(inputs))

    model = Twins()
    x = np.ones((2, 2), np.float32)
    expected = np.asarray(model(x))
    hozon.save_model(model, tmp_path / "m")
    np.testing.assert_allclose(
        hozon.load_model(tmp_path / "m", compile=False).predict(x, verbose=0), expected, rtol=1e-6
    )
