"""Functional and subclassed models of the user's classes: the file says what makes them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import UnsupportedError
from tests.oracle.client import Oracle

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
FORMS = [("m.keras", None), ("m.keras", "keras2"), ("m.h5", None), ("m.h5", "keras2"), ("m", None)]


class Scaled(keras.Model):
    """Made of inputs and outputs, with an argument of its own."""

    def __init__(self, inputs: Any, outputs: Any, scale: float = 2.0, **kwargs: Any) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.scale = scale

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return super().call(inputs, training=training, mask=mask) * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


class Loose(Scaled):
    """As people write it whose arguments go through."""

    def __init__(self, *args: Any, scale: float = 2.0, **kwargs: Any) -> None:
        super().__init__(*args, scale=scale, **kwargs)


class Built(keras.Model):
    """Makes its graph itself."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        x = keras.Input((4,))
        super().__init__(inputs=x, outputs=keras.layers.Dense(units)(x), **kwargs)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "name": self.name}


class Blocks(keras.Model):
    """A subclass with layers under several attributes."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.first = keras.layers.Dense(units)
        self.blocks = [keras.layers.Dense(units), keras.layers.LayerNormalization()]
        self.zero = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.zero(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


CLASSES = {kind.__name__: kind for kind in (Scaled, Loose, Built, Blocks)}


def graph() -> tuple[Any, Any]:
    x = keras.Input((4,))
    return x, keras.layers.Dense(2)(keras.layers.Dense(5, "tanh")(x))


MAKERS = {
    "Scaled": lambda: Scaled(*graph(), scale=3.0),
    "Loose": lambda: Loose(*graph(), scale=3.0),
    "Built": lambda: Built(units=5),
    "Blocks": lambda: Blocks(units=5),
    "nested": lambda: nested(),
}


def nested() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(2)(Scaled(*graph(), scale=3.0)(x)))


@pytest.mark.filterwarnings("ignore:No training configuration")
@pytest.mark.parametrize(("form", "dialect"), FORMS)
@pytest.mark.parametrize("name", MAKERS)
def test_with_its_class_it_is_the_same(
    name: str, form: str, dialect: str | None, tmp_path: Path
) -> None:
    model = MAKERS[name]()
    expected = np.asarray(model(X))
    chosen = {} if dialect is None else {"dialect": dialect}
    hozon.save_model(model, tmp_path / form, **chosen)
    again = hozon.load_model(tmp_path / form, custom_objects=CLASSES)
    assert type(again).__name__ == type(model).__name__
    np.testing.assert_array_equal(np.asarray(again(X)), expected)
    assert again.load_report.rung("root") in ("custom class", "built-in class")


class Factor(keras.Model):
    """Has no config, and is made with more than its defaults."""

    def __init__(self, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = factor
        self.dense = keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x) * self.factor


class Hidden(Factor):
    """Keeps its argument under another name."""

    def __init__(self, times: float = 2.0) -> None:
        super().__init__()
        self.factor = times


@pytest.mark.filterwarnings("ignore:No training configuration")
def test_defaults_are_not_taken_for_what_it_was_made_with(tmp_path: Path) -> None:
    model = Factor(3.0)
    expected = np.asarray(model(X))
    with pytest.raises(UnsupportedError, match="Factor has no get_config that tells factor"):
        hozon.save_model(model, tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()
    hozon.save_model(model, tmp_path / "m")  # whose functions have it
    np.testing.assert_allclose(np.asarray(hozon.load_model(tmp_path / "m")(X)), expected, rtol=1e-6)
    plain = Factor()
    expected = np.asarray(plain(X))
    hozon.save_model(plain, tmp_path / "p.keras")
    again = hozon.load_model(tmp_path / "p.keras", custom_objects={"Factor": Factor})
    np.testing.assert_array_equal(np.asarray(again(X)), expected)


@pytest.mark.parametrize("form", ["m.keras", "m"])
def test_where_nobody_can_know_it_is_said(form: str, tmp_path: Path) -> None:
    model = Hidden(3.0)
    model(X)
    report = hozon.save_model(model, tmp_path / form)
    assert any("defaults of times" in line for line in report.lost)


OPENED = """
class Blocks(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = keras.layers.Dense(units)
        self.blocks = [keras.layers.Dense(units), keras.layers.LayerNormalization()]
        self.zero = keras.layers.Dense(1)
    def call(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.zero(x)
    def get_config(self):
        return {**super().get_config(), "units": self.units}

class Built(keras.Model):
    def __init__(self, units=3, **kwargs):
        x = keras.Input((4,))
        super().__init__(inputs=x, outputs=keras.layers.Dense(units)(x), **kwargs)
        self.units = units
    def get_config(self):
        return {"units": self.units, "name": self.name}

classes = {"Blocks": Blocks, "Built": Built}
for name, path in paths.items():
    model = keras.models.load_model(path, custom_objects=classes)
    first = np.asarray(model(x))
    model.fit(x, y[name], verbose=0, shuffle=False)
    out[name] = (first, np.asarray(model(x)))
"""


@pytest.mark.filterwarnings("ignore:No training configuration")
def test_tf_keras_opens_its_archives(oracle: Oracle, tmp_path: Path) -> None:
    models = {name: MAKERS[name]() for name in ("Blocks", "Built")}
    targets = {}
    for name, model in models.items():
        targets[name] = np.ones(model(X).shape, np.float32)
        model.compile("adam", "mse")
        model.fit(X, targets[name], verbose=0, shuffle=False)
        hozon.save_model(model, tmp_path / f"{name}.keras", dialect="keras2")
    paths = {name: str(tmp_path / f"{name}.keras") for name in models}
    found = oracle.python(OPENED, paths=paths, x=X, y=targets)
    for name, model in models.items():
        first, after = found[name]
        np.testing.assert_allclose(first, np.asarray(model(X)), rtol=1e-5, atol=1e-6)
        model.fit(X, targets[name], verbose=0, shuffle=False)
        np.testing.assert_allclose(after, np.asarray(model(X)), rtol=1e-4, atol=1e-5)
