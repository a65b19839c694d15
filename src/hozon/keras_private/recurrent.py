"""Recurrent layers that remember, as Keras 2 has them.

Keras 3's compiled steps on JAX forget what a stateful layer remembers. In Keras 2 it begins with
the state that a call gives it only while it remembers none, which is where all of that is zero, in
Keras 3 each time. Layers of files of Keras 2 are marked to go on as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from hozon.keras_private.bends import bend
from hozon.keras_private.layers import keep_states, layers_of

_MARK = "hozon_prefers_own_state"


def prefer_own_states(layer: keras.Layer) -> None:
    """Mark a layer of a file of Keras 2, and those in it, where they remember."""
    for inside in layers_of(layer):
        if isinstance(inside, keras.layers.RNN) and inside.stateful:
            object.__setattr__(inside, _MARK, True)
            keep_states(inside)


def loop_without_bias(layer: Any) -> None:
    """Let a GRU without bias that computes in half precision loop over its cell's own calls.

    Keras' fused loop on JAX adds biases of float32 there, and refuses the state that this makes.
    """
    if isinstance(layer, keras.layers.GRU) and not layer.use_bias:
        if layer.compute_dtype in ("bfloat16", "float16"):
            layer.use_cudnn = False


def prefers_own_states(layer: Any) -> bool:
    """Whether this layer is marked."""
    return _MARK in vars(layer)


def _beginning(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(
        layer: Any,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = False,
    ) -> Any:
        if prefers_own_states(layer):
            keep_states(layer)  # it may have been built since it was marked
            if initial_state is not None:
                initial_state = _remembered(layer, initial_state)
        return original(layer, sequences, initial_state, mask, training)

    return call


def _remembered(layer: Any, given: Any) -> Any:
    """The states of a layer, or those that it is given while its own are zero."""
    ops, tree = keras.ops, keras.tree
    own = [ops.convert_to_tensor(state) for state in tree.flatten(layer.states)]
    begun = ops.any(ops.stack([ops.any(state != 0) for state in own]))
    chosen = [
        ops.where(begun, mine, ops.cast(state, mine.dtype))
        for mine, state in zip(own, tree.flatten(given), strict=True)
    ]
    return tree.pack_sequence_as(given, chosen)


bend(keras.layers.RNN, "call", _beginning)
