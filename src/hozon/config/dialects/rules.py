"""The kinds of rows in a dialect table.

A rule looks at one key of a layer's config. It changes the config in place (a copy of the
file's) and may add to the list of changes; what Keras 3 cannot say raises UnsupportedError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hozon.errors import UnsupportedError

Config = dict[str, Any]
Changes = list[str]


class Rule(Protocol):
    """One row."""

    def __call__(self, layer: str, config: Config, changes: Changes) -> None: ...


@dataclass(frozen=True, slots=True)
class Drop:
    """The key says nothing that Keras 3 needs."""

    key: str

    def __call__(self, layer: str, config: Config, changes: Changes) -> None:
        """Remove the key."""
        config.pop(self.key, None)


@dataclass(frozen=True, slots=True)
class DropNeutral:
    """The key is gone in Keras 3; only its neutral values can be dropped."""

    key: str
    neutral: tuple[Any, ...] = (None, False)

    def __call__(self, layer: str, config: Config, changes: Changes) -> None:
        """Remove the key, or refuse."""
        value = config.pop(self.key, None)
        if value is not None and value not in self.neutral:
            raise UnsupportedError(f"layer {layer!r}: {self.key}={value!r} is gone in Keras 3")


@dataclass(frozen=True, slots=True)
class Rename:
    """The key has another name in Keras 3."""

    key: str
    name: str

    def __call__(self, layer: str, config: Config, changes: Changes) -> None:
        """Move the value."""
        if self.key in config:
            config[self.name] = config.pop(self.key)


@dataclass(frozen=True, slots=True)
class Default:
    """An absent key meant this value."""

    key: str
    value: Any

    def __call__(self, layer: str, config: Config, changes: Changes) -> None:
        """Fill the value in."""
        config.setdefault(self.key, self.value)


@dataclass(frozen=True, slots=True)
class Convert:
    """The value is written differently."""

    key: str
    function: Callable[[Any], Any]

    def __call__(self, layer: str, config: Config, changes: Changes) -> None:
        """Convert the value, if there is one."""
        if config.get(self.key) is not None:
            config[self.key] = self.function(config[self.key])


@dataclass(frozen=True, slots=True)
class Refuse:
    """Keras 3 gives the layer another meaning."""

    reason: str

    def __call__(self, layer: str, config: Config, changes: Changes) -> None:
        """Raise UnsupportedError."""
        raise UnsupportedError(f"layer {layer!r}: {self.reason}")


def single(value: Any) -> Any:
    """A list of one item as that item."""
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def pairs(value: Any) -> Any:
    """Nested lists as nested tuples."""
    return tuple(map(pairs, value)) if isinstance(value, (list, tuple)) else value
