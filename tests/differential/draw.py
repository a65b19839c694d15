"""Seeded choices: draw number 17 of seed 0 is the same model at every run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: What an argument may be: a list to choose from, or a function of the draw that makes one.
Choice = Sequence[Any] | Callable[["Draw"], Any]


class Draw:
    """One draw's source of choices."""

    def __init__(self, seed: int, number: int | str) -> None:
        self._random = random.Random(f"{seed}:{number}")

    def one(self, options: Choice) -> Any:
        """One of several, all as likely; or what a function of this draw makes."""
        return options(self) if callable(options) else self._random.choice(list(options))

    def often(self, weighted: Mapping[Any, float]) -> Any:
        """One of the keys, as likely as its value says."""
        return self._random.choices(list(weighted), list(weighted.values()))[0]

    def chance(self, probability: float) -> bool:
        """True as often as said."""
        return self._random.random() < probability

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self._random.randint(low, high)

    def some(self, options: Sequence[Any], count: int) -> list[Any]:
        """Several different ones, in their order."""
        chosen = sorted(self._random.sample(range(len(options)), min(count, len(options))))
        return [options[i] for i in chosen]
