"""Which variables a loss is differentiated by.

TensorFlow has no gradient for a variable that the loss does not reach, or reaches through integers
or comparisons only: the optimizer leaves it out, with its constraint and its decay. JAX has zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax


class Reached:
    """Notes the places of values that a gradient comes back to."""

    def __init__(self) -> None:
        self._places: set[int] = set()

    def watch(self, values: Sequence[Any]) -> list[Any]:
        """The same values, to be differentiated by."""
        return [_watched(value, self._noting(at)) for at, value in enumerate(values)]

    def _noting(self, place: int) -> Callable[[], None]:
        return lambda: self._places.add(place)

    def __contains__(self, place: int) -> bool:
        """Whether a gradient came back to the value at a place."""
        return place in self._places

    def among(
        self, gradients: Sequence[Any], moved: Sequence[bool], others: Collection[int] = ()
    ) -> list[Any]:
        """Gradients, None where TensorFlow has none and zeros would move the variable.

        `others`: places that a gradient came to in another way.
        """
        found = self._places | set(others)
        if not found:
            return list(gradients)
        pairs = enumerate(zip(gradients, moved, strict=True))
        return [None if move and at not in found else g for at, (g, move) in pairs]


def _watched(value: Any, note: Callable[[], None]) -> Any:
    def forward(primal: Any) -> tuple[Any, None]:
        return primal.value, None

    def backward(_: None, gradient: Any) -> tuple[Any]:
        if not isinstance(gradient, jax.custom_derivatives.SymbolicZero):
            note()
        return (gradient,)

    same = jax.custom_vjp(lambda value: value)
    same.defvjp(forward, backward, symbolic_zeros=True)
    return same(value)
