"""Weights that a call assigns while it trains, as clipping or spectral normalization does.

In TensorFlow the assignment happens first, and the optimizer goes on from the new value. Keras on
JAX drops what a call assigns to trainable variables: here a step adds it to what the optimizer
made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hozon.models.savedmodel.load.cells import assignments


class KeepsAssignments:
    """For models whose saved functions may assign to trainable variables."""

    #: Which trainable variables the step that is being traced assigns.
    _assigned: Sequence[int] = ()

    def compute_loss_and_updates(
        self, trainable_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """As in Keras' JAX trainer; how far assignments moved trainable variables comes after the
        values of the others."""
        with assignments() as made:
            loss, (unscaled, outputs, others, metrics) = super().compute_loss_and_updates(  # type: ignore[misc]
                trainable_variables, *args, **kwargs
            )
        places = {id(v): i for i, v in enumerate(self.trainable_variables)}  # type: ignore[attr-defined]
        known = [key for key in made if key in places]
        self._assigned = [places[key] for key in known]
        moves = [made[key] - trainable_variables[places[key]] for key in known]
        return loss, (unscaled, outputs, [*others, *moves], metrics)

    def train_step(self, state: Any, data: Any) -> Any:
        """As in Keras' JAX trainer."""
        logs, state = super().train_step(state, data)  # type: ignore[misc]
        return logs, self._moved(state)

    def test_step(self, state: Any, data: Any) -> Any:
        """As in Keras' JAX trainer."""
        logs, state = super().test_step(state, data)  # type: ignore[misc]
        return logs, self._moved(state)

    def _moved(self, state: Any) -> Any:
        weights, others, *rest = state
        count = len(self.non_trainable_variables)  # type: ignore[attr-defined]
        weights = list(weights)
        for place, move in zip(self._assigned, others[count:], strict=True):
            weights[place] = weights[place] + move
        return (weights, list(others[:count]), *rest)
