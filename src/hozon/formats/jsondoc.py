"""JSON text of a file as plain values, bounded in nesting."""

from __future__ import annotations

import json
from typing import Any

from hozon.errors import FormatError
from hozon.limits import LIMITS


def parse_json(text: str | bytes, *, file: str, record: str, unique: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        text: the document; bytes are UTF-8.
        file: path of the file that holds it, for messages.
        record: where in that file it stands.
        unique: refuse objects that have a name twice, of which other readers may take the other.

    Raises:
        FormatError: it is no JSON, too long, or nests deeper than any model does.
    """
    if len(text) > LIMITS.header_bytes:
        raise FormatError(
            f"{record} is too long",
            file=file,
            record=record,
            found=len(text),
            expected=f"at most {LIMITS.header_bytes}",
        )
    try:
        value = json.loads(text, object_pairs_hook=_unique if unique else None)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{record} is no JSON: {error}", file=file, record=record) from error
    _check_nesting(value, file, record)
    return value


def parse_object(
    text: str | bytes, *, file: str, record: str, unique: bool = False
) -> dict[str, Any]:
    """The JSON object of a text; see `parse_json`."""
    value = parse_json(text, file=file, record=record, unique=unique)
    if not isinstance(value, dict):
        raise FormatError(
            f"{record} is no JSON object",
            file=file,
            record=record,
            expected="an object",
            found=type(value).__name__,
        )
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name is there twice")
    return made


def _check_nesting(value: Any, file: str, record: str) -> None:
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(LIMITS.nesting):
        inner = [item for holder in level for item in _items(holder)]
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return
    raise FormatError(
        f"{record} nests too deeply",
        file=file,
        record=record,
        expected=f"at most {LIMITS.nesting} levels",
    )


def _items(holder: Any) -> Any:
    return holder.values() if isinstance(holder, dict) else holder
