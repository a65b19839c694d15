"""Lookup tables: Python dictionaries on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError

Array = np.ndarray[Any, Any]


class LookupTable:
    """A table from keys to values, each a scalar or a fixed-shape array.

    Immutable tables (``HashTableV2``) may be initialised once, or again with the same entries.
    """

    def __init__(
        self,
        name: str,
        key_dtype: np.dtype[Any],
        value_dtype: np.dtype[Any],
        value_shape: tuple[int, ...] = (),
        *,
        mutable: bool = False,
    ) -> None:
        self.name = name
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.value_shape = value_shape
        self.mutable = mutable
        self.filled = False
        self._entries: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, keys: Array, default: Array) -> Array:
        """Values of `keys`, `default` where there is none: shape ``keys.shape + value_shape``."""
        fallback = np.asarray(default, self.value_dtype)
        if fallback.size == 1 and fallback.ndim == 0 and not self.value_shape:
            fallback = fallback[()]
        shape = keys.shape + self.value_shape
        found = [self._entries.get(key, fallback) for key in _hashable(keys)]
        return _stack(found, self.value_dtype, shape)

    def initialize(self, keys: Array, values: Array) -> None:
        """Fill an immutable table."""
        if self.filled and not self.mutable:
            return
        self.insert(keys, values)
        self.filled = True

    def insert(self, keys: Array, values: Array) -> None:
        """Add or replace entries."""
        count = keys.size
        if values.size != count * int(np.prod(self.value_shape, dtype=int)):
            raise MismatchError(
                f"table {self.name!r} gets {count} keys and values of shape {values.shape}"
            )
        flat = values.reshape((count, *self.value_shape))
        items = flat.tolist() if not self.value_shape else list(flat)
        for key, value in zip(_hashable(keys), items, strict=True):
            known = self._entries.get(key)
            if not self.mutable and known is not None and not np.array_equal(known, value):
                raise FormatError(
                    f"table {self.name!r} has two values for key {key!r}", record=self.name
                )
            self._entries[key] = value

    def remove(self, keys: Array) -> None:
        """Drop entries; unknown keys are ignored."""
        for key in _hashable(keys):
            self._entries.pop(key, None)

    def import_entries(self, keys: Array, values: Array) -> None:
        """Replace all entries."""
        self._entries.clear()
        self.filled = False
        self.insert(np.asarray(keys), np.asarray(values))
        self.filled = True

    def export(self) -> tuple[Array, Array]:
        """All keys and values, in the order in which they came."""
        keys = _stack(list(self._entries), self.key_dtype, (len(self),))
        values = _stack(list(self._entries.values()), self.value_dtype,
                        (len(self), *self.value_shape))  # fmt: skip
        return keys, values


def _hashable(keys: Array) -> list[Any]:
    flat: list[Any] = np.asarray(keys).reshape(-1).tolist()
    return flat


def _stack(items: list[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    result = np.empty(len(items) if len(shape) <= 1 else shape, dtype)
    if dtype == np.dtype(object) or result.ndim <= 1:
        result = np.empty(int(np.prod(shape, dtype=int)), dtype)
        result[:] = np.concatenate([np.ravel(i) for i in items]) if _nested(items) else items
        return result.reshape(shape)
    return np.asarray(items, dtype).reshape(shape)


def _nested(items: list[Any]) -> bool:
    return bool(items) and isinstance(items[0], np.ndarray) and items[0].ndim > 0


def text_lines(data: bytes, vocabulary_size: int = -1) -> list[bytes]:
    """The lines of an asset, without line ends; at most `vocabulary_size` if that is positive."""
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    lines = [line.removesuffix(b"\r") for line in lines]
    return lines[:vocabulary_size] if vocabulary_size > 0 else lines
