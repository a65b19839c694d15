"""What the Kerases make of users' classes is what the reports of saving say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from tests.oracle.client import Oracle
from tests.oracle.scripts import OPENED

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore")


class More(keras.Model):  # type: ignore[misc]
    """Takes more than inputs and outputs."""

    def __init__(self, inputs: Any, outputs: Any, own: float = 2.0, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, **kwargs)
        self.own = own


class MoreTold(More):
    """The same, with a config that tells it."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "own": self.own}


class Loose(keras.Model):  # type: ignore[misc]
    """Takes whatever a functional model takes."""

    def __init__(self, *args: Any, own: float = 2.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own = own

    def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
        return super().call(x) * self.own


class LooseTold(Loose):
    """The same, with a config that tells it."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "own": self.own}


class Plain(keras.Model):  # type: ignore[misc]
    """Has no constructor of its own."""


class Scaled(layers.Layer):  # type: ignore[misc]
    """Has no config; Keras 3 notes what it was made with."""

    def __init__(self, scale: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: Any) -> Any:
        return x * self.scale


class Closed(layers.Layer):  # type: ignore[misc]
    """Takes no name."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = scale

    def call(self, x: Any) -> Any:
        return x * self.scale


CLASSES = {k.__name__: k for k in (More, MoreTold, Loose, LooseTold, Plain, Scaled, Closed)}


def ends() -> tuple[Any, Any]:
    x = keras.Input((4,))
    return x, layers.Dense(3)(x)


def before(layer: Any) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), layer])


MODELS: Mapping[str, Callable[[], keras.Model]] = {
    "more": lambda: More(*ends()),
    "more, told": lambda: MoreTold(*ends(), own=5.0),
    "loose, at its default": lambda: Loose(*ends()),
    "loose, told": lambda: LooseTold(*ends(), own=5.0),
    "loose, told, at its default": lambda: LooseTold(*ends()),
    "plain": lambda: Plain(*ends()),
    "scaled": lambda: before(Scaled(5.0)),
    "closed": lambda: before(Closed(5.0)),
}


def same(found: Any, model: keras.Model) -> bool:
    return not isinstance(found, str) and np.allclose(found, np.asarray(model(X)), atol=1e-5)


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_what_tensorflows_keras_makes_otherwise_is_told(
    form: str, oracle: Oracle, tmp_path: Path
) -> None:
    models = {name: make() for name, make in MODELS.items()}
    paths = {name: str(tmp_path / f"{i}.{form}") for i, name in enumerate(models)}
    told = {
        name: hozon.save_model(model, paths[name], dialect="keras2").lost
        for name, model in models.items()
    }
    sources = [inspect.getsource(kind) for kind in CLASSES.values()]
    found = oracle.python(OPENED, sources=sources, paths=paths, x=X)
    for name, model in models.items():
        lines = [line for line in told[name] if line.startswith("TensorFlow's Keras ")]
        assert same(found[name], model) == (not lines), (name, lines, found[name])
        assert isinstance(found[name], str) == any("cannot open" in line for line in lines)
        again = hozon.load_model(paths[name], custom_objects=CLASSES)
        np.testing.assert_array_equal(again(X), model(X))


@pytest.mark.parametrize("name", MODELS)
def test_what_keras_3_cannot_open_is_told(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    told = hozon.save_model(model, tmp_path / "m.keras").lost
    try:
        found = keras.models.load_model(tmp_path / "m.keras", custom_objects=CLASSES)(X)
    except (TypeError, ValueError) as error:
        found = repr(error)
    assert same(found, model) == (not any("Keras 3's own reader cannot open" in x for x in told))
