"""Weights that a call assigns, as clipping or spectral normalization does.

In TensorFlow the assignment happens first: the loss is differentiated at the new value, not through
what made it, and the optimizer goes on from there. Keras on JAX differentiates through the
assignment, and then drops it, in training as in evaluation and prediction. Here models do as in
TensorFlow that hold a layer marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import keras

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.crossentropy import logits_of, set_logits
from hozon.keras_private.layers import layers_of
from hozon.keras_private.masks import masks_of, set_masks
from hozon.keras_private.optimizers import moves_without_gradient
from hozon.keras_private.reached import Reached
from hozon.keras_private.rows import Lookups
from hozon.keras_private.training import LEAVES, enters_model

#: Attribute of layers whose assignments to trainable variables last.
_MARK = "keeps_assignments"

#: What the step that this thread traces assigns to trainable variables, by the variables' ids.
_ASSIGNED: ContextVar[dict[int, Any] | None] = ContextVar("assigned variables", default=None)


class KeepsAssignments:
    """Mixed into the classes of layers whose calls may assign to trainable variables."""

    keeps_assignments = True


def keep_assignments(layer: keras.Layer) -> None:
    """Mark a layer of a file of Keras 2, and those in it, where their calls may assign weights."""
    for inside in layers_of(layer):
        if _may_assign(inside):
            object.__setattr__(inside, _MARK, True)


def _may_assign(layer: keras.Layer) -> bool:
    """Of Keras' own layers one does; what others do is not known."""
    own = type(layer).__module__.startswith("keras.")
    return isinstance(layer, keras.layers.SpectralNormalization) or not own


def keeps_assignments(layer: keras.Layer) -> bool:
    """Whether this layer is marked, those in it left aside."""
    return _MARK in vars(layer)


def may_keep_assignments(layer: keras.Layer) -> bool:
    """Whether a layer or model is marked, or one inside of it."""
    return any(getattr(inside, _MARK, False) for inside in layers_of(layer))


def _noting(original: Callable[..., None]) -> Callable[..., None]:
    def add_update(scope: keras.StatelessScope, update: tuple[Any, Any]) -> None:
        variable, value = update
        assigned = _ASSIGNED.get()
        if assigned is not None or LEAVES.get():
            value = jax.lax.stop_gradient(value)
            present = scope.get_current_value(variable) if variable.trainable else None
            if present is not None:
                if assigned is not None:
                    assigned[id(variable)] = value
                value = value + (present - jax.lax.stop_gradient(present))
        original(scope, (variable, value))

    return add_update


def _training(original: Callable[..., Any]) -> Callable[..., Any]:
    def train_step(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        as_tensorflow = enters_model(model) or may_keep_assignments(model)
        step = _train if as_tensorflow else original
        return step(model, *args, **kwargs)

    return train_step


def _train(model: keras.Model, state: Any, data: Any) -> Any:
    """A step of Keras' JAX trainer as TensorFlow has it.

    The optimizer goes on from what was assigned, leaves out what the loss does not reach, and clips
    the gradients of lookups one by one. Metrics know the masks and logits of outputs, which end
    with what JAX differentiates.
    """
    weights, others, slots, metrics = state
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    reached, optimizer = Reached(), model.optimizer
    lookups = Lookups(optimizer, slots, model.trainable_variables)

    def loss_at(weights: Sequence[keras.Variable], rows: Sequence[Any]) -> Any:
        with asked(_ASSIGNED, {}) as assigned, lookups.seen(rows):
            loss, rest = model.compute_loss_and_updates(
                reached.watch(weights),
                others,
                metrics,
                x,
                y,
                sample_weight,
                training=True,
                optimizer_variables=slots,
            )
        told = masks_of(rest[1]), logits_of(rest[1])
        return loss, (rest, told, _with_assigned(model, weights, assigned or {}))

    derived = jax.value_and_grad(loss_at, argnums=(0, 1), has_aux=True)
    (_, (rest, told, weights)), (gradients, rows) = derived(weights, lookups.inputs(weights))
    loss, outputs, others, metrics = rest
    set_masks(outputs, told[0])
    set_logits(outputs, told[1])
    gradients = lookups.whole(gradients, rows, reached.__contains__)
    moved = [moves_without_gradient(optimizer, v) for v in model.trainable_variables]
    found = reached.among(gradients, moved, lookups.used)
    with lookups.applied():
        weights, slots = optimizer.stateless_apply(slots, found, weights)
    logs, metrics = model._update_metrics_variables(metrics, loss, x, y, outputs, sample_weight)
    return logs, (weights, others, slots, metrics)


def _testing(original: Callable[..., Any]) -> Callable[..., Any]:
    def test_step(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if not may_keep_assignments(model):
            return original(model, *args, **kwargs)
        with asked(_ASSIGNED, {}) as assigned:
            logs, (weights, *rest) = original(model, *args, **kwargs)
        return logs, (_with_assigned(model, weights, assigned or {}), *rest)

    return test_step


def _predicting(original: Callable[..., Any]) -> Callable[..., Any]:
    def predict_step(model: keras.Model, state: Any, *args: Any, **kwargs: Any) -> Any:
        if not may_keep_assignments(model):
            return original(model, state, *args, **kwargs)
        with asked(_ASSIGNED, {}) as assigned:
            result = original(model, state, *args, **kwargs)
        # Keras gives the list of weights that it handed in to the next step.
        state[0][:] = _with_assigned(model, state[0], assigned or {})
        return result

    return predict_step


def _with_assigned(
    model: keras.Model, weights: Sequence[keras.Variable], assigned: dict[int, Any]
) -> list[Any]:
    """The values of a model's trainable variables, those that were assigned replaced."""
    pairs = zip(model.trainable_variables, weights, strict=True)
    return [assigned.get(id(variable), value) for variable, value in pairs]


if keras.config.backend() == "jax":
    bend(keras.StatelessScope, "add_update", _noting)
    bend(keras.Model, "train_step", _training)
    bend(keras.Model, "test_step", _testing)
    bend(keras.Model, "predict_step", _predicting)
