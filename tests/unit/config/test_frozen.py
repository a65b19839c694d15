"""Layers that are frozen inside of layers of users' classes come back frozen, or it is told."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from tests.oracle.client import Oracle
from tests.unit.config.test_constructors import OPENED

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore")
FORMS = [
    ("m.keras", "keras3"),
    ("m.keras", "keras2"),
    ("m.h5", "keras2"),
    ("m.h5", "keras3"),
    ("m", None),
]


class Pair(layers.Layer):  # type: ignore[misc]
    """Makes layers of one shape, and one in a list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(4, name="same")
        self.rest = [layers.Dense(4, name="same")]

    def build(self, shape: Any) -> None:
        self.first.build(shape)
        self.rest[0].build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return self.rest[0](self.first(x))

    def get_config(self) -> dict[str, Any]:
        return super().get_config()  # type: ignore[no-any-return]


def model_of(which: str, nested: bool = False) -> keras.Model:
    pair = Pair(name="pair")
    parts = [keras.Input((4,)), pair, layers.Dense(2)]
    model = keras.Sequential(parts)
    if nested:
        model = keras.Sequential([keras.Input((4,)), model, layers.Dense(1)])
    (pair.first if which == "first" else pair.rest[0]).trainable = False
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(X, np.ones((8, model.output_shape[-1])), verbose=0)
    return model


@pytest.mark.parametrize(("form", "dialect"), FORMS)
@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("nested", [False, True])
def test_it_comes_back_frozen(
    which: str, nested: bool, form: str, dialect: Any, tmp_path: Path
) -> None:
    model = model_of(which, nested)
    report = hozon.save_model(model, tmp_path / form, dialect=dialect)
    again = hozon.load_model(tmp_path / form, custom_objects={"Pair": Pair})
    np.testing.assert_array_equal(again(X), model(X))
    assert len(again.trainable_variables) == len(model.trainable_variables)
    assert form == "m" or any("trains all of pair" in line for line in report.lost)
    if again.load_report.lost:  # Keras 2 tells slots by names, which are those of two variables
        assert (form, dialect) == ("m.h5", "keras2")
        assert all(line.startswith("optimizer/") for line in again.load_report.lost)
        return
    y = np.ones((8, model.output_shape[-1]))
    for live in (model, again):
        live.fit(X, y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(again(X), model(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_tensorflows_keras_finds_each_weight_in_its_place(
    form: str, oracle: Oracle, tmp_path: Path
) -> None:
    models = {f"{w} {n}": model_of(w, n) for w in ("first", "second") for n in (False, True)}
    paths = {name: str(tmp_path / f"{i}.{form}") for i, name in enumerate(models)}
    for name, model in models.items():
        hozon.save_model(model, paths[name], dialect="keras2", include_optimizer=False)
    found = oracle.python(OPENED, sources=[inspect.getsource(Pair)], paths=paths, x=X)
    for name, model in models.items():
        assert not isinstance(found[name], str), found[name]
        np.testing.assert_allclose(found[name], model(X), rtol=1e-5, atol=1e-6)


class Half(layers.Layer):  # type: ignore[misc]
    """Freezes one of two layers of one shape itself, and a variable among trained ones."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frozen = layers.Dense(4, name="frozen")
        self.frozen.trainable = False
        self.trained = layers.Dense(4, name="trained")

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(name="scale", shape=(4,), initializer="ones", trainable=False)
        self.shift = self.add_weight(name="shift", shape=(4,), initializer="zeros")
        self.frozen.build(shape)
        self.trained.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return self.trained(self.frozen(x)) * self.scale + self.shift

    def get_config(self) -> dict[str, Any]:
        return super().get_config()  # type: ignore[no-any-return]


def half() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), Half(name="half"), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(X, np.ones((8, 2)), verbose=0)
    return model


@pytest.mark.parametrize(("form", "dialect"), FORMS)
def test_what_a_class_freezes_itself_stays_frozen(
    form: str, dialect: str | None, tmp_path: Path
) -> None:
    model = half()
    hozon.save_model(model, tmp_path / form, dialect=dialect)
    back = hozon.load_model(tmp_path / form, custom_objects={"Half": Half})
    assert len(back.trainable_weights) == len(model.trainable_weights) == 5
    for live in (model, back):
        live.fit(X, np.ones((8, 2)), verbose=0, epochs=2, shuffle=False)
    np.testing.assert_allclose(back(X), model(X), rtol=1e-5, atol=1e-6)


def test_tensorflows_keras_finds_what_a_class_freezes_itself(
    oracle: Oracle, tmp_path: Path
) -> None:
    model, path = half(), str(tmp_path / "m.h5")
    hozon.save_model(model, path)
    source = inspect.getsource(Half).replace("  # type: ignore[misc]", "")
    told = oracle.python(OPENED, paths={"m": path}, x=X, sources=[source])
    np.testing.assert_allclose(told["m"], model(X), rtol=1e-5, atol=1e-6)
