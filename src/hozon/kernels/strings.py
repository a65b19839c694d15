"""Arrays of strings: NumPy object arrays of ``bytes``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hozon.errors import MismatchError

Array = np.ndarray[Any, Any]

#: What TensorFlow's splitting and stripping take for white space (absl::ascii_isspace).
WHITESPACE = b" \t\n\v\f\r"


def objects(items: Sequence[Any], shape: tuple[int, ...] | None = None) -> Array:
    """An object array of the items."""
    result = np.empty(len(items), object)
    result[:] = items
    return result if shape is None else result.reshape(shape)


def each(function: Callable[[bytes], Any], values: Any, dtype: Any = object) -> Array:
    """`function` of every string."""
    values = np.asarray(values, object)
    flat = [function(x) for x in values.reshape(-1).tolist()]
    result = np.empty(len(flat), dtype)
    result[:] = flat
    return result.reshape(values.shape)


def item(value: Any) -> bytes:
    """The only string of an array."""
    only: bytes = np.asarray(value, object).item()
    return only


def ragged_rows(node: str, values: Sequence[Any], splits: Sequence[int]) -> list[Any]:
    """The rows between `splits`; row splits that do not fit the values are refused."""
    ordered = all(a <= b for a, b in zip(splits[:-1], splits[1:], strict=True))
    if not splits or splits[0] != 0 or splits[-1] != len(values) or not ordered:
        raise MismatchError(
            f"node {node!r}: {list(splits)[:8]} are no row splits of {len(values)} values"
        )
    return [values[a:b] for a, b in zip(splits[:-1], splits[1:], strict=True)]
