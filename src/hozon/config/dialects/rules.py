"""The kinds of rows that a dialect table is made of.

A rule sees one layer's entry, a copy of the file's, and changes it in place: its class name, the
keys of its config. It tells what it did that a user may notice; what the other dialect cannot say,
and no layer of Hozon's keeps, raises UnsupportedError. Tables of old layers lead to Keras 3's
dialect; those named ``..._WRITTEN`` beside them lead from Keras 3's to Keras 2's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hozon.errors import UnsupportedError

Config = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """A layer on its way to another dialect: class name, config, what happened to it.

    `build` is what Keras 3 recorded of the shapes that the layer was built for. `of_keras3`: the
    layer trains as in Keras 3, though its dialect is Keras 2's.
    """

    class_name: str
    config: Config
    name: str = ""
    changes: list[str] = field(default_factory=list)
    build: Config = field(default_factory=dict)
    of_keras3: bool = False

    def tell(self, text: str) -> None:
        """Add a line to the report."""
        self.changes.append(f"layer {self.name!r}: {text}")


class Rule(Protocol):
    """One row."""

    def __call__(self, entry: Entry) -> None:
        """Change the entry, or leave it."""


Table = Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Drop:
    """The keys say nothing that Keras 3 needs."""

    keys: tuple[str, ...]

    def __init__(self, *keys: str) -> None:
        object.__setattr__(self, "keys", keys)

    def __call__(self, entry: Entry) -> None:
        """Remove the keys."""
        for key in self.keys:
            entry.config.pop(key, None)


@dataclass(frozen=True, slots=True)
class DropNeutral:
    """The key is gone in Keras 3; only its neutral values can be dropped."""

    key: str
    neutral: tuple[Any, ...] = (None, False)

    def __call__(self, entry: Entry) -> None:
        """Remove the key, or refuse."""
        value = entry.config.pop(self.key, None)
        if value is not None and value not in self.neutral:
            raise UnsupportedError(
                f"layer {entry.name!r}: {entry.class_name} has no {self.key}={value!r} in Keras 3",
                feature=f"{entry.class_name}({self.key}={value!r})",
            )


@dataclass(frozen=True, slots=True)
class Newer:
    """The key came with Keras 3; Keras 2 does what its neutral values say, and nothing else."""

    key: str
    neutral: tuple[Any, ...] = (None, False)

    def __call__(self, entry: Entry) -> None:
        """Remove the key, or refuse."""
        value = entry.config.pop(self.key, None)
        if value is not None and value not in self.neutral:
            raise UnsupportedError(
                f"layer {entry.name!r}: {entry.class_name} has no {self.key}={value!r} in Keras 2",
                feature=f"{entry.class_name}({self.key}={value!r})",
                record=entry.name,
            )


@dataclass(frozen=True, slots=True)
class NoLayer:
    """Keras 2 has nothing that the layer could be written as."""

    why: str = "Keras 2 has no such layer"

    def __call__(self, entry: Entry) -> None:
        """Refuse the layer."""
        raise UnsupportedError(
            f"layer {entry.name!r} is a {entry.class_name}: {self.why}",
            feature=entry.class_name,
            record=entry.name,
        )


@dataclass(frozen=True, slots=True)
class Lose:
    """The key is gone in the other dialect, and so is what it did beyond inference."""

    key: str
    meaning: str
    neutral: tuple[Any, ...] = (None, False)

    def __call__(self, entry: Entry) -> None:
        """Remove the key and tell what is lost."""
        value = entry.config.pop(self.key, None)
        if value is not None and value not in self.neutral:
            entry.tell(f"{self.key}={value!r} is dropped: {self.meaning}")


@dataclass(frozen=True, slots=True)
class Rename:
    """The key has another name."""

    key: str
    name: str

    def __call__(self, entry: Entry) -> None:
        """Move the value, unless the new name is there already."""
        if self.key in entry.config:
            value = entry.config.pop(self.key)
            entry.config.setdefault(self.name, value)


@dataclass(frozen=True, slots=True)
class Default:
    """An absent key meant this value."""

    key: str
    value: Any

    def __call__(self, entry: Entry) -> None:
        """Fill the value in."""
        entry.config.setdefault(self.key, self.value)


@dataclass(frozen=True, slots=True)
class Convert:
    """The value is written differently."""

    key: str
    function: Callable[[Any], Any]

    def __call__(self, entry: Entry) -> None:
        """Convert the value, if there is one."""
        if entry.config.get(self.key) is not None:
            entry.config[self.key] = self.function(entry.config[self.key])


@dataclass(frozen=True, slots=True)
class Become:
    """The layer is another class now, perhaps only where `when` holds of its config."""

    class_name: str
    why: str
    when: Callable[[Config], bool] = lambda config: True

    def __call__(self, entry: Entry) -> None:
        """Change the class."""
        if self.when(entry.config):
            entry.tell(f"{entry.class_name} became {self.class_name}: {self.why}")
            entry.class_name = self.class_name


@dataclass(frozen=True, slots=True)
class Change:
    """Anything that no other row can say."""

    function: Callable[[Entry], None]

    def __call__(self, entry: Entry) -> None:
        """Run the function."""
        self.function(entry)


def single(value: Any) -> Any:
    """A list of one item as that item; other lists as they are."""
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def tuples(value: Any) -> Any:
    """Nested lists as nested tuples."""
    return tuple(map(tuples, value)) if isinstance(value, (list, tuple)) else value
