"""A class that is passed and does not fit the file is refused, in every form, by what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import MismatchError, UnsupportedError

FORMS = ["saved", "m.keras", "m.h5"]


class Scaled(keras.layers.Layer):
    """What was saved."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1], self.units), name="w")

    def call(self, x: Any) -> Any:
        return x @ self.w

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class OtherShape(Scaled):
    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1], self.units + 1), name="w")


class More(Scaled):
    def build(self, shape: Any) -> None:
        super().build(shape)
        self.extra = self.add_weight(shape=(self.units,), name="extra")


class Fewer(Scaled):
    def build(self, shape: Any) -> None:
        self.built = True

    def call(self, x: Any) -> Any:
        return x[..., : self.units]


class OtherCall(Scaled):
    def call(self, x: Any, y: Any) -> Any:
        return x @ self.w + y


class OtherArguments(Scaled):
    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(size, **kwargs)


def no_class(x: Any) -> Any:
    """A function in the place of a class."""
    return x


#: What is passed, and what the message tells of it.
WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "other shape": (OtherShape, r"\(4, 3\)|layers/scaled"),
    "more variables": (More, "my|layers/scaled"),
    "fewer variables": (Fewer, "my|layers/scaled"),
    "another call": (OtherCall, "argument: 'y'"),
    "other arguments": (OtherArguments, "'size'"),
    "no class": (no_class, "the file holds a layer of class Scaled"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model in each form."""
    made = tmp_path_factory.mktemp("classes")
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2, name="d")(Scaled(name="my")(x)))
    for form in FORMS:
        hozon.save_model(model, made / form)
    return made


@pytest.mark.filterwarnings("ignore:No training configuration", "ignore:.*not the one that was")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", WRONG)
def test_a_class_that_does_not_fit_is_refused(case: str, form: str, folder: Path) -> None:
    given, told = WRONG[case]
    with pytest.raises((MismatchError, UnsupportedError), match=told):
        hozon.load_model(folder / form, custom_objects={"Scaled": given})


@pytest.mark.filterwarnings("ignore:No training configuration")
@pytest.mark.parametrize("form", FORMS)
def test_the_class_itself_comes_back(form: str, folder: Path) -> None:
    model = hozon.load_model(folder / form, custom_objects={"Scaled": Scaled})
    assert isinstance(model.get_layer("my"), Scaled)
    assert np.asarray(model(np.ones((1, 4), "float32"))).shape == (1, 2)
