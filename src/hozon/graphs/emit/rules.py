"""Tables of rules: how each JAX primitive is written as TensorFlow ops.

A rule takes the body that it adds nodes to, the equation and the equation's inputs, and returns
one tensor, or one per output of the equation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


class NoRule(Exception):  # noqa: N818 - a condition that callers act upon, not an error
    """No native ops for a primitive, or not for these parameters of it."""

    def __init__(self, primitive: str) -> None:
        super().__init__(f"no native TensorFlow ops for {primitive!r}")
        self.primitive = primitive


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation of a jaxpr. Avals have `shape` and `dtype`; `bind` applies the primitive."""

    primitive: str
    params: Mapping[str, Any]
    in_avals: tuple[Any, ...]
    out_avals: tuple[Any, ...]
    bind: Callable[..., Any]


Rule = Callable[..., Any]


class Rules(Mapping[str, Rule]):
    """The rules of one family by primitive."""

    def __init__(self, family: str) -> None:
        self.family = family
        self._rules: dict[str, Rule] = {}

    def __getitem__(self, primitive: str) -> Rule:
        return self._rules[primitive]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, primitive: str, rule: Rule) -> None:
        """Enter a rule; a second one for a primitive is refused."""
        if primitive in self._rules:
            raise ValueError(f"two rules for {primitive!r} in {self.family}")
        self._rules[primitive] = rule

    def rule(self, *primitives: str) -> Callable[[Rule], Rule]:
        """Decorator that enters one rule for `primitives`."""

        def enter(rule: Rule) -> Rule:
            for primitive in primitives:
                self.add(primitive, rule)
            return rule

        return enter


def merge(tables: Iterable[Rules]) -> Mapping[str, Rule]:
    """All rules of several families; no primitive may be in two of them."""
    merged: dict[str, Rule] = {}
    for table in tables:
        for primitive, rule in table.items():
            if primitive in merged:
                raise ValueError(f"two families have a rule for {primitive!r}")
            merged[primitive] = rule
    return MappingProxyType(merged)
