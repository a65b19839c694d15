"""Masks as Keras 2 passed them on, where Keras 3 has another rule.

Keras 3 finds no mask for a call of several tensors, makes none of a merging layer unless all its
inputs have one, and asks no layer inside of a TimeDistributed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask
from keras.src.layers.merging.base_merge import Merge

#: Merging layers with a rule of their own; that of Dot is the same in both.
_OWN_RULE = (keras.layers.Concatenate, keras.layers.Dot)


def given_mask(layer: keras.Layer, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The mask that a call gets from its first argument; None where it takes or has none."""
    if not args or kwargs.get("mask") is not None or "mask" not in layer.call_signature_parameters:
        return None
    masks = keras.tree.map_structure(get_keras_mask, args[0])
    return masks if any(mask is not None for mask in keras.tree.flatten(masks)) else None


def masks_of(values: Any) -> list[Any]:
    """The masks of values in any structure, None for those without."""
    return [get_keras_mask(value) for value in keras.tree.flatten(values)]


def set_masks(values: Any, masks: Sequence[Any]) -> None:
    """Give values in any structure the masks that `masks_of` found of their like."""
    for value, mask in zip(keras.tree.flatten(values), masks, strict=True):
        if mask is not None:
            set_keras_mask(value, mask)


@contextmanager
def merged_as_they_are(layer: Any, args: tuple[Any, ...]) -> Iterator[None]:
    """While it lasts, a merging layer sees no masks: some of Keras 3 replace what is masked."""
    merges = bool(args) and isinstance(layer, Merge) and not isinstance(layer, _OWN_RULE)
    inputs = keras.tree.flatten(args[0]) if merges else []
    masks = masks_of(inputs)
    for value in inputs:
        _set(value, None)
    try:
        yield
    finally:
        set_masks(inputs, masks)


def set_output_mask(layer: Any, args: tuple[Any, ...], outputs: Any) -> None:
    """Give the outputs of a call the mask that Keras 2 gave them."""
    if not args:
        return
    if isinstance(layer, Merge) and not isinstance(layer, _OWN_RULE):
        _set(outputs, _all_of(masks_of(args[0])))
    elif isinstance(layer, keras.layers.Concatenate):
        _set(outputs, _joined(layer.axis, keras.tree.flatten(args[0])))
    elif isinstance(layer, keras.layers.TimeDistributed):
        _set(outputs, _over_steps(layer.layer, args[0]))


def _set(outputs: Any, mask: Any) -> None:
    if mask is not None or get_keras_mask(outputs) is not None:
        set_keras_mask(outputs, mask)


def _all_of(masks: list[Any]) -> Any:
    """True where all inputs that have a mask are."""
    made = None
    for mask in masks:
        if mask is not None:
            made = mask if made is None else keras.ops.logical_and(made, mask)
    return made


def _joined(axis: int, inputs: list[Any]) -> Any:
    """True where all that is joined there is; Keras 3 takes what is True anywhere."""
    masks = [get_keras_mask(value) for value in inputs]
    if all(mask is None for mask in masks):
        return None
    parts = [
        keras.ops.ones_like(value, "bool")
        if mask is None
        else mask
        if len(mask.shape) == len(value.shape)
        else keras.ops.expand_dims(mask, -1)
        for value, mask in zip(inputs, masks, strict=True)
    ]
    return keras.ops.all(keras.ops.concatenate(parts, axis=axis), axis=-1)


def _over_steps(layer: keras.Layer, inputs: Any) -> Any:
    """The mask of the layer inside, over the steps; its input's where it makes none."""
    mask = get_keras_mask(inputs)
    if not type(layer).__module__.startswith(("keras.", "hozon.")):
        return mask
    made = _inner(layer, inputs, mask) if layer.supports_masking else None
    if made is not None:
        steps = keras.ops.shape(inputs)[1]
        return keras.ops.reshape(made, (-1, steps, *made.shape[1:]))
    if mask is not None and len(mask.shape) > 2:
        return keras.ops.any(mask, axis=tuple(range(2, len(mask.shape))))
    return mask


def _inner(layer: keras.Layer, inputs: Any, mask: Any) -> Any:
    made = layer.compute_mask(_merged(inputs), None if mask is None else _merged(mask))
    found = [m for m in keras.tree.flatten(made) if m is not None]
    return found[0] if found else None


def _merged(value: Any) -> Any:
    """Batch and steps as one axis."""
    rest = tuple(value.shape[2:])
    steps, batch = value.shape[1], value.shape[0]
    known = isinstance(steps, int) and isinstance(batch, int)
    return keras.ops.reshape(value, (math.prod((batch, steps)) if known else -1, *rest))
