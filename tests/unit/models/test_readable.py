"""What is written by its config comes back, or is refused before anything is written."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.errors import UnsupportedError
from hozon.models import readable
from hozon.models.h5.describe import VariableSource, describe_h5
from hozon.models.keras3.describe import describe
from tests.oracle.client import Oracle
from tests.oracle.scripts import OPENED

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
FORMS = [("m.keras", "keras3"), ("m.keras", "keras2"), ("m.h5", None), ("m.h5", "keras3")]
Make = Callable[[], keras.Model]


class Product(layers.Layer):  # type: ignore[misc]
    """Has no config: Keras notes what it was made with."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(shape[-1], self.units))

    def call(self, x: Any) -> Any:
        return x @ self.w


class Silent(Product):
    """Its config misses an argument that there must be."""

    def get_config(self) -> dict[str, Any]:
        return layers.Layer.get_config(self)  # type: ignore[no-any-return]


class Defaults(Product):
    """Its config misses an argument that has a default."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return layers.Layer.get_config(self)  # type: ignore[no-any-return]


class Around(layers.Layer):  # type: ignore[misc]
    """Holds a layer, and its config says it as plain data, which the constructor takes for one."""

    def __init__(self, inner: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x: Any) -> Any:
        return self.inner(x)

    def get_config(self) -> dict[str, Any]:
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}


class Live(Around):
    """Its config holds the layer itself."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inner": self.inner}


class Read(Around):
    """Reads its config."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**{**config, "inner": inner})


class Chain(layers.Layer):  # type: ignore[misc]
    """Holds a list of layers."""

    def __init__(self, parts: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = list(parts)

    def call(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def get_config(self) -> dict[str, Any]:
        parts = [keras.saving.serialize_keras_object(part) for part in self.parts]
        return {**super().get_config(), "parts": parts}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        parts = [keras.saving.deserialize_keras_object(part) for part in config["parts"]]
        return cls(**{**config, "parts": parts})


class Cell(layers.Layer):  # type: ignore[misc]
    """A cell of an RNN."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(shape[-1], self.units))

    def call(self, x: Any, states: Any) -> Any:
        h = x @ self.w + states[0]
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Wrapped(layers.Wrapper):  # type: ignore[misc]
    """Of Keras' own way to hold a layer."""

    def call(self, x: Any) -> Any:
        return self.layer(x)


class Stack(keras.Sequential):  # type: ignore[misc]
    """Adds its layers itself, which Keras saves as well."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add(layers.Dense(units))


class Parts(keras.Model):  # type: ignore[misc]
    """A subclass with layers under attributes."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(units)
        self.rest = [layers.Dense(2)]

    def call(self, x: Any) -> Any:
        return self.rest[0](self.first(x))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class Given(keras.Model):  # type: ignore[misc]
    """Gets its layer from outside."""

    def call(self, x: Any) -> Any:
        return self.given(x)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class Constant(keras.initializers.Initializer):  # type: ignore[misc]
    """An initializer without a config."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.full(shape, self.value, dtype)


CLASSES = {
    kind.__name__: kind for kind in (Product, Defaults, Around, Read, Chain, Cell, Wrapped, Parts)
}


def of(*parts: Any, shape: tuple[int, ...] = (4,)) -> keras.Model:
    x = inputs = keras.Input(shape)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, x)


def called(model: keras.Model) -> keras.Model:
    model(X)
    return model


def given() -> keras.Model:
    model = Given()
    model.given = layers.Dense(2)
    return called(model)


def pairs(layer: Any) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Reshape((2, 2)), layer])


def both_ways() -> layers.Layer:
    with keras.saving.custom_object_scope({"Cell": Cell}):  # Keras copies the layer by its config
        return layers.Bidirectional(layers.RNN(Cell(3)))


REFUSED: dict[str, Make] = {
    "config that misses an argument": lambda: of(Silent(3)),
    "config that misses an argument, in a wrapper": lambda: pairs(
        layers.TimeDistributed(Silent(3))
    ),
    "config that misses what was not its default": lambda: of(Defaults(5)),
    "the same in a model in a model": lambda: of(of(Defaults(5)), layers.Dense(2)),
    "live layer in the config": lambda: of(Live(layers.Dense(2))),
    "layer in the config that nobody reads": lambda: of(Around(layers.Dense(2))),
    "subclass that was not made with defaults": lambda: called(Parts(5)),
    "Sequential that adds its layers itself": lambda: called(Stack()),
    "layer given from outside": given,
    "initializer without a config": lambda: of(layers.Dense(2, kernel_initializer=Constant(2.0))),
}
ACCEPTED: dict[str, Make] = {
    "without a config": lambda: of(Product(3)),
    "made with defaults": lambda: of(Defaults()),
    "layer in the config": lambda: of(Read(layers.Dense(2))),
    "model in the config": lambda: of(Read(of(layers.Dense(3), layers.Dense(2)))),
    "custom layer in the config": lambda: of(Read(Product(3))),
    "list of layers": lambda: of(Chain([layers.Dense(2), Product(3)])),
    "wrapper": lambda: of(Wrapped(layers.Dense(2))),
    "TimeDistributed": lambda: pairs(layers.TimeDistributed(Product(3))),
    "cell": lambda: pairs(layers.RNN(Cell(3))),
    "cells": lambda: pairs(layers.RNN([Cell(3), layers.GRUCell(2)])),
    "Bidirectional": lambda: pairs(both_ways()),
    "subclass": lambda: called(Parts()),
    "shared": lambda: (lambda part: of(part, part))(Read(layers.Dense(4))),
}


@pytest.mark.parametrize(("form", "dialect"), FORMS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_could_read_is_not_written(
    name: str, form: str, dialect: str | None, tmp_path: Path
) -> None:
    model = REFUSED[name]()
    with pytest.raises(UnsupportedError, match="a SavedModel, or hozon"):
        hozon.save_model(model, tmp_path / form, dialect=dialect)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("form", "dialect"), FORMS)
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_written_comes_back(
    name: str, form: str, dialect: str | None, tmp_path: Path
) -> None:
    model = ACCEPTED[name]()
    report = hozon.save_model(model, tmp_path / form, dialect=dialect)
    for load in (hozon.load_model, *by_keras(report.lost, dialect)):
        # Keras' own copying of layers, in Bidirectional, looks there alone
        scope = keras.saving.custom_object_scope(CLASSES)
        with warnings.catch_warnings(action="ignore"), scope:
            again = load(tmp_path / form, custom_objects=CLASSES)
            found = np.asarray(again(X))
        np.testing.assert_array_equal(found, np.asarray(model(X)))


def by_keras(lost: list[str], dialect: str | None) -> tuple[Any, ...]:
    """Keras' own reader, unless the report says that it cannot."""
    told = any(line.startswith("Keras 3's own reader of H5 files cannot open") for line in lost)
    return () if dialect == "keras2" or told else (keras.models.load_model,)


def is_refused(line: str) -> bool:
    """Whether a line of a report says that TensorFlow's Keras does not open the file as it is."""
    return line.startswith("TensorFlow's") and ("cannot open" in line or "alone, not by" in line)


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_tensorflows_keras_opens_what_is_written(form: str, oracle: Oracle, tmp_path: Path) -> None:
    models = {name: make() for name, make in ACCEPTED.items() if name != "Bidirectional"}
    paths = {name: str(tmp_path / f"{i}.{form}") for i, name in enumerate(models)}
    reports = {
        name: hozon.save_model(model, paths[name], dialect="keras2")
        for name, model in models.items()
    }
    opened = [name for name in models if not any(map(is_refused, reports[name].lost))]
    assert len(opened) >= len(models) // 2
    found = oracle.python(
        OPENED,
        sources=[inspect.getsource(kind) for kind in CLASSES.values()],
        paths={name: paths[name] for name in opened},
        x=X,
    )
    for name in opened:
        assert not isinstance(found[name], str), f"{name}: {found[name]}"
        np.testing.assert_allclose(found[name], np.asarray(models[name](X)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", [describe, describe_h5])
def test_nothing_is_read_and_nothing_left(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = of(Read(layers.Dense(2)), layers.Dropout(0.5), layers.Dense(3))
    monkeypatch.setattr(VariableSource, "read_tensor", None)
    monkeypatch.setattr(VariableSource, "read_extents", None)
    number = int(layers.Dense(1).name.rpartition("_")[2])
    state = random.getstate()
    how(model)  # and the like of `Read`, which has no `build`, is not warned of
    assert random.getstate() == state
    assert layers.Dense(1).name == f"dense_{number + 1}"


@pytest.mark.parametrize("how", [describe, describe_h5])
def test_only_layers_of_users_are_made_again(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, build = [], readable.build_layer

    def noted(config: Any, **kwargs: Any) -> Any:
        made.append(config["config"]["name"])
        return build(config, **kwargs)

    monkeypatch.setattr(readable, "build_layer", noted)
    how(of(layers.Dense(2, "relu"), of(layers.Dense(3), shape=(2,))))
    assert not made
    how(of(layers.Dense(4), of(Product(4, name="a"), layers.Dense(3)), Product(3, name="b")))
    assert made == ["a", "b"]


@pytest.mark.parametrize(("form", "dialect"), FORMS)
def test_a_layer_that_comes_back_twice_is_not_written(
    form: str, dialect: str | None, tmp_path: Path
) -> None:
    inner = layers.Dense(4)
    model = of(Read(inner, name="one"), Read(inner, name="two"), layers.Dense(3))
    try:
        hozon.save_model(model, tmp_path / form, dialect=dialect)
    except UnsupportedError:
        return
    with warnings.catch_warnings(action="ignore"):
        again = hozon.load_model(tmp_path / form, custom_objects=CLASSES)
    assert len(again.weights) == len(model.weights)
    np.testing.assert_array_equal(again(X), model(X))
