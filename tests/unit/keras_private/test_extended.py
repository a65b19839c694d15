"""A model whose class was extended is told in configs as the class that it was."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.keras_private.extended import extend
from hozon.layers import StringLookup

TEXT = np.array([["a"], ["b"]], object)


class Extension:
    """Put before the class of a model."""


@keras.saving.register_keras_serializable("extended")
class Registered(keras.Sequential):
    pass


class Unregistered(keras.Sequential):
    pass


def functional() -> keras.Model:
    x = keras.Input((2,))
    return keras.Model(x, keras.layers.Dense(1)(x))


@pytest.mark.parametrize("make", [keras.Sequential, functional, Registered, Unregistered])
def test_a_config_does_not_tell_of_it(make: Any) -> None:
    model = make()
    before, kind = keras.saving.serialize_keras_object(model), type(model)
    extend(model, Extension)
    assert isinstance(model, Extension)
    assert type(model).__name__ == kind.__name__
    assert keras.saving.serialize_keras_object(model) == before
    extended = type(model)
    extend(model, Extension)
    assert type(model) is extended
    assert not isinstance(make(), Extension)


@pytest.mark.parametrize("nested", [keras.Sequential, "functional"])
def test_the_first_strings_change_no_config(nested: Any) -> None:
    inner = keras.Sequential([keras.Input((1,), dtype="string"), StringLookup(vocabulary=["a"])])
    if nested == "functional":
        inner = keras.Model(inner.inputs[0], inner.outputs[0])
    x = keras.Input((1,), dtype="string")
    model = keras.Model(x, inner(x))
    before = model.get_config()
    np.testing.assert_array_equal(model(TEXT), [[1], [0]])
    assert model.get_config() == before
    assert hozon.model_from_json(hozon.model_to_json(model)).get_config() == before
