"""Lookup tables: Python dictionaries on the host."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError

Array = np.ndarray[Any, Any]


class LookupTable:
    """A table from keys to values, each a scalar or a fixed-shape array.

    Immutable tables (``HashTableV2``) may be initialised once, or again with as many entries.
    `reserved`: the keys that no entry may have (the empty and the deleted key of a dense table).
    """

    def __init__(
        self,
        name: str,
        key_dtype: np.dtype[Any],
        value_dtype: np.dtype[Any],
        value_shape: tuple[int, ...] = (),
        *,
        mutable: bool = False,
        reserved: Collection[Any] = (),
    ) -> None:
        self.name = name
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.value_shape = value_shape
        self.mutable = mutable
        self.filled = False
        self._reserved = frozenset(reserved)
        self._entries: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, keys: Array, default: Array) -> Array:
        """Values of `keys`, `default` where there is none: shape ``keys.shape + value_shape``.

        `default` is one value, or one for each key.
        """
        if not self.mutable and not self.filled:
            raise MismatchError(f"table {self.name!r} is read before it is initialized")
        shape = (*keys.shape, *self.value_shape)
        default = np.asarray(default, self.value_dtype)
        if default.shape not in (self.value_shape, shape):
            raise MismatchError(
                f"table {self.name!r}: a default of shape {default.shape} for values of shape"
                f" {self.value_shape}"
            )
        flat = self._checked(keys)
        if default.shape == self.value_shape:
            fallback = default[()]
            found = [self._entries.get(key, fallback) for key in flat]
        else:
            each = default.reshape((len(flat), *self.value_shape))
            found = [self._entries.get(k, d) for k, d in zip(flat, each, strict=True)]
        return _stack(found, self.value_dtype, self.value_shape).reshape(shape)

    def initialize(self, keys: Array, values: Array) -> None:
        """Fill an immutable table."""
        if keys.ndim != 1 or not keys.size:
            raise MismatchError(
                f"table {self.name!r} is initialized with keys of shape {keys.shape}"
            )
        if self.filled and not self.mutable:
            if keys.size != len(self):
                raise MismatchError(f"table {self.name!r} is initialized twice, differently")
            return
        self.insert(keys, values)
        self.filled = True

    def insert(self, keys: Array, values: Array) -> None:
        """Add or replace entries."""
        if values.shape != (*keys.shape, *self.value_shape):
            raise MismatchError(
                f"table {self.name!r} gets keys of shape {keys.shape} and values of shape"
                f" {values.shape}"
            )
        flat = values.reshape((keys.size, *self.value_shape))
        items = list(flat) if self.value_shape else flat.tolist()
        for key, value in zip(self._checked(keys), items, strict=True):
            known = self._entries.get(key)
            if not self.mutable and known is not None and not np.array_equal(known, value):
                raise FormatError(
                    f"table {self.name!r} has two values for key {key!r}", record=self.name
                )
            self._entries[key] = value

    def remove(self, keys: Array) -> None:
        """Drop entries; unknown keys are ignored."""
        for key in self._checked(keys):
            self._entries.pop(key, None)

    def import_entries(self, keys: Array, values: Array) -> None:
        """Replace all entries."""
        self._entries.clear()
        self.filled = False
        self.insert(np.asarray(keys), np.asarray(values))
        self.filled = True

    def export(self) -> tuple[Array, Array]:
        """All keys and values, in the order in which they came."""
        keys = _stack(list(self._entries), self.key_dtype, ())
        return keys, _stack(list(self._entries.values()), self.value_dtype, self.value_shape)

    def _checked(self, keys: Array) -> list[Any]:
        """The keys in a row, of which none is reserved."""
        flat: list[Any] = np.asarray(keys).reshape(-1).tolist()
        if self._reserved and not self._reserved.isdisjoint(flat):
            raise MismatchError(
                f"table {self.name!r} keeps {sorted(self._reserved)} for itself: no such key"
            )
        return flat


def _stack(items: list[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Items of one shape in one array."""
    result = np.empty((len(items), *shape), dtype)
    if items:
        result[:] = items
    return result


def text_lines(data: bytes, vocabulary_size: int = -1) -> list[bytes]:
    """The lines of an asset, without line ends; `vocabulary_size` of them if that is positive.

    Empty lines and fewer lines than that are refused (lookup_util.cc, TextFileLineIterator).
    """
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    lines = [line.removesuffix(b"\r") for line in lines]
    if len(lines) < vocabulary_size:
        raise MismatchError(f"{vocabulary_size} lines are expected, the asset has {len(lines)}")
    lines = lines[:vocabulary_size] if vocabulary_size > 0 else lines
    if b"" in lines:
        raise MismatchError(f"line {lines.index(b'')} of an asset of keys and values is empty")
    return lines
