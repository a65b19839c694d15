"""Collections that convert an item when it is first asked for.

A `saved_model.pb` holds tens of thousands of nodes and attributes, of which a caller usually
needs a few hundred: opening one costs a parse, and each item costs its conversion once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from hozon.errors import FormatError

V = TypeVar("V")


class LazyMapping(Mapping[str, V], Generic[V]):
    """A read-only mapping over `source`, each value converted at its first use.

    Iteration is in the order of a ``dict``, and sorted for a map of a message, which has none. A
    FormatError of a conversion is told that it happened in `file`.
    """

    __slots__ = ("_convert", "_done", "_file", "_source")

    def __init__(
        self, source: Mapping[str, Any], convert: Callable[[Any], V], file: str | None = None
    ) -> None:
        self._source = source
        self._convert = convert
        self._file = file
        self._done: dict[str, V] = {}

    def __getitem__(self, key: str) -> V:
        done = self._done
        if key not in done:
            if key not in self._source:  # a message's map would make an entry
                raise KeyError(key)
            try:
                done[key] = self._convert(self._source[key])
            except FormatError as error:
                error.file = error.file or self._file
                raise
        return done[key]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._source

    def __iter__(self) -> Iterator[str]:
        return iter(self._source if isinstance(self._source, dict) else sorted(self._source))

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self))})"


class LazySequence(Sequence[V], Generic[V]):
    """A read-only sequence over `source`, each item converted at its first use.

    `convert` gets the item and its position. A FormatError of a conversion is told that it
    happened in `file`.
    """

    __slots__ = ("_convert", "_done", "_file", "_source")

    def __init__(
        self, source: Sequence[Any], convert: Callable[[Any, int], V], file: str | None = None
    ) -> None:
        self._source = source
        self._convert = convert
        self._file = file
        self._done: dict[int, V] = {}

    @overload
    def __getitem__(self, index: int) -> V: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[V, ...]: ...

    def __getitem__(self, index: int | slice) -> V | tuple[V, ...]:
        positions = range(len(self._source))
        if isinstance(index, slice):
            return tuple(self._item(i) for i in positions[index])
        return self._item(positions[index])

    def _item(self, index: int) -> V:
        done = self._done
        if index not in done:
            try:
                done[index] = self._convert(self._source[index], index)
            except FormatError as error:
                error.file = error.file or self._file
                raise
        return done[index]

    def __iter__(self) -> Iterator[V]:
        return (self._item(i) for i in range(len(self._source)))

    def __len__(self) -> int:
        return len(self._source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} items)"
