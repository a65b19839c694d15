"""Buckets of texts by hash: Fingerprint64, or SipHash with a salt of two numbers."""

from __future__ import annotations

from typing import Any

from hozon.errors import MismatchError
from hozon.raw.hashing import fingerprint64, siphash24

MASK = (1 << 64) - 1


def salt_of(salt: Any, layer: str) -> list[int] | None:
    """A layer's salt as two numbers; one counts twice.

    Raises MismatchError for anything else.
    """
    if salt is None:
        return None
    given = [salt, salt] if isinstance(salt, int) else salt
    if not isinstance(given, (list, tuple)) or len(given) != 2:
        raise MismatchError(f"layer {layer!r} has salt {salt!r}, not one or two numbers")
    return [int(part) for part in given]


def bucket_of(text: bytes, count: int, salt: list[int] | None) -> int:
    """The bucket of a text, of `count`."""
    if salt is None:
        return fingerprint64(text) % count
    return siphash24((salt[0] & MASK, salt[1] & MASK), text) % count
