"""Functional models whose string inputs are kept from Keras' conversion to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional


class TextFunctional(Functional):  # type: ignore[misc]
    """Added to the class of a model with string inputs, which `text` makes of what is given.

    Keras converts the inputs of a functional model before anything else; here it sees numbers in
    the place of strings. `_inputs` are the model's symbolic inputs, flat.
    """

    _inputs: Any

    def text(self, value: Any) -> Any:
        """What the layers get for a string input."""
        raise NotImplementedError

    def _convert_inputs_to_tensors(self, flat_inputs: Sequence[Any]) -> list[Any]:
        given = [
            _stand_in(spec) if is_text(spec) else value
            for value, spec in zip(flat_inputs, self._inputs, strict=True)
        ]
        numeric = SimpleNamespace(_inputs=[_numeric(spec) for spec in self._inputs])
        made = Functional._convert_inputs_to_tensors(numeric, given)
        return [
            self.text(value) if is_text(spec) and value is not None else tensor
            for value, spec, tensor in zip(flat_inputs, self._inputs, made, strict=True)
        ]

    def _adjust_input_rank(self, flat_inputs: Sequence[Any]) -> Any:
        """Add or drop a last axis of length 1, where the model was built with or without it."""
        ranked = [
            _ranked(value, len(spec.shape)) if is_text(spec) else value
            for value, spec in zip(flat_inputs, self._inputs, strict=True)
        ]
        return super()._adjust_input_rank(ranked)


def takes_text(functional: Functional) -> bool:
    """Whether a functional model has string inputs."""
    return any(map(is_text, functional._inputs))


def is_text(spec: Any) -> bool:
    """Whether a symbolic tensor is of strings."""
    return bool(spec.dtype == "string")


def _stand_in(spec: Any) -> Any:
    return np.zeros([1] * len(spec.shape), np.float32)


def _numeric(spec: Any) -> Any:
    return keras.KerasTensor(spec.shape, "float32") if is_text(spec) else spec


def _ranked(texts: Any, rank: int) -> Any:
    if texts is None or texts.ndim == rank:
        return texts
    if texts.ndim == rank + 1 and texts.shape[-1] == 1:
        return texts[..., 0]
    return texts[..., None] if texts.ndim == rank - 1 else texts
