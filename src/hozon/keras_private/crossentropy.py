"""Crossentropies as in Keras 2, which takes them from what sigmoid and softmax were given.

Of probabilities alone Keras 3 on JAX cuts what is beyond 1e-7: where a model is sure and wrong, its
loss is less than in Keras 2, and its gradient is zero. In Keras 2 that holds of no model that
ends in a sigmoid or softmax. Models of its files go on so, in their losses, and in their metrics
but for those of a training step, whose gradients are taken before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras
from keras.src.backend import nn

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.comparing import compares_as_keras2
from hozon.keras_private.training import enters_model

#: What sigmoid and softmax made in a step, and of what; None outside of steps of marked models.
_MADE: ContextVar[list[tuple[Any, Any]] | None] = ContextVar(
    "what was made of logits", default=None
)


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(x, *args, **kwargs)
        noted = _MADE.get()
        if noted is not None:
            noted.append((made, x))
        return made

    return activation


def _logits(output: Any) -> Any:
    """What sigmoid or softmax made an output of; None where neither made it."""
    return next((x for made, x in _MADE.get() or () if made is output), None)


def _of_logits(probable: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    """Of a crossentropy: that of logits where there are any, else what `probable` makes of it."""

    def made(original: Callable[..., Any]) -> Callable[..., Any]:
        def crossentropy(
            target: Any, output: Any, from_logits: bool = False, **options: Any
        ) -> Any:
            if not compares_as_keras2():
                return original(target, output, from_logits=from_logits, **options)
            logits = _logits(output)
            if logits is not None:
                return original(target, logits, from_logits=True, **options)
            if from_logits:
                return original(target, output, from_logits=True, **options)
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


def _stepping(original: Callable[..., Any]) -> Callable[..., Any]:
    def step(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if not enters_model(model):
            return original(model, *args, **kwargs)
        with asked(_MADE, []):
            return original(model, *args, **kwargs)

    return step


bend(nn, "sigmoid", _noting)
bend(nn, "softmax", _noting)
bend(nn, "binary_crossentropy", _of_logits(_binary))
bend(nn, "categorical_crossentropy", _of_logits(_categorical))
bend(nn, "sparse_categorical_crossentropy", _of_logits(_sparse))
for _name in ("train_step", "test_step"):
    if hasattr(keras.Model, _name):  # not on NumPy's backend, which trains nothing
        bend(keras.Model, _name, _stepping)
