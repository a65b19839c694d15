"""Stored tensors of a layer find its variables by names or by order, never by shape alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from hozon.models.assignment.layouts import Origin
from hozon.models.assignment.within_layer import Disagreement, pairs_of, variable_of
from hozon.record import StateGroup
from hozon.stored.lazy import lazy_array


def group(**shapes: tuple[int, ...]) -> StateGroup:
    made = {name: lazy_array(name, np.zeros(shape, "f")) for name, shape in shapes.items()}
    return StateGroup("d", made)


def dense() -> keras.layers.Layer:
    layer = keras.layers.Dense(2, name="d")
    layer.build((None, 3))
    return layer


def test_another_order_without_names_is_refused() -> None:
    with pytest.raises(Disagreement, match="in its place is kernel"):
        pairs_of(dense(), group(w0=(2,), w1=(3, 2)), Origin())


def test_another_order_with_names_is_followed() -> None:
    found = pairs_of(dense(), group(bias=(2,), kernel=(3, 2)), Origin())
    assert [variable_of(pair).name for pair in found] == ["bias", "kernel"]
