"""Lookup tables: Python dictionaries on the host."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError

Array = np.ndarray[Any, Any]


class LookupTable:
    """A table from keys to values, each a scalar or a fixed-shape array.

    Immutable tables (``HashTableV2``) may be initialised once, or again with as many entries.
    `reserved`: the keys that no entry may have (the empty and the deleted key of a dense table);
    they say what shape a key has.
    """

    def __init__(
        self,
        name: str,
        key_dtype: np.dtype[Any],
        value_dtype: np.dtype[Any],
        value_shape: tuple[int, ...] = (),
        *,
        mutable: bool = False,
        reserved: Collection[Array] = (),
    ) -> None:
        self.name = name
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.value_shape = value_shape
        self.mutable = mutable
        self.filled = False
        self.key_shape = next((np.shape(key) for key in reserved), ())
        self._reserved = frozenset(key for each in reserved for key in self._keys(each))
        self._entries: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, keys: Array, default: Array) -> Array:
        """Values of `keys`, `default` where there is none: each key gives place to its value.

        `default` is one value, or one for each key.
        """
        if not self.mutable and not self.filled:
            raise MismatchError(f"table {self.name!r} is read before it is initialized")
        shape = (*self._places(keys), *self.value_shape)
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
        places = self._places(keys)
        if values.shape != (*places, *self.value_shape):
            raise MismatchError(
                f"table {self.name!r} gets keys of shape {keys.shape} and values of shape"
                f" {values.shape}"
            )
        flat = values.reshape((math.prod(places), *self.value_shape))
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
        """Replace all entries.

        What a dense table exports are its buckets: rows of keys and of values, those without an
        entry under the reserved keys (lookup_table_op.cc, MutableDenseHashTable).
        """
        self._entries.clear()
        self.filled = False
        if self._reserved:
            keys = np.asarray(keys).reshape(-1, *self.key_shape)
            values = np.asarray(values).reshape(-1, *self.value_shape)
            used = [key not in self._reserved for key in self._keys(keys)]
            keys, values = keys[used], values[used]
        self.insert(np.asarray(keys), np.asarray(values))
        self.filled = True

    def export(self) -> tuple[Array, Array]:
        """All keys and values, in the order in which they came."""
        keys = _stack(list(self._entries), self.key_dtype, self.key_shape)
        return keys, _stack(list(self._entries.values()), self.value_dtype, self.value_shape)

    def _checked(self, keys: Array) -> list[Any]:
        """The keys in a row, of which none is reserved."""
        flat = self._keys(keys)
        if self._reserved and not self._reserved.isdisjoint(flat):
            raise MismatchError(
                f"table {self.name!r} keeps {sorted(self._reserved)} for itself: no such key"
            )
        return flat

    def _keys(self, keys: Array) -> list[Any]:
        """The keys in a row; those that are arrays as tuples of bytes or numbers."""
        array = np.asarray(keys)
        if not self.key_shape:
            return list(array.reshape(-1).tolist())
        return [_nested(key) for key in array.reshape(-1, *self.key_shape).tolist()]

    def _places(self, keys: Array) -> tuple[int, ...]:
        """The shape of an array of keys, that of one key left out."""
        rank = keys.ndim - len(self.key_shape)
        if rank < 0 or keys.shape[rank:] != self.key_shape:
            raise MismatchError(
                f"table {self.name!r} has keys of shape {self.key_shape}, {keys.shape} are given"
            )
        places: tuple[int, ...] = keys.shape[:rank]
        return places


def _nested(key: Any) -> Any:
    """Nested lists as nested tuples, which can be looked up."""
    return tuple(map(_nested, key)) if isinstance(key, list) else key


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
