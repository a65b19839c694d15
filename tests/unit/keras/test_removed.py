"""Names that Keras 3 removed: who asks for one under `hozon.keras` is told what to use."""

from __future__ import annotations

import keras as plain
import pytest

from hozon.errors import ArgumentError


@pytest.mark.parametrize(
    ("name", "today"), [("fit_generator", "model.fit"), ("predict_classes", "argmax")]
)
def test_methods(name: str, today: str) -> None:
    model = plain.Sequential([plain.layers.Dense(1)])
    from hozon import keras

    assert keras.Sequential is plain.Sequential
    assert not hasattr(model, name)
    with pytest.raises(AttributeError, match=f"no more in Keras 3: use .*{today}"):
        getattr(model, name)


def test_modules() -> None:
    from hozon import keras

    with pytest.raises(AttributeError, match=r"keras\.layers\.experimental is no more in Keras 3"):
        keras.layers.experimental  # noqa: B018
    with pytest.raises(AttributeError, match="nonsense"):
        keras.layers.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("name", "today"), [("lr", "learning_rate"), ("decay", "InverseTimeDecay")]
)
def test_arguments_of_optimizers(name: str, today: str) -> None:
    from hozon import keras

    with pytest.raises(ArgumentError, match=f"use .*{today}") as caught:
        keras.optimizers.Adam(**{name: 0.1})
    assert isinstance(caught.value, (ValueError, TypeError))
    made = keras.optimizers.Adam(learning_rate=0.25)
    again = keras.optimizers.Adam.from_config(made.get_config())
    assert float(again.learning_rate) == 0.25


def test_plain_keras_is_as_it_was() -> None:
    from hozon.keras import restore

    restore()
    with pytest.raises(ValueError, match="not recognized"):
        plain.optimizers.Adam(lr=0.1)
    assert not hasattr(plain.Model, "fit_generator")


def test_arguments_of_callbacks() -> None:
    from hozon import keras

    with pytest.raises(ArgumentError, match="'period'; it is 'save_freq' today"):
        keras.callbacks.ModelCheckpoint("x", period=2)
