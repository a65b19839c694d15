"""Functional models that hand strings to their layers.

Keras converts the inputs of a Functional model to tensors before anything else, which strings
cannot be on JAX. Such a model's class is extended so that its string inputs stay NumPy arrays of
``bytes``; the other inputs go Keras' way.
"""

from __future__ import annotations

from typing import Any

import keras

from hozon.config.text_layers.host import to_bytes
from hozon.config.text_layers.traced import is_traced
from hozon.keras_private.extended import extend
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import layers_of, take_anything
from hozon.keras_private.text_inputs import TextFunctional, takes_text


class StringFunctional(TextFunctional):
    """The extension; see the module."""

    def text(self, value: Any) -> Any:
        """Strings as an object array of ``bytes``."""
        return value if is_traced(value) else to_bytes(value)


def accept_strings(model: keras.Model) -> keras.Model:
    """Extend a Functional or Sequential model with string inputs, and such models inside it.

    Changes nothing else; a model without string inputs stays as it is. Returns `model`.
    """
    for layer in layers_of(model):
        functional = functional_of(layer)
        if functional is not None and takes_text(functional):
            extend(functional, StringFunctional)
            take_anything(functional)
            take_anything(layer)
    return model
