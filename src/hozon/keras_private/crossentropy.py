"""Crossentropies as in Keras 2, which takes them from what sigmoid and softmax were given.

Of probabilities alone Keras 3 on JAX cuts what is beyond 1e-7: where a model is sure and wrong, its
loss is less than in Keras 2, and its gradient is zero. In Keras 2 that holds of no model that
ends in a sigmoid or softmax. Models of its files go on so, in their losses and in their metrics:
what sigmoid and softmax make in their calls says what it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src.backend import nn
from keras.src.backend.common.tensor_attributes import get_tensor_attr, set_tensor_attr

from hozon.keras_private.bends import bend
from hozon.keras_private.comparing import compares_as_keras2
from hozon.keras_private.training import INSIDE

#: Attribute of values: what sigmoid or softmax made them of.
_LOGITS = "hozon_logits"


def logits_of(values: Any) -> list[Any]:
    """What sigmoid or softmax made values in any structure of; None where neither made them."""
    return [get_tensor_attr(value, _LOGITS) for value in keras.tree.flatten(values)]


def set_logits(values: Any, logits: Sequence[Any]) -> None:
    """Tell values in any structure what `logits_of` found of their like."""
    for value, given in zip(keras.tree.flatten(values), logits, strict=True):
        if given is not None:
            set_tensor_attr(value, _LOGITS, given)


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(x, *args, **kwargs)
        if INSIDE.get():
            set_tensor_attr(made, _LOGITS, x)
        return made

    return activation


def _of_logits(probable: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    """Of a crossentropy: that of logits where there are any, else what `probable` makes of it."""

    def made(original: Callable[..., Any]) -> Callable[..., Any]:
        def crossentropy(
            target: Any, output: Any, from_logits: bool = False, **options: Any
        ) -> Any:
            logits = get_tensor_attr(output, _LOGITS)
            if logits is not None:
                return original(target, logits, from_logits=True, **options)
            if from_logits or not compares_as_keras2():
                return original(target, output, from_logits=from_logits, **options)
            return probable(original, target, output, **options)

        return crossentropy

    return made


def _inside(output: Any) -> Any:
    least = keras.config.epsilon()
    return keras.ops.clip(output, least, 1.0 - least)


def _binary(_: Callable[..., Any], target: Any, output: Any) -> Any:
    ops, least, output = keras.ops, keras.config.epsilon(), _inside(output)
    other = (1.0 - target) * ops.log(1.0 - output + least)
    return -(target * ops.log(output + least) + other)


def _sparse(original: Callable[..., Any], target: Any, output: Any, **options: Any) -> Any:
    return original(target, keras.ops.log(_inside(output)), from_logits=True, **options)


def _categorical(original: Callable[..., Any], target: Any, output: Any, **options: Any) -> Any:
    return original(target, output, from_logits=False, **options)


bend(nn, "sigmoid", _noting)
bend(nn, "softmax", _noting)
bend(nn, "binary_crossentropy", _of_logits(_binary))
bend(nn, "categorical_crossentropy", _of_logits(_categorical))
bend(nn, "sparse_categorical_crossentropy", _of_logits(_sparse))
