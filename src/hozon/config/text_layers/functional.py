"""Functional models that hand strings to their layers.

Keras converts the inputs of a Functional model to tensors before anything else, which strings
cannot be on JAX. Such a model's class is extended so that its string inputs stay NumPy arrays of
``bytes``; the other inputs go Keras' way.
"""

# ruff: noqa: SLF001 - Keras has no public way around the conversion

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

from hozon.config.text_layers.host import to_bytes
from hozon.config.text_layers.traced import is_traced


class StringFunctional(Functional):  # type: ignore[misc]
    """The extension; see the module. `_inputs` are the model's symbolic inputs, flat."""

    _inputs: Any

    def _convert_inputs_to_tensors(self, flat_inputs: Sequence[Any]) -> list[Any]:
        """Tensors of the inputs, strings as object arrays."""
        given = [
            _stand_in(spec) if _is_string(spec) else value
            for value, spec in zip(flat_inputs, self._inputs, strict=True)
        ]
        symbolic, self._inputs = self._inputs, [_numeric(spec) for spec in self._inputs]
        try:
            made = super()._convert_inputs_to_tensors(given)
        finally:
            self._inputs = symbolic
        return [
            _text(value) if _is_string(spec) and value is not None else tensor
            for value, spec, tensor in zip(flat_inputs, symbolic, made, strict=True)
        ]

    def _adjust_input_rank(self, flat_inputs: Sequence[Any]) -> Any:
        """Add or drop a last axis of length 1, where the model was built with or without it."""
        ranked = [
            _ranked(value, len(spec.shape)) if _is_string(spec) else value
            for value, spec in zip(flat_inputs, self._inputs, strict=True)
        ]
        return super()._adjust_input_rank(ranked)


def accept_strings(model: keras.Model) -> keras.Model:
    """Extend a Functional or Sequential model with string inputs, and such models inside it.

    Changes nothing else; a model without string inputs stays as it is. Returns `model`.
    """
    for layer in (model, *model._flatten_layers(include_self=False)):
        functional = getattr(layer, "_functional", None) or layer
        if isinstance(functional, Functional) and any(map(_is_string, functional._inputs)):
            _extend(functional)
            layer._convert_input_args = functional._convert_input_args = False
            layer._allow_non_tensor_positional_args = True
    return model


def _extend(functional: Functional) -> None:
    kind = type(functional)
    if not issubclass(kind, StringFunctional):
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        functional.__class__ = type(kind.__name__, (StringFunctional, kind), names)


def _is_string(spec: Any) -> bool:
    return bool(spec.dtype == "string")


def _text(value: Any) -> Any:
    return value if is_traced(value) else to_bytes(value)


def _stand_in(spec: Any) -> Any:
    return np.zeros([1] * len(spec.shape), np.float32)


def _numeric(spec: Any) -> Any:
    return keras.KerasTensor(spec.shape, "float32") if _is_string(spec) else spec


def _ranked(texts: Any, rank: int) -> Any:
    if texts is None or texts.ndim == rank:
        return texts
    if texts.ndim == rank + 1 and texts.shape[-1] == 1:
        return texts[..., 0]
    return texts[..., None] if texts.ndim == rank - 1 else texts
