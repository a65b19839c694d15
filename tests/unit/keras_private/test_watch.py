"""The hooks in Keras that deferred restoration stands on."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import jax
import keras
import numpy as np

from hozon.keras_private.values import give_value
from hozon.keras_private.watch import can_grow, unwatch, watch


class Notes:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        assert owner is not value
        if isinstance(value, keras.Variable):
            self.seen.append(name)

    def changed(self, owner: Any) -> None:
        assert owner is not None
        self.seen.append("built")


def test_a_layer_tells_of_variables_and_attributes() -> None:
    layer, notes = keras.layers.Dense(2), Notes()
    watch(layer, notes)
    assert can_grow(layer)
    layer.build((None, 3))
    assert not can_grow(layer)
    assert [name for name, _ in groupby(notes.seen)] == ["kernel", "_kernel", "bias", "built"]
    unwatch(layer, Notes())
    assert "_setattr_hook" in vars(layer)
    unwatch(layer, notes)
    assert not {"_setattr_hook", "_track_variable"} & vars(layer).keys()


def test_an_optimizer_tells_when_it_is_built() -> None:
    optimizer, notes = keras.optimizers.Adam(), Notes()
    watch(optimizer, notes)
    optimizer.build([keras.Variable(np.zeros(2))])
    assert notes.seen == ["built"]
    unwatch(optimizer, notes)
    assert "build" not in vars(optimizer)
    assert not can_grow(optimizer)


def test_a_value_given_while_shapes_are_traced_is_kept() -> None:
    class Late(keras.layers.Layer):
        def build(self, _: Any) -> None:
            self.weight = self.add_weight(shape=(2,), initializer="zeros")
            give_value(self.weight, np.asarray([1, 2]))

        def call(self, x: Any) -> Any:
            return x * self.weight

    layer = Late()
    keras.Sequential([layer])(keras.Input((2,)))
    jax.block_until_ready(layer.weight.value)
    np.testing.assert_array_equal(layer.weight.value, [1, 2])
    assert layer.weight.value.dtype == "float32"
